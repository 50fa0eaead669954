//! The leaf of a line or of a row. It is always made of what stands there, and never taken from the line's own `hash`.

use std::borrow::Cow;

use audit_format::line::{Parsed, put_entry, put_event};
use audit_format::read::{parse_row, parse_stored};
use audit_format::time::{Timestamp, is_stored_text};
use audit_log::tree::Hash;
use sha2::{Digest as _, Sha256};

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
    match read(line, |parsed, at, own| match own {
        Some(body) => of_open_body(body),
        None => of_parsed(parsed, at),
    }) {
        Read::Event(hash) => Line::Leaf(hash),
        Read::Blank => Line::Blank,
        Read::Unreadable => Line::Unreadable,
    }
}

/// The bytes whose hash is the leaf of a line of a daily file, as JSON text; none: the line is no event.
pub fn body_of_line(line: &[u8]) -> Option<Vec<u8>> {
    match read(line, |parsed, at, own| match own {
        Some(body) => [body, b"}"].concat(),
        None => body_of_parsed(parsed, at),
    }) {
        Read::Event(body) => Some(body),
        Read::Blank | Read::Unreadable => None,
    }
}

/// The line of a store that has this body, without its newline. The body of another writer's line is that line itself.
pub fn line_of_body(body: &[u8]) -> Option<String> {
    let text = str::from_utf8(body).ok()?;
    let (open, is_own) = (text.strip_suffix('}')?, text.contains("\"chain\":\""));
    let hash = Hash::of_leaf(body).to_hex();
    let line = format!("{open},\"hash\":\"{hash}\"}}");
    let is_own = is_own && parse_stored(&line).is_ok_and(|parsed| parsed.stamp.is_some());
    Some(if is_own { line } else { text.to_owned() })
}

enum Read<T> {
    Event(T),
    Blank,
    Unreadable,
}

/// Reads a line. `event` gets the event, its time, and the body of a line of a store without its closing bracket.
fn read<T>(line: &[u8], event: impl FnOnce(Parsed<'_>, Timestamp, Option<&[u8]>) -> T) -> Read<T> {
    let line = line.trim_ascii();
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii_start();
    if line.is_empty() {
        return Read::Blank;
    }
    if line.first() != Some(&b'{') || line.last() != Some(&b'}') || line.len() > MAX_LINE {
        return Read::Unreadable;
    }
    let text = str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
    let Some((parsed, at)) = parse_stored(&text).ok().and_then(timed) else { return Read::Unreadable };
    let body = line.len().checked_sub(TAIL).filter(|body| line[*body..].starts_with(BEFORE));
    let own = body.filter(|_| is_own(&parsed)).map(|body| &line[..body]);
    Read::Event(event(parsed, at, own))
}

/// The bytes whose hash is the leaf of a row of the table, from the line that the statements of `audit-sql` make of its
/// columns; none: the row is no event.
pub fn body_of_row(line: &str) -> Option<Vec<u8>> {
    let (parsed, at) = parse_row(line).ok().and_then(|(parsed, _)| timed(parsed))?;
    Some(body_of_parsed(parsed, at))
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

fn of_parsed(parsed: Parsed<'_>, at: Timestamp) -> Hash {
    Hash::of_leaf(&body_of_parsed(parsed, at))
}

fn body_of_parsed(mut parsed: Parsed<'_>, at: Timestamp) -> Vec<u8> {
    let mut body = Vec::new();
    let is_own = is_own(&parsed);
    match parsed.stamp {
        Some(stamp) if is_own => {
            put_entry(&parsed.event, &stamp, &mut body);
            // Its newline too.
            body.truncate(body.len() - TAIL - 1);
            body.push(b'}');
        }
        _ => {
            parsed.event.ts = at.to_string().into();
            put_event(&parsed.event, &mut body);
        }
    }
    body
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
    fn a_body_has_the_hash_of_its_line_and_leads_back_to_it() {
        let foreign = r#"{"ts": "2026-11-23T07:30:00+01:00", "tool": "search \"chain\":\"", "x": 1}"#;
        for line in [OWN, foreign, &OWN.replace("005377Z", "005Z")] {
            let body = body_of_line(line.as_bytes()).unwrap();
            assert_eq!(Hash::of_leaf(&body), leaf(line));
            assert_eq!(body_of_row(line).as_ref(), Some(&body));
            let back = line_of_body(&body).unwrap();
            assert_eq!(leaf(&back), leaf(line));
            assert_eq!(back == OWN, line == OWN);
        }
        assert_eq!(body_of_line(b"{}"), None);
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

    #[test]
    fn what_no_read_shows_is_no_leaf() {
        for line in ["torn\":1}", "{\"ts\":\"2026", "[]", "{}", "{\"ts\":\"soon\"}", "\u{0}"] {
            assert_eq!(of_line(line.as_bytes()), Line::Unreadable, "{line}");
        }
        assert_eq!(of_line(b" \t\r\n"), Line::Blank);
    }
}
