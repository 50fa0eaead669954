//! Events that parts of the program make of what others say.

use audit_format::event::{Dated, Event};
use audit_format::line::{self, MAX_LEN};
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use uuid::Uuid;

/// Asserts that a store takes the event, and gives it back.
pub(crate) fn assert_recordable(event: &Event<'_>) {
    let now = Timestamp::clamped(0);
    let mut dated = Dated::new(event.clone(), now).expect("a call has a time");
    let mut line = Vec::new();
    line::encode(
        &mut dated,
        Uuid::from_u128(7 << 76 | 2 << 62),
        Uuid::from_u128(7 << 76 | 2 << 62 | 1),
        0,
        &mut line,
    );
    assert!(line.len() <= MAX_LEN);
    let text = std::str::from_utf8(&line).expect("a line is UTF-8");
    assert_eq!(parse_stored(text.trim_ascii_end()).expect("a line is an event").event, *dated.event());
}
