//! Scanning the daily files for a page: only those of the days that the page could still take from.

use crate::error::Error;
use crate::host::{FileError, Folder};
use crate::scan::{Zones, scan_file};
use crate::selection::Selection;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::cursor::Order;
use audit_format::names;
use audit_format::time::Day;

/// Offers the page every line in the folder that it could take. `zones` is what was seen in the files by the pages
/// before.
pub fn scan(
    folder: &mut impl Folder,
    all_zones: &mut Vec<Zones>,
    page: &mut Selection<'_>,
) -> Result<(), Error> {
    if !page.goes_on() {
        // Files may have been replaced since, and their lines that are no events are counted anew.
        all_zones.clear();
    }
    for (day, name, is_file) in days(folder, page.order())? {
        // A writer that rotates by local time is up to a day off.
        if !page.wants(day.plus(-1).first(), day.plus(1).last()) {
            continue;
        }
        let scanned = if is_file {
            let zones = zones_of(all_zones, day);
            folder.open(&name).and_then(|file| scan_file(&file, zones, page))
        } else {
            Err(FileError::Other("it is not a regular file".into()))
        };
        match scanned {
            // Deleted since the folder was listed.
            Ok(()) | Err(FileError::NotFound) => {}
            Err(error) => page.skip_file(format!("cannot read {}/{name}: {error}", folder.path())),
        }
    }
    Ok(())
}

/// The daily files, in the order of their days, each with whether it is a regular file.
fn days(folder: &mut impl Folder, order: Order) -> Result<Vec<(Day, String, bool)>, Error> {
    let names = folder
        .list()
        .map_err(|error| Error::Access(format!("cannot read the folder {}: {error}", folder.path())))?;
    let days = names.into_iter().filter_map(|(name, is_file)| Some((names::day_of(&name)?, name, is_file)));
    let mut days: Vec<_> = days.collect();
    days.sort_unstable_by(|a, b| order.compare(a, b));
    Ok(days)
}

fn zones_of(all: &mut Vec<Zones>, day: Day) -> &mut Zones {
    match all.iter().position(|zones| zones.day == day) {
        Some(known) => &mut all[known],
        None => all.push_mut(Zones::new(day)),
    }
}
