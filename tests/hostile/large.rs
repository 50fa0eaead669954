//! Texts, batches and filters as large as fit into the component's memory.

use crate::site::{Attribute, Error, Event};
use crate::site::{FILTERS, Site, TEXTS, empty, no_filter, page};

/// A text that nobody expects.
const LONG: usize = 10 << 20;

#[test]
fn a_text_of_ten_megabytes_in_any_field_is_stored() {
    let mut site = Site::open("jsonl");
    let text = "x".repeat(LONG);
    for (_, set) in TEXTS {
        let mut event = empty();
        set(&mut event, text.clone());
        site.write(&event);
    }
    assert_eq!(site.status().counts.stored, TEXTS.len() as u64);
    for (name, set) in TEXTS {
        let mut event = empty();
        set(&mut event, text.clone());
        match (name, site.write_batch(&[event])) {
            ("ts", Err(Error::Invalid(value))) => assert!(value.field == "ts" && value.reason.len() < 1000),
            (_, answer) => assert_eq!(answer.map(|receipt| receipt.accepted), Ok(1), "{name}"),
        }
    }
    let lines = format!("{{\"tool\":\"{text}\"}}\n{{\"attributes\":{{\"{text}\":\"{text}\"}}}}\n");
    assert_eq!(site.write_jsonl(&lines).map(|receipt| receipt.accepted), Ok(2));
    for wrong in [format!("{{\"{text}\":1}}"), format!("{{\"in_size\":\"{text}\"}}"), text] {
        let answer = site.write_jsonl(&wrong);
        assert!(matches!(&answer, Err(Error::Invalid(value)) if value.reason.len() < 1000), "{answer:.200?}");
    }
    assert_eq!(site.everything().len(), 2 * TEXTS.len() - 1 + 2);
}

#[test]
fn all_texts_of_an_event_may_be_large_at_once() {
    let mut site = Site::open("memory");
    let mut event = empty();
    TEXTS[1..].iter().for_each(|(_, set)| set(&mut event, "é".repeat(LONG / 4)));
    assert_eq!(site.write_batch(&[event]).map(|receipt| receipt.accepted), Ok(1));
}

#[test]
fn attributes_by_thousands_are_stored_as_sixteen() {
    let mut site = Site::open("jsonl");
    let pair = |n: usize| Attribute { key: format!("key{n}"), value: "v".repeat(n % 700) };
    site.write(&Event { attributes: (0..50_000).map(pair).collect(), ..empty() });
    let of_one_key = |n: usize| Attribute { key: "k".into(), value: n.to_string() };
    let event = Event { attributes: (0..50_000).map(of_one_key).collect(), ..empty() };
    assert_eq!(site.write_batch(&[event]).map(|receipt| receipt.accepted), Ok(1));
    let entries = site.everything();
    assert_eq!(entries[0].event.attributes.len(), 16);
    assert_eq!(entries[1].event.attributes, [Attribute { key: "k".into(), value: "49999".into() }]);
}

#[test]
fn batches_that_are_too_large_are_refused_and_leave_the_store_as_it_was() {
    let mut site = Site::open("jsonl");
    let is_too_large =
        |error: &Error| matches!(error, Error::Other(text) if text.contains("send smaller batches"));
    let lines = "{}\n".repeat(1_000_000);
    assert!(is_too_large(&site.write_jsonl(&lines).unwrap_err()));
    // So many lines that a list of them would not fit beside them.
    let lines = "{}\n".repeat((100 << 20) / 3);
    assert!(is_too_large(&site.write_jsonl(&lines).unwrap_err()));
    let blank = "\n".repeat(100 << 20);
    assert_eq!(site.write_jsonl(&blank).map(|receipt| receipt.accepted), Ok(0));
    let events = vec![empty(); 300_000];
    assert!(is_too_large(&site.write_batch(&events).unwrap_err()));
    assert_eq!(site.status().counts.rejected, 1_000_000 + (100 << 20) / 3 + 300_000);
    assert_eq!(site.write_jsonl("{}").map(|receipt| receipt.first_seq), Ok(0));
}

#[test]
fn filters_with_huge_texts_match_nothing() {
    let mut site = Site::open("jsonl");
    site.write(&empty());
    let text = "x".repeat(LONG);
    for (name, set) in FILTERS {
        let mut filter = no_filter();
        set(&mut filter, text.clone());
        match (name, site.read(&filter, &page(0, None))) {
            ("from_ts" | "to_ts", Err(Error::Invalid(value))) => {
                assert!(value.field == name && value.reason.len() < 1000, "{value:.200?}");
            }
            (_, answer) => assert_eq!(answer.map(|page| page.entries.len()), Ok(0), "{name}"),
        }
    }
    let answer = site.read(&no_filter(), &page(0, Some(text)));
    assert!(matches!(&answer, Err(Error::Invalid(value)) if value.field == "cursor"), "{answer:.200?}");
    let mut filter = no_filter();
    let pair = |n: usize| Attribute { key: format!("k{n}"), value: "v".into() };
    filter.attributes = (0..20_000).map(pair).collect();
    assert_eq!(site.read(&filter, &page(0, None)).map(|page| page.entries.len()), Ok(0));
}

#[test]
fn a_text_that_was_cut_is_found_by_the_whole_of_it() {
    let mut site = Site::open("jsonl");
    let text = "x".repeat(LONG);
    site.write(&Event { tool: text.clone(), ..empty() });
    let mut filter = no_filter();
    filter.tool = Some(text);
    assert_eq!(site.read(&filter, &page(0, None)).map(|page| page.entries.len()), Ok(1));
}
