//! How queued events get into the component: in batches, of which it takes all or none.
//!
//! A batch with an invalid event is cut around that event, so that the others are stored.
//! A batch that cannot be stored now, because the disk is full or the folder is gone, waits in the backlog: it
//! is not dropped while there is room.

use std::time::Instant;

use super::{PATIENCE, Worker};
use crate::error::Error;
use crate::types::Event;

/// So many events that each stopped the component, one after the other, are dropped before the others have to
/// wait: then it is not the events.
const STOPS_IN_A_ROW: u32 = 3;

/// Events on their way.
enum Piece {
    /// To be stored together; the component stopped so many times over them.
    Batch(Vec<Event>, u32),
    /// Refused before: the component counts each of them, and warns.
    Refused(Vec<Event>),
}

enum Outcome {
    Done,
    Invalid(usize),
    Refused(Error),
    Stopped,
}

impl Worker {
    /// Hands the backlog over, as far as it is taken.
    pub(super) fn deliver(&mut self) {
        let patience = Instant::now() + PATIENCE;
        while self.stalled.is_none() && self.backlog.len() > 0 {
            self.hurry(patience);
            let batch = self.backlog.take_batch();
            let (rest, why) = self.hand_over(batch);
            self.backlog.put_back(rest);
            self.stalled = why;
            self.publish();
        }
    }

    /// Returns what has to wait, and why.
    fn hand_over(&mut self, batch: Vec<Event>) -> (Vec<Event>, Option<Error>) {
        // The next piece is the last one.
        let mut pieces = vec![Piece::Batch(batch, 0)];
        let mut stops = 0;
        let mut followed = false;
        while let Some(piece) = pieces.pop() {
            let (mut events, stopped) = match piece {
                Piece::Batch(events, stopped) => (events, stopped),
                Piece::Refused(events) => {
                    events.into_iter().for_each(|event| self.write_refused(event));
                    continue;
                }
            };
            match self.submit(&mut events) {
                Outcome::Done => stops = 0,
                Outcome::Invalid(index) => {
                    let after = events.split_off(index + 1);
                    let refused = events.split_off(index);
                    pieces.extend([Piece::Batch(after, 0), Piece::Refused(refused), Piece::Batch(events, 0)]);
                }
                Outcome::Refused(Error::Access(_)) if !followed && self.follow_folder(0) => {
                    followed = true;
                    pieces.push(Piece::Batch(events, stopped));
                }
                Outcome::Refused(why @ (Error::Access(_) | Error::Unavailable(_) | Error::Start(_))) => {
                    return (rest(events, pieces), Some(why));
                }
                // Handed over again, it would be refused again.
                Outcome::Refused(_) => pieces.push(Piece::Refused(events)),
                Outcome::Stopped if stopped == 0 => pieces.push(Piece::Batch(events, 1)),
                Outcome::Stopped if events.len() > 1 => {
                    pieces.extend(events.into_iter().rev().map(|event| Piece::Batch(vec![event], 2)));
                }
                Outcome::Stopped => {
                    self.drop_stopper(events.len());
                    stops += 1;
                    if stops == STOPS_IN_A_ROW {
                        let why = "it stopped over one event after the other".into();
                        return (rest(Vec::new(), pieces), Some(Error::Trap(why)));
                    }
                }
            }
        }
        (Vec::new(), None)
    }

    /// Tries to store all of the events; those that are stored are taken out.
    fn submit(&mut self, events: &mut Vec<Event>) -> Outcome {
        if events.is_empty() {
            return Outcome::Done;
        }
        if let Err(error) = self.ensure_started() {
            return Outcome::Refused(error);
        }
        match self.counted(|instance| instance.write_batch(events)) {
            Ok((answer, change)) => {
                let taken = usize::try_from(change.taken).unwrap_or(usize::MAX).min(events.len());
                let accepted: Vec<_> = events.drain(..taken).collect();
                self.ledger.accepted(change.taken, Some(accepted));
                self.ledger.withdraw(change.rejected);
                match answer {
                    Ok(_) => Outcome::Done,
                    Err(Error::Invalid(value)) => match usize::try_from(value.index) {
                        Ok(index) if index < events.len() => Outcome::Invalid(index),
                        _ => Outcome::Refused(Error::Invalid(value)),
                    },
                    Err(error) => Outcome::Refused(error),
                }
            }
            Err(reason) => {
                self.recover(&reason, events);
                if events.is_empty() { Outcome::Done } else { Outcome::Stopped }
            }
        }
    }

    fn write_refused(&mut self, event: Event) {
        if let Err(error) = self.ensure_started() {
            self.note(&format!("an event was not recorded: {error}"));
            self.ledger.lost(1);
            return;
        }
        match self.counted(|instance| instance.write(&event)) {
            Ok((_, change)) => self.ledger.accepted(change.taken, Some(vec![event])),
            Err(reason) => {
                let mut events = vec![event];
                self.recover(&reason, &mut events);
                if !events.is_empty() {
                    self.drop_stopper(events.len());
                }
            }
        }
    }

    fn drop_stopper(&mut self, count: usize) {
        self.note("an event was not recorded: the component stopped over it each time");
        self.ledger.lost(count as u64);
    }
}

/// All events that are left, in order.
fn rest(mut events: Vec<Event>, pieces: Vec<Piece>) -> Vec<Event> {
    for piece in pieces.into_iter().rev() {
        let (Piece::Batch(more, _) | Piece::Refused(more)) = piece;
        events.extend(more);
    }
    events
}
