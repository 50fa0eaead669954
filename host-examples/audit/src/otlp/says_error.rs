//! Whether a result says that the call failed: it is what MCP calls `isError`, or an answer of JSON-RPC. Results of any size are
//! passed over without being kept.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Whether a JSON object, or one of those in an array, says that the call failed. What comes before an error of syntax counts.
pub(super) fn says_error(result: &[u8]) -> bool {
    if !result.trim_ascii_start().starts_with(b"{") && !result.trim_ascii_start().starts_with(b"[") {
        return false;
    }
    let mut says = false;
    // It need be no JSON.
    let _ =
        Look { at: At::Top, says: &mut says }.deserialize(&mut serde_json::Deserializer::from_slice(result));
    says
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Top,
    Item,
    /// The `result` of JSON-RPC.
    Result,
    /// The `isError` of MCP.
    IsError,
    /// The `error` of JSON-RPC.
    Error,
}

struct Look<'s> {
    at: At,
    says: &'s mut bool,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        *self.says |= self.at == At::IsError && value;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let (mut is_rpc, mut has_error) = (false, false);
        while let Some(key) = members.next_key::<String>()? {
            let at = match (self.at, key.as_str()) {
                (At::Top | At::Item | At::Result, "isError") => At::IsError,
                (At::Top | At::Item, "result") => At::Result,
                (At::Top | At::Item, "error") => At::Error,
                (at, key) => {
                    is_rpc |= key == "jsonrpc" && matches!(at, At::Top | At::Item);
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if at == At::Error {
                has_error |= members.next_value::<Option<IgnoredAny>>()?.is_some();
            } else {
                members.next_value_seed(Look { at, says: &mut *self.says })?;
            }
        }
        *self.says |= is_rpc && has_error;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if self.at == At::Top {
            while items.next_element_seed(Look { at: At::Item, says: &mut *self.says })?.is_some() {}
        } else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_found_where_mcp_and_json_rpc_put_it() {
        for (result, expected) in [
            (r#"{"isError":true}"#, true),
            (r#" {"content":[{"isError":false}],"isError":false,"isError":true}"#, true),
            (r#"[{"type":"text"},{"isError":true}]"#, true),
            (r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#, true),
            (r#"{"error":{"code":-32602},"id":1,"jsonrpc":"2.0"}"#, true),
            (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#, false),
            (r#"{"isError":true,"cut"#, true),
            (r#"{"isError":"true"}"#, false),
            (r#"{"error":"a text of some tool"}"#, false),
            (r#"{"structuredContent":{"isError":true}}"#, false),
            (r#"[[{"isError":true}]]"#, false),
            ("isError", false),
            ("true", false),
            ("", false),
        ] {
            assert_eq!(says_error(result.as_bytes()), expected, "{result}");
        }
    }
}
