//! Which lines the last events come from, to name them where it turns out at the end that they are not recorded.

use std::collections::VecDeque;
use std::ops::Range;

/// The lines of the last events, as ranges of lines that follow each other.
#[derive(Default)]
pub(super) struct Recent {
    runs: VecDeque<Range<u64>>,
    events: u64,
}

impl Recent {
    /// Adds the events of whole lines, of which `first` is the number of the first one. Empty lines are none.
    pub(super) fn add(&mut self, lines: &str, first: u64) {
        let events =
            (first..).zip(lines.split_terminator('\n')).filter(|(_, line)| !line.trim_ascii().is_empty());
        for (line, _) in events {
            self.events += 1;
            match self.runs.back_mut() {
                Some(run) if run.end == line => run.end += 1,
                _ => self.runs.push_back(line..line + 1),
            }
        }
    }

    /// Forgets all but the last `count` events.
    pub(super) fn keep(&mut self, count: u64) {
        while self.events > count
            && let Some(run) = self.runs.front_mut()
        {
            let gone = (self.events - count).min(run.end - run.start);
            run.start += gone;
            self.events -= gone;
            if run.is_empty() {
                self.runs.pop_front();
            }
        }
    }

    /// The line of the first event; 0 if there is none.
    pub(super) fn first(&self) -> u64 {
        self.runs.front().map_or(0, |run| run.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_last_events_is_found_between_empty_and_rejected_lines() {
        let mut recent = Recent::default();
        recent.add("a\n\nb\nc\n", 1);
        // Line 5 is rejected.
        recent.add("d\n \ne", 6);
        for (count, line) in [(9, 1), (5, 1), (4, 3), (3, 4), (2, 6), (1, 8), (0, 0)] {
            recent.keep(count);
            assert_eq!(recent.first(), line, "{count}");
        }
        recent.add("f\n", 9);
        assert_eq!(recent.first(), 9);
    }
}
