//! The events that the worker has taken from the queue and that the component has not accepted yet.

use std::collections::VecDeque;

use crate::types::Event;

/// The most events of one batch: enough that the cost of the call itself does not matter.
const BATCH_EVENTS: usize = 1024;

/// The most bytes of one batch, unless a single event is larger: a small part of the component's memory.
const BATCH_BYTES: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Backlog {
    events: VecDeque<Event>,
    bytes: usize,
}

impl Backlog {
    pub(super) fn append(&mut self, mut events: VecDeque<Event>, bytes: usize) {
        self.bytes += bytes;
        if self.events.is_empty() {
            self.events = events;
        } else {
            self.events.append(&mut events);
        }
    }

    /// Puts events back in front of all others.
    pub(super) fn put_back(&mut self, events: Vec<Event>) {
        for event in events.into_iter().rev() {
            self.bytes += event.size();
            self.events.push_front(event);
        }
    }

    /// Takes the events of the next batch out.
    pub(super) fn take_batch(&mut self) -> Vec<Event> {
        let mut bytes = 0;
        let mut count = 0;
        for event in self.events.iter().take(BATCH_EVENTS) {
            bytes += event.size();
            if count > 0 && bytes > BATCH_BYTES {
                bytes -= event.size();
                break;
            }
            count += 1;
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        self.events.drain(..count).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(tool: &str) -> Event {
        Event { tool: tool.into(), ..Event::default() }
    }

    fn backlog(events: Vec<Event>) -> Backlog {
        let bytes = events.iter().map(Event::size).sum();
        let mut backlog = Backlog::default();
        backlog.append(events.into(), bytes);
        backlog
    }

    #[test]
    fn a_batch_has_a_bounded_count_and_size() {
        let mut many = backlog(vec![event("t"); 3000]);
        let sizes: Vec<_> = (0..4).map(|_| many.take_batch().len()).collect();
        assert_eq!(sizes, [1024, 1024, 952, 0]);
        assert_eq!((many.len(), many.bytes()), (0, 0));

        let large = event(&"x".repeat(600_000));
        let mut few = backlog(vec![large.clone(), large.clone(), event(&"x".repeat(2 << 20)), large]);
        let sizes: Vec<_> = (0..5).map(|_| few.take_batch().len()).collect();
        assert_eq!(sizes, [1, 1, 1, 1, 0]);
        assert_eq!(few.bytes(), 0);
    }

    #[test]
    fn events_that_are_put_back_come_first_and_in_order() {
        let mut backlog = backlog(vec![event("a"), event("b"), event("c")]);
        let before = backlog.bytes();
        let mut batch = backlog.take_batch();
        backlog.append([event("d")].into(), event("d").size());
        backlog.put_back(batch.split_off(1));
        assert_eq!(backlog.bytes(), before);
        assert_eq!(backlog.take_batch(), [event("b"), event("c"), event("d")]);
    }
}
