//! Lines that a caller wants recorded.

use audit_evidence::leaf::{self, Line};
use audit_format::cursor::Order;
use audit_format::line::MAX_LEN;
use audit_format::query::Filter;
use audit_format::read::{parse_sent, parse_stored};
use audit_format::time::Timestamp;
use audit_store::error::Error;
use audit_store::store::{Receipt, Store};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::host::Memory;
use crate::pages::{Whole, read_all};

/// All of the input is lines.
///
/// They are recorded as a whole, each line as one event, or refused with the first line that is wrong and its field; a parser
/// of JSON takes what is accepted for objects; two backends answer the same, and give the same entries; and each entry is a
/// line of at most 4096 bytes whose hash is that of its leaf, and which is recorded without a change when it is sent again.
pub fn write_jsonl(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let [(of_files, files), (of_memory, memory)] = ["jsonl", "memory"].map(|backend| written(backend, &text));
    assert_eq!(of_files, of_memory, "two backends answer differently");
    assert_eq!(
        files.entries.iter().map(|e| &e.line).collect::<Vec<_>>(),
        memory.entries.iter().map(|e| &e.line).collect::<Vec<_>>()
    );
    assert_answer(&text, &of_files, &files);
    let lines = files.entries.iter().map(|entry| &entry.line[..]).collect::<Vec<_>>().concat();
    files.entries.iter().for_each(|entry| assert_line(&entry.line));
    assert_recorded_again(&lines, files.entries.len());
}

/// The answer of a store, and what it then has.
fn written(backend: &str, text: &str) -> (Result<Receipt, Error>, Whole) {
    let host = Memory::with_backend(backend);
    let mut store = Store::new(host.clone());
    let answer = store.write_jsonl(text);
    let counts = store.status().counts;
    let sent = text.split('\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64;
    let stored = answer.as_ref().map_or(0, |receipt| receipt.accepted);
    assert_eq!((counts.received, counts.stored, counts.rejected), (sent, stored, sent - stored));
    let whole = read_all(&mut store, &Filter::default(), Order::OldestFirst, 0);
    if backend == "jsonl" {
        let bytes = host.files().into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>().concat();
        let mut lines: Vec<&[u8]> = whole.entries.iter().map(|entry| entry.line.as_bytes()).collect();
        let mut found: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        lines.sort_unstable();
        found.sort_unstable();
        assert!(lines == found, "the files have other lines than a read gives");
    }
    (answer, whole)
}

fn assert_answer(text: &str, answer: &Result<Receipt, Error>, whole: &Whole) {
    let lines = text.split('\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let wrong = |line: &str| {
        let ts = parse_sent(line).map(|sent| sent.event.ts.into_owned());
        ts.map_or(true, |ts| !ts.is_empty() && Timestamp::parse(&ts).is_err())
    };
    let first_wrong = lines.clone().find(|(_, line)| wrong(line)).map(|(index, _)| index as u64);
    match answer {
        Ok(receipt) => {
            assert_eq!((first_wrong, whole.entries.len() as u64), (None, receipt.accepted));
            lines.for_each(|(_, line)| assert_object(line));
        }
        Err(Error::Invalid { index, invalid }) => {
            assert_eq!((first_wrong, whole.entries.len()), (Some(*index), 0));
            assert!(!invalid.field.is_empty() && !invalid.reason.is_empty());
            assert!(!invalid.to_string().contains(char::is_control), "{invalid}");
        }
        Err(error) => panic!("{error}"),
    }
}

/// A parser of JSON takes the line for an object. Half of a surrogate pair is no text for it, but stays JSON.
fn assert_object(line: &str) {
    let line = line.trim_ascii();
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let raw = serde_json::from_str::<&RawValue>(line).map(RawValue::get);
    assert!(raw.is_ok_and(|raw| raw.starts_with('{')), "what is no JSON object is recorded: {line:?}");
}

fn assert_line(text: &str) {
    let line = text.as_bytes();
    assert!(line.len() <= MAX_LEN, "a line of {} bytes: {text}", line.len());
    let value: Value = serde_json::from_slice(line).expect("a line is JSON");
    let Line::Leaf(leaf) = leaf::of_line(line) else { panic!("a line has no leaf: {text}") };
    assert_eq!(value["hash"], leaf.to_hex(), "{text}");
    let parsed = parse_stored(text.trim_ascii_end()).expect("a line is an event");
    let stamp = parsed.stamp.expect("a line of a store has a stamp");
    let mut again = Vec::new();
    audit_format::line::put_entry(&parsed.event, &stamp, &mut again);
    assert_eq!(text.as_bytes(), again, "a line is encoded otherwise again");
}

/// The lines of a store are recorded again without a change.
fn assert_recorded_again(text: &str, count: usize) {
    let mut store = Store::new(Memory::with_backend("memory"));
    let receipt = store.write_jsonl(text).expect("a store takes its own lines");
    assert_eq!(
        (receipt.accepted, store.status().mended),
        (count as u64, 0),
        "its own lines are changed: {text}"
    );
    let events = |lines: &str| -> Vec<Value> {
        let mut events: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for event in &mut events {
            for name in audit_format::line::STAMP_FIELDS {
                event.as_object_mut().expect("an object").remove(name);
            }
        }
        events
    };
    let whole = read_all(&mut store, &Filter::default(), Order::OldestFirst, 0);
    let again = whole.entries.iter().map(|entry| &entry.line[..]).collect::<Vec<_>>().concat();
    let sorted = |mut events: Vec<Value>| {
        events.sort_by_key(Value::to_string);
        events
    };
    assert_eq!(sorted(events(text)), sorted(events(&again)));
}
