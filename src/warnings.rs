//! The rate limit of the warnings on stderr: each topic is shown at most once a minute, and the next warning
//! says how many were held back.

use crate::accounting::DropReason;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::mended::Change;
use audit_format::time::Timestamp;

const INTERVAL_MICROS: u64 = 60_000_000;

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Events were dropped for this reason.
    Dropped(DropReason),
    /// Something was changed in events that are recorded.
    Mended(Change),
    /// Events cannot be written now and stay buffered, or cannot be made durable. None is dropped.
    Flush,
    /// A file cannot be read.
    Read,
    /// The database takes no events; nothing is lost.
    Database,
    /// The database takes events again.
    Recovered,
}

/// Which warnings were shown, and when.
#[derive(Debug, Default)]
pub struct Warnings {
    shown: Vec<Shown>,
}

#[derive(Debug)]
struct Shown {
    topic: Topic,
    at: Timestamp,
    /// How many were held back since then.
    held_back: u64,
}

impl Warnings {
    /// The line to show; none: a warning on this topic was shown less than a minute ago.
    pub fn line(&mut self, topic: Topic, text: &str, now: Timestamp) -> Option<String> {
        let mut more = String::new();
        if let Some(shown) = self.shown.iter_mut().find(|shown| shown.topic == topic) {
            if now.micros().abs_diff(shown.at.micros()) < INTERVAL_MICROS {
                shown.held_back += 1;
                return None;
            }
            if shown.held_back > 0 {
                more = format!(" ({} more since the last warning)", shown.held_back);
            }
            (shown.at, shown.held_back) = (now, 0);
        } else {
            self.shown.push(Shown { topic, at: now, held_back: 0 });
        }
        Some(format!("audit-store: {text}{more}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_warns_once_a_minute_and_counts_the_rest() {
        let mut warnings = Warnings::default();
        let mut line = |second: i64, topic| warnings.line(topic, "x", Timestamp::clamped(second * 1_000_000));
        let topic = Topic::Dropped(DropReason::QueueFull);
        let shown: Vec<_> = [0, 1, 59, 60, 61, 121].map(|second| line(second, topic)).into();
        let expected = [
            Some("audit-store: x"),
            None,
            None,
            Some("audit-store: x (2 more since the last warning)"),
            None,
            Some("audit-store: x (1 more since the last warning)"),
        ];
        assert_eq!(shown.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
        assert!(line(121, Topic::Flush).is_some());
    }
}
