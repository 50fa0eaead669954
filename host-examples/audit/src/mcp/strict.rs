//! Whether a text can be understood in one way only. Parsers differ in what they take for JSON, in which of two equal keys counts,
//! and in whether the case of a key matters. Where a call may not happen without a record, none of that may matter.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::call::sketch::NotJson;

/// The members of a message, and those of its parameters that matter here.
const OF_MESSAGE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];
const OF_PARAMS: &[&str] = &[
    "name",
    "arguments",
    "_meta",
    "clientInfo",
    "inputResponses",
    "reason",
    "requestId",
    "requestState",
    "task",
    "taskId",
];

/// What was found in a text that is JSON.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checked {
    /// Why it could be understood in another way.
    pub(super) problem: Option<String>,
    /// The identifiers of the requests, as they came.
    pub(super) requests: Vec<String>,
    pub(super) is_batch: bool,
}

/// Reads a whole text.
pub(super) fn check(text: &[u8]) -> Result<Checked, NotJson> {
    let text = std::str::from_utf8(text).map_err(|_| NotJson)?;
    let mut checked = Checked::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Part { place: Place::Top, checked: &mut checked }.deserialize(&mut deserializer);
    read.and_then(|()| deserializer.end()).map_err(|_| NotJson)?;
    Ok(checked)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    /// A message of a batch.
    Item,
    Params,
}

struct Part<'c> {
    place: Place,
    checked: &'c mut Checked,
}

impl Part<'_> {
    fn problem(&mut self, text: impl Into<String>) {
        self.checked.problem.get_or_insert(text.into());
    }

    /// What is neither an object nor an array.
    fn other(mut self) {
        match self.place {
            Place::Top | Place::Item => self.problem("it is no message"),
            Place::Params => self.problem("its parameters are no object"),
        }
    }

    fn check_key(&mut self, key: String, seen: &mut HashSet<String>) {
        let known = if self.place == Place::Params { OF_PARAMS } else { OF_MESSAGE };
        let folded = folded(&key);
        if key.contains(char::is_control) {
            self.problem("a key has a control character");
        } else if let Some(meant) =
            known.iter().find(|known| folded == known.to_ascii_lowercase() && **known != key)
        {
            self.problem(format!("the key {meant} is written in another way"));
        }
        if seen.contains(&key) {
            self.problem("a key is there twice");
        } else {
            seen.insert(key);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        let mut id = None::<Box<RawValue>>;
        let is_message = self.place != Place::Params;
        while let Some(key) = members.next_key::<String>()? {
            match key.as_str() {
                "id" if is_message => id = Some(members.next_value()?),
                "method" if is_message => {
                    let text: Box<RawValue> = members.next_value()?;
                    // A text that has half a surrogate pair is JSON, but no method.
                    let method: String = serde_json::from_str(text.get()).unwrap_or_default();
                    if method.is_empty() || method.contains(char::is_control) {
                        self.problem("its method is no name");
                    }
                }
                "params" if is_message => {
                    members.next_value_seed(Part { place: Place::Params, checked: &mut *self.checked })?;
                }
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
            self.check_key(key, &mut seen);
        }
        if !is_message {
            return Ok(());
        }
        if !["method", "result", "error"].iter().any(|key| seen.contains(*key)) {
            self.problem("it is no message");
        }
        let id = id.map(|id| id.get().to_owned()).filter(|id| id != "null");
        let is_answer = seen.contains("result") || seen.contains("error");
        self.checked.requests.extend(id.filter(|_| !is_answer));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        if self.place == Place::Top {
            self.checked.is_batch = true;
            while items.next_element_seed(Part { place: Place::Item, checked: &mut *self.checked })?.is_some()
            {
            }
            return Ok(());
        }
        if self.place == Place::Item {
            self.problem("it is no message");
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.other();
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        // Parameters that are null are none.
        if self.place != Place::Params {
            self.other();
        }
        Ok(())
    }
}

/// As a parser compares keys that does not mind their case. That of Go takes these two letters for others as well.
fn folded(key: &str) -> String {
    key.to_lowercase().replace('ſ', "s").replace('K', "k")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Option<String> {
        check(text.as_bytes()).unwrap().problem
    }

    #[test]
    fn a_message_that_can_be_understood_in_one_way_only_has_no_problem() {
        let deep = format!(
            r#"{{"method":"m","params":{{"arguments":{}1{}}}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"A":1,"a":1e999}}}"#,
            r#"[{"id":1,"result":null},{"method":"m","params":null},{"id":1,"error":{}}]"#,
            "{\"method\":\"m\",\"params\":{\"arguments\":\"\\ud800 \u{2028}\"}}\r\n",
            &deep,
        ] {
            assert_eq!(problem(text), None, "{text:.200}");
        }
    }

    #[test]
    fn what_another_parser_may_understand_in_another_way_is_a_problem() {
        for text in [
            r#"{"id":1,"Method":"tools/call"}"#,
            r#"{"id":1,"method":"ping","METHOD":"tools/call"}"#,
            r#"{"id":1,"method":"ping","paramſ":{}}"#,
            r#"{"id":1,"method":"ping","method":"tools/call"}"#,
            r#"{"id":1,"\u006dethod":"ping","method":"tools/call"}"#,
            r#"{"id":1,"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}"#,
            r#"{"id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
            r#"{"id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
            r#"{"id":1,"method":"tools/call\u0000x"}"#,
            r#"{"id":1,"method\u0000":"tools/call"}"#,
            r#"{"id":1,"method":["tools/call"]}"#,
            r#"[[{"id":1,"method":"tools/call"}]]"#,
            r#"[{"method":"m"},1]"#,
            r#""tools/call""#,
            "{}",
            "null",
        ] {
            assert!(problem(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused_however_deep() {
        let deep = |text: &str| {
            format!(r#"{{"method":"m","params":{{"a":{}{text}{}}}}}"#, "[".repeat(40), "]".repeat(40))
        };
        for text in ["}{", "garbage", "'x'", "1,", r#""\q""#, "\"\n\"", "NaN", "/**/1"] {
            assert_eq!(check(deep(text).as_bytes()), Err(NotJson), "{text}");
        }
        assert_eq!(check(b"{\"a\":\"\xFF\"}"), Err(NotJson));
        assert_eq!(check(b"\xEF\xBB\xBF{}"), Err(NotJson));
        assert_eq!(check(b"{} {}"), Err(NotJson));
    }

    #[test]
    fn the_identifiers_of_all_requests_are_known_as_they_came() {
        let text = r#"[{"id":1.0,"method":"a"},{"id":null,"method":"b"},{"id":"x","result":1},{"method":"c","id":"\u0061"}]"#;
        assert_eq!(check(text.as_bytes()).unwrap().requests, ["1.0", r#""\u0061""#]);
        let many = format!("[{}]", vec![r#"{"id":7,"method":"m"}"#; 3000].join(","));
        assert_eq!(check(many.as_bytes()).unwrap().requests.len(), 3000);
    }
}
