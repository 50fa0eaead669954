//! Every character in every text.

use crate::site::{Attribute, Event, Settings, Site, TEXTS, empty, no_settings};

/// So many characters are in a text: few enough for none to be cut, with one in each field.
const AT_ONCE: usize = 60;

/// So many events are in a batch.
const BATCH: usize = 4000;

/// Events that have every scalar value of Unicode in each of their texts.
fn events() -> Vec<Event> {
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    let event = |chars: &[char]| {
        let text: String = chars.iter().collect();
        let mut event = empty();
        TEXTS[1..TEXTS.len() - 1].iter().for_each(|(_, set)| set(&mut event, text.clone()));
        event.attributes = vec![Attribute { key: "key".into(), value: text }];
        event
    };
    all.chunks(AT_ONCE).map(event).collect()
}

/// The event as it is stored: U+0000 is the only character that is not.
fn stored(mut event: Event, ts: &str) -> Event {
    for text in [&mut event.graph_run_id, &mut event.graph_node, &mut event.job_id].into_iter().flatten() {
        *text = text.replace('\0', "\u{fffd}");
    }
    let replaced = event.tool.replace('\0', "\u{fffd}");
    TEXTS[1..9].iter().for_each(|(_, set)| set(&mut event, replaced.clone()));
    event.attributes[0].value = replaced;
    event.ts = ts.to_owned();
    event
}

#[test]
fn every_character_is_read_back_from_every_text_but_for_the_one_that_cannot_be_stored() {
    let mut site = Site::open("memory");
    site.configure(&Settings { memory_limit: Some(1 << 20), ..no_settings() }).unwrap();
    let events = events();
    for batch in events.chunks(BATCH) {
        assert_eq!(site.write_batch(batch).map(|receipt| receipt.accepted), Ok(batch.len() as u64));
    }
    let entries = site.everything();
    assert_eq!((entries.len(), site.status().mended), (events.len(), 1));
    for (entry, sent) in entries.iter().zip(events) {
        assert!(entry.event == stored(sent, &entry.event.ts), "{:?}", entry.event);
    }
    site.assert_plain_stderr();
}
