//! Scanning the daily files for a page: only files whose days the page can still take entries from.

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

/// Offers the page every line in the folder that it could take. `all_zones` are the zone maps that earlier
/// pages of the read have made.
pub fn scan(
    folder: &mut impl Folder,
    all_zones: &mut Vec<Zones>,
    page: &mut Selection<'_>,
) -> Result<(), Error> {
    if !page.is_continuation() {
        // A new read: files may have been replaced since the last one, and its skipped lines are counted
        // anew.
        all_zones.clear();
    }
    for (day, name, is_file) in days(folder, page.order())? {
        // The file of a writer that rotates by local time has events of up to a day before or after.
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
            // The file was deleted after the folder was listed.
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

/// The zone map of a day's file.
fn zones_of(all: &mut Vec<Zones>, day: Day) -> &mut Zones {
    match all.iter().position(|zones| zones.day == day) {
        Some(known) => &mut all[known],
        None => all.push_mut(Zones::new(day)),
    }
}
