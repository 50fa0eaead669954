//! The leaf of a line or of a row. It is always made of what stands there, and never taken from the line's own `hash`.

mod body;
mod plain;

use std::borrow::Cow;

use audit_format::line::{Parsed, put_entry, put_event};
use audit_format::read::{parse_row, parse_stored};
use audit_format::time::{Timestamp, is_stored_text};
use audit_log::tree::Hash;
use sha2::{Digest as _, Sha256};

pub use body::{body_of_line, body_of_row, line_of_body};

/// The longest line that is read as an event, in bytes: as long as reads of the record take it.
pub const MAX_LINE: usize = 8 << 20;

/// What a file of UTF-8 may begin with.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What stands between the body of a line and the digits of its hash.
const BEFORE: &[u8] = audit_format::leaf::BEFORE;

/// The length of the end of a line that is not hashed, without its newline.
const TAIL: usize = BEFORE.len() + 64 + 2;

/// What a line is to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// An event.
    Leaf(Hash),
    /// Nothing but white space.
    Blank,
    /// No event: a torn line, what is not a JSON object, or an object without a time.
    Unreadable,
}

/// The leaf of a line of a daily file, with or without its newline. A line is an event where a read shows it as one.
///
/// The leaf of a line of a store is the hash of its bytes up to its hash. That of another writer's line is the hash of what
/// a read makes of it: the fields of an event.
pub fn of_line(line: &[u8]) -> Line {
    let line = line.trim_ascii();
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii_start();
    if line.is_empty() {
        return Line::Blank;
    }
    if line.first() != Some(&b'{') || line.last() != Some(&b'}') || line.len() > MAX_LINE {
        return Line::Unreadable;
    }
    match plain::body(line) {
        Some(body) => Line::Leaf(of_open_body(&line[..body])),
        None => of_any_line(line),
    }
}

/// The leaf of a line that begins and ends as a JSON object, as it is read.
fn of_any_line(line: &[u8]) -> Line {
    let text = str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
    let Some((parsed, at)) = parse_stored(&text).ok().and_then(timed) else { return Line::Unreadable };
    let body = line.len().checked_sub(TAIL).filter(|body| line[*body..].starts_with(BEFORE));
    match (is_own(&parsed), body) {
        (true, Some(body)) => Line::Leaf(of_open_body(&line[..body])),
        _ => Line::Leaf(of_parsed(parsed, at)),
    }
}

/// The leaf of a row of the table, from the line that the statements of `audit-sql` make of its columns.
pub fn of_row(line: &str) -> Line {
    match parse_row(line).ok().and_then(|(parsed, _)| timed(parsed)) {
        Some((parsed, at)) => Line::Leaf(of_parsed(parsed, at)),
        None => Line::Unreadable,
    }
}

fn timed(parsed: Parsed<'_>) -> Option<(Parsed<'_>, Timestamp)> {
    let at = Timestamp::parse(&parsed.event.ts).ok()?;
    Some((parsed, at))
}

/// Whether a store wrote the line: one with another `ts` is another writer's, despite its stamp.
fn is_own(parsed: &Parsed<'_>) -> bool {
    parsed.stamp.is_some() && is_stored_text(parsed.event.ts.as_bytes())
}

fn of_parsed(mut parsed: Parsed<'_>, at: Timestamp) -> Hash {
    let mut body = Vec::new();
    let is_own = is_own(&parsed);
    match parsed.stamp {
        Some(stamp) if is_own => {
            put_entry(&parsed.event, &stamp, &mut body);
            // Its newline too.
            body.truncate(body.len() - TAIL - 1);
            of_open_body(&body)
        }
        _ => {
            parsed.event.ts = at.to_string().into();
            put_event(&parsed.event, &mut body);
            Hash::of_leaf(&body)
        }
    }
}

