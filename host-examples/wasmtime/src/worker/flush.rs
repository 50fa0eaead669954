//! How buffered and spooled events are passed on: when a caller asks for it, and from time to time.

use std::time::Instant;

use super::Worker;
use crate::error::Error;
use crate::instance::Instance;
use crate::types::Spooled;

impl Worker {
    /// Passes on the backlog and what the component has buffered, and drains a part of the spool. Returns
    /// what is left of the spool if it became smaller.
    pub(crate) fn flush(&mut self) -> Result<Option<Spooled>, Error> {
        self.deliver_all()?;
        self.flush_instance()
    }

    /// Delivers the backlog. If the component's own queue is full, it is flushed first.
    pub(super) fn deliver_all(&mut self) -> Result<(), Error> {
        self.stalled = None;
        self.deliver();
        if let Some(Error::Unavailable(_)) = self.stalled {
            // If the flush fails, the backlog stalls again, for the same reason.
            let _ = self.flush_instance();
            self.stalled = None;
            self.deliver();
        }
        self.stalled.clone().map_or(Ok(()), Err)
    }

    /// Flushes the component, which drains a part of the spool. Returns what is left of the spool if it
    /// became smaller.
    pub(super) fn flush_instance(&mut self) -> Result<Option<Spooled>, Error> {
        let before = self.last_status.spooled();
        let mut flushed = self.call(Instance::flush);
        if let Ok((Err(Error::Access(_)), _)) = flushed
            && self.follow_folder(0)
        {
            // The backlog now also has what the old instance had in memory.
            self.stalled = None;
            self.deliver();
            flushed = self.call(Instance::flush);
        }
        match flushed {
            Ok((answer, _)) => answer.map(|()| self.left_to_drain(before)),
            Err(reason) => {
                self.recover(&reason, &mut Vec::new());
                Err(Error::Trap(reason))
            }
        }
    }

    /// Does the work that has to be done from time to time: flushes the component if events wait in it, and
    /// has it try a database again that did not answer. Returns whether there is more to drain now.
    pub(super) fn do_chores(&mut self) -> bool {
        let spools = self.spools();
        let probes = spools && Instant::now() >= self.probe_at;
        if self.last_status.counts.pending == 0 && !probes {
            return false;
        }
        // The component notes an error in its status, and the events stay pending.
        let left = self.flush_instance();
        let more = spools && matches!(left, Ok(Some(_)));
        if !more {
            self.probe_at = Instant::now() + self.recovery_interval;
        }
        more
    }

    /// When to do the chores next.
    pub(super) fn chores_at(&self, next_flush: Instant) -> Instant {
        if self.spools() { next_flush.min(self.probe_at) } else { next_flush }
    }

    /// Whether events may go to a spool.
    pub(super) fn spools(&self) -> bool {
        !self.read_only && self.last_status.has_spool()
    }

    /// What is left of the spool. `None` if that is nothing, or not less than before.
    fn left_to_drain(&self, before: Spooled) -> Option<Spooled> {
        let now = self.last_status.spooled();
        (now != Spooled::default() && now < before).then_some(now)
    }
}
