//! Warnings on stderr: each topic at most once a minute, and what was held back counted in the next.

use crate::accounting::DropReason;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::time::Timestamp;

const INTERVAL_MICROS: u64 = 60_000_000;

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Events were dropped for this reason.
    Dropped(DropReason),
    /// What is buffered cannot be written; it is kept.
    Flush,
    /// A file cannot be read.
    Read,
    /// The database does not take anything; nothing is lost.
    Database,
    /// It takes events again.
    Recovered,
}

/// Which warnings were given when.
#[derive(Debug, Default)]
pub struct Warnings {
    given: Vec<Given>,
}

#[derive(Debug)]
struct Given {
    topic: Topic,
    at: Timestamp,
    since: u64,
}

impl Warnings {
    /// The line to show now, if it is time for one on this topic.
    pub fn line(&mut self, topic: Topic, text: &str, now: Timestamp) -> Option<String> {
        let mut more = String::new();
        if let Some(given) = self.given.iter_mut().find(|given| given.topic == topic) {
            if now.micros().abs_diff(given.at.micros()) < INTERVAL_MICROS {
                given.since += 1;
                return None;
            }
            if given.since > 0 {
                more = format!(" ({} more since the last warning)", given.since);
            }
            (given.at, given.since) = (now, 0);
        } else {
            self.given.push(Given { topic, at: now, since: 0 });
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
        let topic = Topic::Dropped(DropReason::Invalid);
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
