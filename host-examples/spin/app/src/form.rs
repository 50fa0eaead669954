//! The query of a URL, as a form sends it: <https://url.spec.whatwg.org/#application/x-www-form-urlencoded>.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The pairs of a query. Empty values are left out.
pub fn parse(query: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    query.split('&').map(pair).filter(|(_, value)| !value.is_empty()).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| core::str::from_utf8(hex).ok());
        match (hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()), *first) {
            (Some(byte), _) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (None, b'+') => bytes.push(b' '),
            (None, other) => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The pairs as a query.
pub fn encode<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.join("&")
}

fn encoded(text: &str) -> String {
    let byte = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => String::from(char::from(*byte)),
        other => format!("%{other:02X}"),
    };
    text.as_bytes().iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_parsed_again() {
        let pairs = [("tool", "a&b=c d+é%41"), ("cursor", "2026-11-23T12:00:00Z,x")];
        let parsed = parse(&encode(pairs.into_iter()));
        let parsed: Vec<(&str, &str)> =
            parsed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(parsed, pairs);
        assert_eq!(parse("a=b+c&d=&e"), [(String::from("a"), String::from("b c"))]);
        assert_eq!(parse("a=%zz%4"), [(String::from("a"), String::from("%zz%4"))]);
    }
}
