//! A store that writes, and everything that it has said about its events.

use std::collections::BTreeSet;

use audit_fixtures::{all_numbered, assert_balanced, assert_chains, everything, start, stored};
use audit_host::{Entry, Error, Event, Instance};
use audit_testbed::{age_spools, spools, wait_for};

use super::Variant;
use super::place::Place;

pub struct Writer<'p> {
    place: &'p Place,
    variant: Variant,
    pub store: Instance,
    chain: String,
    sent: Vec<Event>,
    /// The numbers of the events that the database refuses.
    refused: Vec<u64>,
    /// So many of the first events may not be lost any more, whatever becomes of the store.
    safe: usize,
}

impl<'p> Writer<'p> {
    pub fn open(place: &'p Place, variant: &Variant) -> Self {
        let mut store = start(&place.options(variant.backend));
        let chain = store.status().unwrap().chain;
        Self { place, variant: *variant, store, chain, sent: Vec::new(), refused: Vec::new(), safe: 0 }
    }

    pub fn write(&mut self, count: u64) {
        let from = self.sent.len() as u64;
        self.write_events(all_numbered(&self.chain, from..from + count));
    }

    pub fn write_events(&mut self, events: Vec<Event>) {
        self.store.write_batch(&events).expect("there is room");
        self.sent.extend(events);
        self.check_counts();
    }

    /// Writes an event that the database will refuse.
    pub fn write_refused(&mut self, tool: &str) {
        self.refused.push(self.sent.len() as u64);
        let mut events = all_numbered(&self.chain, self.sent.len() as u64..self.sent.len() as u64 + 1);
        events[0].tool = tool.to_owned();
        self.write_events(events);
    }

    pub fn flush(&mut self) {
        let flushed = self.store.flush();
        self.check(&flushed);
    }

    /// Checks what a call says that passes all events on.
    pub fn check(&mut self, told: &Result<(), Error>) {
        let (counts, in_table) = self.check_counts();
        match told {
            Ok(()) => {
                assert_eq!(counts.pending, 0);
                let left = counts.spooled + self.refused.len() as u64;
                assert!(in_table + left >= self.sent.len() as u64, "{in_table} are stored of {counts:?}");
                self.safe = self.sent.len();
            }
            Err(Error::Unanswered(_)) => assert!(counts.pending > 0, "{counts:?}"),
            Err(Error::Unavailable(text)) => {
                // It says that nothing of what waits was stored, and so nothing may come later either.
                self.place.calm();
                let (counts, in_table) = self.check_counts();
                assert_eq!(in_table, counts.stored, "something is stored after all: {text}");
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Checks that what counts as stored is in the table. Returns the counts, and how many rows there are.
    fn check_counts(&mut self) -> (audit_host::Counts, u64) {
        let counts = self.store.status().unwrap().counts;
        assert_balanced(&counts);
        assert_eq!(counts.received, self.sent.len() as u64);
        assert!(counts.dropped.unwritable <= self.refused.len() as u64, "{counts:?}");
        let in_table = self.place.stored(&self.chain);
        assert!(counts.stored <= in_table, "only {in_table} rows of {counts:?}");
        (counts, in_table)
    }

    /// Like [`Writer::finish`], for a store that is closed.
    pub fn finish_closed(mut self) {
        self.variant.killed = true;
        self.finish();
    }

    /// Ends the fault. Then everything comes to its place: by this store, or by another one in its place.
    pub fn finish(mut self) {
        self.place.heal();
        if !self.variant.killed {
            self.settle();
        }
        let Self { place, variant, store, chain, sent, refused, safe } = self;
        drop(store);
        if variant.killed {
            drain(place, &variant);
        }
        assert_eq!(spools(place.folder()).len(), 0);

        let rows = place.rows();
        assert_chains(&rows, &refused);
        let expected = |n: usize| !refused.contains(&(n as u64));
        let own: Vec<&Entry> = rows.iter().filter(|row| row.chain == chain).collect();
        let least = (0..if variant.killed { safe } else { sent.len() }).filter(|n| expected(*n)).count();
        assert!(own.len() >= least, "{} of at least {least} events are there", own.len());
        for (row, (_, event)) in own.iter().zip(sent.iter().enumerate().filter(|(n, _)| expected(*n))) {
            assert_eq!(row.event, stored(event));
        }
        assert_explained(place, &variant, &chain, &refused, own.last().map_or(0, |row| row.seq));
        assert_read(place, &variant, &rows);
    }

    /// Flushes until nothing waits.
    fn settle(&mut self) {
        wait_for(|| {
            let flushed = self.store.flush();
            let (counts, _) = self.check_counts();
            match flushed {
                Ok(()) if counts.pending + counts.spooled == 0 => Ok(()),
                flushed => Err(format!("{flushed:?}, {counts:?}")),
            }
        });
        let counts = self.store.status().unwrap().counts;
        let refused = self.refused.len() as u64;
        assert_eq!((counts.stored + refused, counts.dropped.unwritable), (counts.received, refused));
        self.safe = self.sent.len();
        // Files of others are taken over in time.
        drain(self.place, &self.variant);
    }
}

/// Another store drains what is left in the folder.
pub fn drain(place: &Place, variant: &Variant) {
    let mut next = start(&place.calm_options(variant.backend));
    wait_for(|| {
        age_spools(place.folder());
        next.flush().expect("the database answers");
        match spools(place.folder()).len() {
            0 => Ok(()),
            left => Err(format!("{left} files of the spool are left")),
        }
    });
    let counts = next.status().unwrap().counts;
    assert_eq!((counts.received, counts.dropped.unwritable), (0, 0), "events of others are not counted");
}

/// Checks that each hole in the chain is explained: by the database, or under `auto` by a file of the folder.
fn assert_explained(place: &Place, variant: &Variant, chain: &str, refused: &[u64], last: u64) {
    let holes: BTreeSet<u64> = refused.iter().copied().filter(|seq| *seq < last).collect();
    if holes.is_empty() {
        return;
    }
    let known: BTreeSet<u64> =
        place.calm_database().refused(chain).expect("the database answers").into_iter().collect();
    assert!(known.is_superset(&holes), "{holes:?} are refused, and tool_audit_refused has {known:?}");
    if variant.backend == "auto" {
        assert!(!audit_testbed::refused(place.folder()).is_empty(), "no file keeps the refused event");
    }
}

/// Checks that a read finds what the table has.
fn assert_read(place: &Place, variant: &Variant, rows: &[Entry]) {
    let mut reader = start(&place.calm_options(variant.backend).read_only(true));
    let (entries, skipped) = everything(&mut reader);
    let ids = |entries: &[Entry]| entries.iter().map(|entry| entry.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!((ids(&entries), entries.len(), skipped), (ids(rows), rows.len(), 0));
}
