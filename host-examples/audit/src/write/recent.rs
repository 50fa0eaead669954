//! Which lines the last events come from, to name them where it turns out at the end that they are not recorded.

use std::collections::VecDeque;
use std::ops::Range;

/// How many runs may be kept. Without empty and rejected lines there is one.
const MAX_RUNS: usize = 1024;

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
            self.add_run(line..line + 1);
        }
    }

    /// Adds the events of lines of which none is empty.
    pub(super) fn add_run(&mut self, lines: Range<u64>) {
        self.events += lines.end - lines.start;
        match self.runs.back_mut() {
            Some(run) if run.end == lines.start => run.end = lines.end,
            _ => self.runs.push_back(lines),
        }
    }

    /// Whether the lines take much memory, so that it is time to forget some.
    pub(super) fn is_scattered(&self) -> bool {
        self.runs.len() > MAX_RUNS
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
        recent.add_run(9..10);
        assert_eq!(recent.first(), 9);
    }
}
