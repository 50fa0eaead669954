//! What a leaf is made of, for who shows an event or moves it elsewhere.

use std::borrow::Cow;

use audit_format::line::{Parsed, put_entry, put_event};
use audit_format::read::{parse_row, parse_stored};
use audit_format::time::Timestamp;
use audit_log::tree::Hash;

use super::{BEFORE, BYTE_ORDER_MARK, MAX_LINE, TAIL, is_own, timed};

/// The bytes whose hash is the leaf of a line of a daily file, as JSON text; none: the line is no event.
pub fn body_of_line(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii();
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii_start();
    if line.first() != Some(&b'{') || line.last() != Some(&b'}') || line.len() > MAX_LINE {
        return None;
    }
    let text = str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
    let (parsed, at) = parse_stored(&text).ok().and_then(timed)?;
    let body = line.len().checked_sub(TAIL).filter(|body| line[*body..].starts_with(BEFORE));
    match body.filter(|_| is_own(&parsed)) {
        Some(body) => Some([&line[..body], b"}"].concat()),
        None => Some(body_of_parsed(parsed, at)),
    }
}

/// The bytes whose hash is the leaf of a row of the table, from the line that the statements of `audit-sql` make of its
/// columns; none: the row is no event.
pub fn body_of_row(line: &str) -> Option<Vec<u8>> {
    let (parsed, at) = parse_row(line).ok().and_then(|(parsed, _)| timed(parsed))?;
    Some(body_of_parsed(parsed, at))
}

/// The line of a store that has this body, without its newline. The body of another writer's line is that line itself.
pub fn line_of_body(body: &[u8]) -> Option<String> {
    let text = str::from_utf8(body).ok()?;
    let open = text.strip_suffix('}')?;
    let line = format!("{open},\"hash\":\"{}\"}}", Hash::of_leaf(body).to_hex());
    let is_own = parse_stored(&line).is_ok_and(|parsed| is_own(&parsed));
    Some(if is_own { line } else { text.to_owned() })
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

#[cfg(test)]
mod tests {
    use super::super::{Line, of_line, of_row};
    use super::*;
    use proptest::prelude::*;

    const OWN: &str = r#"{"ts":"2026-11-27T17:10:40.005377Z","req_id":"","workspace_id":"","user_id":"","agent_id":"demo","tool":"sort","action":"exec","status":"0","duration_ms":11,"in_size":11,"out_size":11,"input_hash":"","graph_run_id":null,"graph_node":null,"job_id":null,"id":"01a21dfc-da9d-775e-9c12-b8a0e19beb0f","chain":"01a21dfc-da9d-775e-9c12-b8a0e19beb0e","seq":0,"hash":"77383e46ef1514d4733f9b58b0ab5efb46885b206d8d9465f1a0ca157ba954b9"}"#;

    /// Checks that the body of a line leads to its leaf, and back to a line with the same leaf.
    fn agrees(line: &str) {
        let (leaf, body) = (of_line(line.as_bytes()), body_of_line(line.as_bytes()));
        let Line::Leaf(hash) = leaf else { return assert_eq!(body, None, "{line}") };
        let body = body.unwrap_or_else(|| panic!("{line}"));
        assert_eq!(Hash::of_leaf(&body), hash, "{line}");
        let back = line_of_body(&body).unwrap();
        assert_eq!((of_line(back.as_bytes()), body_of_line(back.as_bytes())), (leaf, Some(body)), "{line}");
    }

    #[test]
    fn a_body_has_the_hash_of_its_line_and_leads_back_to_it() {
        let whole = line_of_body(&body_of_line(OWN.as_bytes()).unwrap()).unwrap();
        assert_eq!(whole[..OWN.len() - 66], OWN[..OWN.len() - 66]);
        let foreign = r#"{"ts": "2026-11-23T07:30:00+01:00", "tool": "search \"chain\":\"", "x": 1}"#;
        for line in
            [OWN, foreign, &OWN.replace("005377Z", "005Z"), &format!("\u{feff} {OWN}\r\n"), "{}", "", "[]"]
        {
            agrees(line);
            if let Line::Leaf(hash) = of_row(line.trim_start_matches('\u{feff}').trim()) {
                assert_eq!(
                    Hash::of_leaf(&body_of_row(line.trim_start_matches('\u{feff}').trim()).unwrap()),
                    hash
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_body_and_a_leaf_agree_on_every_line(at in 0..OWN.len(), with in "[ -~\u{0}é]{0,3}", len in 0..4_usize) {
            let mut line = OWN.to_owned();
            line.replace_range(at..(at + len).min(OWN.len()), &with);
            agrees(&line);
        }
    }
}
