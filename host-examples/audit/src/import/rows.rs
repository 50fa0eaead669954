//! Makes rows from lines: lines of this store, which keep their `id`, `chain`, `seq` and `hash`, and lines with an `id`
//! alone.
//!
//! A line of another writer gets a UUIDv8 (RFC 9562, section 5.8) as its key. It is made of the first 16
//! bytes of SHA-256(line || 0x0A || n), where `line` is the line as this store would write its fields, and `n`, in
//! decimal digits, is the number of equal lines before it in its file. Two equal lines are therefore stored as two rows,
//! and a repeated import of the same file gives the same keys.

use std::collections::{HashMap, HashSet};

use audit_format::Invalid;
use audit_format::event::{Dated, Event};
use audit_format::line::{Parsed, fitted, put_entry, put_event};
use audit_format::read::{parse_sent, parse_stored};
use audit_format::time::{Timestamp, is_stored_text};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

/// Makes the rows of one file. It keeps about 20 bytes of memory for each line of another writer.
#[derive(Default)]
pub(super) struct Rows {
    /// The first 8 bytes of the hash of each line of another writer. Two lines that differ and have these
    /// bytes in common would count as equal, in each import.
    seen: HashSet<u64>,
    /// How often the lines were repeated that came more than once.
    repeated: HashMap<u64, u64>,
}

impl Rows {
    /// Appends the row of a line to `rows`, as a JSON line. The error says which field is invalid.
    pub(super) fn add(&mut self, line: &str, rows: &mut Vec<u8>) -> Result<(), Invalid> {
        let Parsed { event, stamp } = parse_stored(line)?;
        // A line counts as one of this store by the same rule as when files are read.
        if let Some(stamp) = stamp.filter(|_| is_stored_text(event.ts.as_bytes())) {
            Timestamp::parse(&event.ts).map_err(|error| Invalid::new("ts", error.to_string()))?;
            put_entry(&event, &stamp, rows);
            return Ok(());
        }
        let at = Timestamp::parse(&event.ts).map_err(|error| Invalid::new("ts", error.to_string()))?;
        let event = Dated::new(event, at)?;
        let key = self.key(event.event());
        put_row(event, key, rows);
        Ok(())
    }

    /// Appends the row of an event that a caller sends. Without a `ts`, it happens `now`, and has the same key whenever it
    /// is sent.
    pub(super) fn add_sent(&mut self, line: &str, now: Timestamp, rows: &mut Vec<u8>) -> Result<(), Invalid> {
        let sent = parse_sent(line)?;
        let is_timeless = sent.event.ts.is_empty();
        let event = Dated::new(sent, now)?;
        let key = match is_timeless {
            true => self.key(&Event { ts: "".into(), ..event.event().clone() }),
            false => self.key(event.event()),
        };
        put_row(event, key, rows);
        Ok(())
    }

    /// The key of a line of another writer.
    fn key(&mut self, event: &Event<'_>) -> Uuid {
        let mut text = Vec::new();
        put_event(event, &mut text);
        let hash = Sha256::new_with_prefix(&text);
        let (mark, _) = halves(hash.clone());
        let before = match self.seen.insert(mark) {
            true => 0,
            false => {
                let repeated = self.repeated.entry(mark).or_default();
                *repeated += 1;
                *repeated
            }
        };
        let (first, second) = halves(hash.chain_update(format!("\n{before}")));
        Builder::from_custom_bytes(((u128::from(first) << 64) | u128::from(second)).to_be_bytes()).into_uuid()
    }
}

/// Appends the row of an event of another writer, made to fit as the store would do it.
fn put_row(event: Dated<'_>, key: Uuid, rows: &mut Vec<u8>) {
    let (event, _) = fitted(event.event().clone());
    put_event(&event, rows);
    // The object goes on.
    rows.pop();
    rows.extend_from_slice(format!(",\"id\":\"{key}\"}}\n").as_bytes());
}

