//! How queued events get into the component: in batches, each of which the component takes as a whole or not
//! at all.
//!
//! A batch with an invalid event is split around that event, so that the other events are stored. A batch
//! that cannot be stored now, because the disk is full or the folder is gone, goes back to the backlog and
//! waits there.

use std::time::Instant;

use super::{INSERT_TIME, Worker};
use crate::error::Error;
use crate::types::Event;

/// How many events in a row may stop the component, each by itself, until the cause is taken to be something
/// other than the events. These are dropped; the remaining ones wait.
const MAX_STOPS_IN_A_ROW: u32 = 3;

/// Events to pass to the component.
enum Piece {
    /// Events to be stored together, and how often the component has stopped over them.
    Batch(Vec<Event>, u32),
    /// Events that the component has rejected. They are written one by one, so that it counts each of them,
    /// and warns.
    Rejected(Vec<Event>),
}

/// What became of a batch.
enum Outcome {
    Stored,
    /// The event at this position is invalid.
    Invalid(usize),
    Rejected(Error),
    /// The component stopped.
    Stopped,
}

impl Worker {
    /// Delivers the backlog until it is empty, or until the component does not take it.
    pub(super) fn deliver(&mut self) {
        let insert_deadline = Instant::now() + INSERT_TIME;
        while self.stalled.is_none() && self.backlog.len() > 0 {
            self.limit_inserts(insert_deadline);
            let batch = self.backlog.take_batch();
            let (remaining, why) = self.deliver_batch(batch);
            self.backlog.put_back(remaining);
            self.stalled = why;
            self.publish();
        }
    }

    /// Returns the events that have to wait, and why.
    fn deliver_batch(&mut self, batch: Vec<Event>) -> (Vec<Event>, Option<Error>) {
        // A stack: the next piece is the last one.
        let mut pieces = vec![Piece::Batch(batch, 0)];
        let mut stops_in_a_row = 0;
        let mut followed = false;
        while let Some(piece) = pieces.pop() {
            let (mut events, stops) = match piece {
                Piece::Batch(events, stops) => (events, stops),
                Piece::Rejected(events) => {
                    events.into_iter().for_each(|event| self.write_rejected(event));
                    continue;
                }
            };
            match self.submit(&mut events) {
                Outcome::Stored => stops_in_a_row = 0,
                Outcome::Invalid(index) => {
                    let after = events.split_off(index + 1);
                    let invalid = events.split_off(index);
                    pieces.extend([
                        Piece::Batch(after, 0),
                        Piece::Rejected(invalid),
                        Piece::Batch(events, 0),
                    ]);
                }
                // Those that are stored are no more among the events.
                Outcome::Rejected(Error::Access(_) | Error::Incomplete(_))
                    if !followed && self.follow_folder(0) =>
                {
                    followed = true;
                    pieces.push(Piece::Batch(events, stops));
                }
                Outcome::Rejected(
                    why @ (Error::Access(_)
                    | Error::Incomplete(_)
                    | Error::Unavailable(_)
                    | Error::Unanswered(_)
                    | Error::Start(_)),
                ) => {
                    return (remaining(events, pieces), Some(why));
                }
                // The component would reject the same batch again.
                Outcome::Rejected(_) => pieces.push(Piece::Rejected(events)),
                Outcome::Stopped if stops == 0 => pieces.push(Piece::Batch(events, 1)),
                // Tried one by one, only the event that stops the component is lost.
                Outcome::Stopped if events.len() > 1 => {
                    pieces.extend(events.into_iter().rev().map(|event| Piece::Batch(vec![event], 2)));
                }
                Outcome::Stopped => {
                    self.drop_stopping(events.len());
                    stops_in_a_row += 1;
                    if stops_in_a_row == MAX_STOPS_IN_A_ROW {
                        let why = format!("each of {MAX_STOPS_IN_A_ROW} events in a row stopped it");
                        return (remaining(Vec::new(), pieces), Some(Error::Trap(why)));
                    }
                }
            }
        }
        (Vec::new(), None)
    }

    /// Passes the events to the component, and removes those that it has accepted.
    fn submit(&mut self, events: &mut Vec<Event>) -> Outcome {
        if events.is_empty() {
            return Outcome::Stored;
        }
        if let Err(error) = self.ensure_started() {
            return Outcome::Rejected(error);
        }
        match self.call(|instance| instance.write_events(events)) {
            Ok((answer, change)) => {
                let taken = usize::try_from(change.taken).unwrap_or(usize::MAX).min(events.len());
                let accepted: Vec<_> = events.drain(..taken).collect();
                self.ledger.accepted(change.taken, Some(accepted));
                self.ledger.withdraw(change.rejected);
                match answer {
                    Ok(_) => Outcome::Stored,
                    Err(Error::Invalid(value)) => match usize::try_from(value.index) {
                        Ok(index) if index < events.len() => Outcome::Invalid(index),
                        _ => Outcome::Rejected(Error::Invalid(value)),
                    },
                    Err(error) => Outcome::Rejected(error),
                }
            }
            Err(reason) => {
                self.recover(&reason, events);
                if events.is_empty() { Outcome::Stored } else { Outcome::Stopped }
            }
        }
    }

    /// Writes an event that the component has rejected in a batch. `writer.write` reports no error: the
    /// component counts the event by its reason instead.
    fn write_rejected(&mut self, event: Event) {
        if let Err(error) = self.ensure_started() {
            self.note(&format!("an event was not recorded: {error}"));
            self.ledger.lost(1);
            return;
        }
        match self.call(|instance| instance.write(&event)) {
            Ok((_, change)) => self.ledger.accepted(change.taken, Some(vec![event])),
            Err(reason) => {
                let mut events = vec![event];
                self.recover(&reason, &mut events);
                if !events.is_empty() {
                    self.drop_stopping(events.len());
                }
            }
        }
    }

    /// Drops an event that stops the component each time it is written.
    fn drop_stopping(&mut self, count: usize) {
        self.note("an event was not recorded: the component stopped each time it was written");
        self.ledger.invalid(count as u64);
    }
}

/// All events that are left, in their order.
fn remaining(mut events: Vec<Event>, pieces: Vec<Piece>) -> Vec<Event> {
    for piece in pieces.into_iter().rev() {
        let (Piece::Batch(more, _) | Piece::Rejected(more)) = piece;
        events.extend(more);
    }
    events
}
