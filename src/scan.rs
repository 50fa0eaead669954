//! Looking through a file of lines for a page: a part at a time, so that memory does not grow with the file, and
//! only the parts that the page could still take from.

use crate::host::{File, FileError};
use crate::selection::{Seen, Selection};
use alloc::vec::Vec;
use audit_format::cursor::{Order, Position};
use audit_format::time::{Day, TEXT_LEN, Timestamp};
use memchr::memchr;

/// How much of a file is looked at in one piece.
const PART: u64 = if cfg!(test) { 600 } else { 256 << 10 };

/// The longest line of another writer that is read.
const LONGEST: usize = 64 << 10;

/// What was seen in the parts of a file, so that the pages of a long read do not each read all of it. Files only
/// grow: what is whole stays as it is.
pub struct Zones {
    /// The day of the file.
    pub day: Day,
    size: u64,
    parts: Vec<Part>,
}

impl Zones {
    /// Nothing was seen yet of the file of this day.
    pub fn new(day: Day) -> Self {
        Self { day, size: 0, parts: Vec::new() }
    }
}

#[derive(Clone, Copy, Default)]
struct Part {
    /// Whether its lines that are no events were counted for this read.
    counted: bool,
    zone: Option<Zone>,
}

/// The first and the last `ts` of the lines that start in a part.
#[derive(Clone, Copy)]
struct Zone {
    first: [u8; TEXT_LEN],
    last: [u8; TEXT_LEN],
}

/// Offers the page every line of the file that it could take.
pub fn scan_file(file: &impl File, zones: &mut Zones, page: &mut Selection<'_>) -> Result<(), FileError> {
    let size = file.size()?;
    let parts = size.div_ceil(PART) as usize;
    if size < zones.size {
        // Not the file it was.
        zones.parts.clear();
    }
    zones.size = size;
    zones.parts.resize(parts, Part::default());
    let mut buffer = Vec::new();
    for part in 0..parts {
        let part = match page.order() {
            Order::OldestFirst => part,
            Order::NewestFirst => parts - 1 - part,
        };
        let start = part as u64 * PART;
        let Part { counted, zone } = &mut zones.parts[part];
        // A first page reads everything, whatever was seen before.
        if page.goes_on() && zone.is_some_and(|zone| !page.wants_texts(&zone.first, &zone.last)) {
            continue;
        }
        let skipped = page.skipped();
        *zone = scan_part(file, zones.day, start..size.min(start + PART), &mut buffer, page)?;
        if page.goes_on() && *counted {
            page.reset_skipped(skipped);
        }
        *counted = true;
    }
    Ok(())
}

/// Offers the lines that start within `part`, and says what was seen, if that is all that will ever be there.
fn scan_part(
    file: &impl File,
    day: Day,
    part: core::ops::Range<u64>,
    buffer: &mut Vec<u8>,
    page: &mut Selection<'_>,
) -> Result<Option<Zone>, FileError> {
    let mut zone = Zone { first: Timestamp::MAX.text(), last: Timestamp::MIN.text() };
    let mut whole = part.end - part.start == PART;
    // The byte before tells whether a line starts with the part.
    let origin = part.start.saturating_sub(1);
    let len = (part.end - origin) as usize;
    buffer.clear();
    while buffer.len() < len && read_more(file, origin, len - buffer.len(), buffer)? {}
    let mut line = match part.start {
        0 => 0,
        _ => memchr(b'\n', buffer).map_or(len, |newline| newline + 1),
    };
    while line < len.min(buffer.len()) {
        let mut looked = line;
        let end = loop {
            if let Some(newline) = memchr(b'\n', &buffer[looked..]) {
                break looked + newline;
            }
            looked = buffer.len();
            if looked - line > LONGEST {
                // What follows is still this line, and no other starts in this part.
                page.skip();
                return Ok(None);
            }
            if !read_more(file, origin, LONGEST, buffer)? {
                whole = false;
                break looked;
            }
        };
        if end - line > LONGEST {
            page.skip();
        } else {
            match page.offer(&buffer[line..end], Position { day: day.number(), offset: origin + line as u64 })
            {
                Seen::NoEvent => {}
                Seen::At(ts) => {
                    zone.first = zone.first.min(ts);
                    zone.last = zone.last.max(ts);
                }
                Seen::Unread => whole = false,
            }
        }
        line = end + 1;
    }
    Ok(whole.then_some(zone))
}

/// Reads at most `len` bytes behind those in `buffer`, which starts at `origin`; false: the file ends there.
fn read_more(file: &impl File, origin: u64, len: usize, buffer: &mut Vec<u8>) -> Result<bool, FileError> {
    let read = file.read(origin + buffer.len() as u64, len)?;
    buffer.extend_from_slice(&read);
    Ok(!read.is_empty())
}