/// The first 16 bytes of the hash, as two numbers.
fn halves(hash: Sha256) -> (u64, u64) {
    let bytes = hash.finalize();
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    (number(&bytes[..8]), number(&bytes[8..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "{\"ts\":\"2026-11-23T06:30:00.123456Z\",\"tool\":\"t\",\
        \"id\":\"01934c5e-7b1a-7000-8000-00000000000a\",\"chain\":\"01934c5e-7b1a-7000-8000-00000000000b\",\
        \"seq\":7,\"hash\":\"00000000000000000000000000000000000000000000000000000000000000ff\"}";

    fn row(rows: &mut Rows, line: &str) -> Result<String, Invalid> {
        let mut out = Vec::new();
        rows.add(line, &mut out)?;
        Ok(String::from_utf8(out).expect("it is UTF-8"))
    }

    fn key(rows: &mut Rows, line: &str) -> Uuid {
        let row = row(rows, line).expect("it is an event");
        let (event, id) = row.trim_end().rsplit_once(",\"id\":\"").expect("it has an id");
        assert!(event.ends_with("null") && !event.contains("\"chain\""), "{row}");
        id.trim_end_matches("\"}").parse().expect("it is a UUID")
    }

    #[test]
    fn a_line_of_this_store_keeps_its_id_chain_seq_and_hash() {
        let row = row(&mut Rows::default(), OWN).expect("it is one");
        let (_, stamp) = OWN.split_once(",\"id\"").expect("it has an id");
        assert!(row.trim_end().ends_with(stamp) && row.contains("\"tool\":\"t\""), "{row}");
    }

    #[test]
    fn a_line_that_lacks_a_mark_of_this_store_is_imported_as_another_writers() {
        key(&mut Rows::default(), &OWN.replace("\"seq\":7,", ""));
        key(&mut Rows::default(), &OWN.replace("06:30:00.123456Z", "06:30:00Z"));
    }

    #[test]
    fn the_key_depends_on_the_events_line_and_the_number_of_equal_lines_before_it() {
        let mut rows = Rows::default();
        let first = key(&mut rows, r#"{"tool": "t", "ts": "2026-11-23T07:30:00+01:00"}"#);
        // printf '%s\n0' '{"ts":"2026-11-23T06:30:00.000000Z","req_id":"",...,"job_id":null}' | sha256sum
        assert_eq!(first.to_string(), "b2ea21af-cdb7-85cf-9a0e-7b3caa7e4597");
        assert_eq!((first.get_version_num(), first.get_variant()), (8, uuid::Variant::RFC4122));
        let second = key(&mut rows, r#"{"ts":"2026-11-23T06:30:00Z","tool":"t","unknown":1}"#);
        let third = key(&mut rows, r#"{"ts":"2026-11-23T06:30:00Z","tool":"t","in_size":0}"#);
        assert!(first != second && second != third && third != first);
        let mut again = Rows::default();
        let keys = [(); 3].map(|()| key(&mut again, r#"{"ts":"2026-11-23T06:30:00Z","tool":"t"}"#));
        assert_eq!(keys, [first, second, third]);
        assert_ne!(key(&mut again, r#"{"ts":"2026-11-23T06:30:00Z","tool":"u"}"#), first);
    }

    #[test]
    fn an_event_that_is_sent_again_has_the_same_key_whatever_the_time() {
        let keys = |now: &str| {
            let (mut rows, mut out) = (Rows::default(), Vec::new());
            for line in ["{\"tool\":\"t\"}", "{\"tool\":\"t\"}", "{\"tool\":\"t\",\"ts\":\"2026-11-23\"}"] {
                let now = Timestamp::parse(now).expect("it is a time");
                let _ = rows.add_sent(line, now, &mut out);
            }
            let out = String::from_utf8(out).expect("it is UTF-8");
            let id = |line: &str| line.rsplit_once("\"id\":").expect("it has an id").1.to_owned();
            (out.lines().map(id).collect::<Vec<_>>(), out)
        };
        let (first, rows) = keys("2026-11-23T06:30:00Z");
        let (again, later) = keys("2026-11-24T06:30:00Z");
        assert_eq!(first, again);
        assert!(first.len() >= 2 && first[0] != first[1] && rows != later);
    }

    #[test]
    fn a_long_text_of_another_writer_is_cut() {
        let line = format!("{{\"ts\":\"2026-11-23T06:30:00Z\",\"tool\":\"{}\"}}", "x".repeat(9_000));
        assert!(row(&mut Rows::default(), &line).expect("it is an event").len() < 4096);
    }

    #[test]
    fn an_invalid_line_is_rejected_with_the_field() {
        for (line, field) in [
            ("garbage", "json"),
            (&OWN[..80], "json"),
            ("[]", "json"),
            ("{\"tool\":\"t\"}", "ts"),
            ("{\"ts\":\"2026-02-30T00:00:00Z\"}", "ts"),
        ] {
            assert_eq!(
                row(&mut Rows::default(), line).map_err(|invalid| invalid.field),
                Err(field.into()),
                "{line}"
            );
        }
    }
}
