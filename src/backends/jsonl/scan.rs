//! Scanning the files for a page: only those of the days that the page could still take from.

use super::{Folder, Jsonl};
use crate::backends::scan::{Zones, scan_file};
use crate::error::Error;
use crate::host::FileError;
use crate::names;
use crate::page::Collector;
use crate::query::Order;
use crate::time::Day;
use alloc::collections::BinaryHeap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl<F: Folder> Jsonl<F> {
    /// Offers the page every line it could take.
    pub(super) fn scan(&mut self, page: &mut Collector<'_>) -> Result<(), Error> {
        if !page.goes_on() {
            // Files may have been replaced since, and their lines that are no events are counted anew.
            self.zones.clear();
        }
        for (day, name, is_file) in self.days(page.order())? {
            // A writer that rotates by local time is up to a day off.
            if !page.wants(day.plus(-1).first(), day.plus(1).last()) {
                continue;
            }
            let scanned = if is_file {
                let zones = zones_of(&mut self.zones, day);
                self.folder.open(&name).and_then(|file| scan_file(&file, zones, page))
            } else {
                Err(FileError::Other("it is not a regular file".into()))
            };
            match scanned {
                // Deleted since the folder was listed.
                Ok(()) | Err(FileError::NotFound) => {}
                Err(error) => {
                    page.unreadable(format!("cannot read {}/{name}: {error}", self.folder.path()));
                }
            }
        }
        Ok(())
    }

    fn days(&mut self, order: Order) -> Result<Vec<(Day, String, bool)>, Error> {
        let names = self.folder.list().map_err(|error| {
            Error::Access(format!("cannot read the folder {}: {error}", self.folder.path()))
        })?;
        let days =
            names.into_iter().filter_map(|(name, is_file)| Some((names::day_of(&name)?, name, is_file)));
        // A heap, because pages are sorted by one too: another kind of sort would be a fiftieth of the component.
        let mut days = days.collect::<BinaryHeap<_>>().into_sorted_vec();
        if let Order::NewestFirst = order {
            days.reverse();
        }
        Ok(days)
    }
}

fn zones_of(all: &mut Vec<Zones>, day: Day) -> &mut Zones {
    match all.iter().position(|zones| zones.day == day) {
        Some(known) => &mut all[known],
        None => all.push_mut(Zones::new(day)),
    }
}