/// The hash of a body without its closing bracket.
fn of_open_body(body: &[u8]) -> Hash {
    let mut sha = Sha256::new();
    sha.update([0]);
    sha.update(body);
    sha.update(b"}");
    Hash(sha.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: &str = r#"{"ts":"2026-11-27T17:10:40.005377Z","req_id":"","workspace_id":"","user_id":"","agent_id":"demo","tool":"sort","action":"exec","status":"0","duration_ms":11,"in_size":11,"out_size":11,"input_hash":"28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f","graph_run_id":null,"graph_node":null,"job_id":null,"id":"01a21dfc-da9d-775e-9c12-b8a0e19beb0f","chain":"01a21dfc-da9d-775e-9c12-b8a0e19beb0e","seq":0,"hash":"77383e46ef1514d4733f9b58b0ab5efb46885b206d8d9465f1a0ca157ba954b9"}"#;

    fn leaf(line: &str) -> Hash {
        match of_line(line.as_bytes()) {
            Line::Leaf(hash) => hash,
            other => panic!("{other:?}: {line}"),
        }
    }

    #[test]
    fn the_leaf_of_a_line_of_a_store_is_its_hash() {
        let hash =
            Hash::from_hex("77383e46ef1514d4733f9b58b0ab5efb46885b206d8d9465f1a0ca157ba954b9").unwrap();
        assert_eq!(leaf(OWN), hash);
        assert_eq!(leaf(&format!("\u{feff}  {OWN}\r\n")), hash);
        assert_eq!(of_row(OWN), Line::Leaf(hash));
        // As a database spells it: the row is the same.
        assert_eq!(of_row(&OWN.replace(":\"", ": \"")), Line::Leaf(hash));
    }

    #[test]
    fn the_hash_that_a_line_claims_does_not_count() {
        let claimed = OWN.replace("77383e46", "00000000");
        assert_eq!(leaf(&claimed), leaf(OWN));
        assert_ne!(leaf(&OWN.replace("\"0\"", "\"1\"")), leaf(OWN));
    }

    #[test]
    fn the_leaf_of_another_writers_line_is_that_of_the_event_that_reads_show() {
        let hash =
            leaf(r#"{"ts": "2026-11-23T07:30:00+01:00", "tool": "search", "duration_ms": 45.0, "x": 1}"#);
        let body = r#"{"ts":"2026-11-23T06:30:00.000000Z","req_id":"","workspace_id":"","user_id":"","agent_id":"","tool":"search","action":"","status":"","duration_ms":45,"in_size":0,"out_size":0,"input_hash":"","graph_run_id":null,"graph_node":null,"job_id":null}"#;
        assert_eq!(hash, Hash::of_leaf(body.as_bytes()));
        // A stamp with a time that no store writes is another writer's.
        assert_ne!(leaf(&OWN.replace("005377Z", "005Z")), leaf(OWN));
    }

    /// Lines of a store, and those that are nearly that.
    fn nearly_own() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "[ -~]{0,3}".prop_map(String::into_bytes),
            Just(b"\"".to_vec()),
            Just(b"-".to_vec()),
            Just(b"00000000-0000-0000-0000-000000000000".to_vec()),
            Just(b"null".to_vec()),
            Just(b"0".to_vec()),
            Just(b"99999999999999999999".to_vec()),
            Just(",\"attributes\":{\"mode\":\"plan\"}".into()),
            Just("é".into()),
            proptest::collection::vec(any::<u8>(), 1..3),
        ];
        // The identifiers begin behind these.
        let places = prop_oneof![0..=OWN.len(), OWN.find("01a2").unwrap()..OWN.find("01a2").unwrap() + 90];
        let cut = (places, prop_oneof![0..4_usize, Just(36)], piece);
        proptest::collection::vec(cut, 0..3).prop_map(|cuts| {
            let mut line = OWN.as_bytes().to_vec();
            for (at, len, piece) in cuts {
                let at = at.min(line.len());
                line.splice(at..(at + len).min(line.len()), piece);
            }
            line
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_line_that_looks_plain_has_the_leaf_that_it_has_when_it_is_read(line in nearly_own()) {
            let line = line.as_slice();
            if let Some(body) = plain::body(line) {
                prop_assert_eq!(Line::Leaf(of_open_body(&line[..body])), of_any_line(line));
            }
        }
    }

    #[test]
    fn the_lines_of_a_store_look_plain() {
        assert!(plain::body(OWN.as_bytes()).is_some());
        assert!(plain::body(OWN.replace("\"job_id\":null", "\"job_id\":\"nächtlich\"").as_bytes()).is_some());
        let with = |text: &str| OWN.replace("null,\"id\"", text);
        for text in ["\"a\\u0041\",\"id\"", "\"\t\",\"id\"", "null,\"attributes\":{\"mode\":\"plan\"},\"id\""]
        {
            assert!(plain::body(with(text).as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn what_no_read_shows_is_no_leaf() {
        for line in ["torn\":1}", "{\"ts\":\"2026", "[]", "{}", "{\"ts\":\"soon\"}", "\u{0}"] {
            assert_eq!(of_line(line.as_bytes()), Line::Unreadable, "{line}");
        }
        assert_eq!(of_line(b" \t\r\n"), Line::Blank);
    }
}
