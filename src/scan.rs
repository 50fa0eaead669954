//! Scanning a file of lines for a page: part by part, so that memory does not grow with the file. Later pages
//! of a read only scan the parts that have lines of their span of time.

use crate::host::{File, FileError};
use crate::selection::{Seen, Selection};
use alloc::vec::Vec;
use audit_format::cursor::{Order, Position};
use audit_format::time::{Day, TEXT_LEN, Timestamp};
use memchr::memchr;

/// The size of a part, in bytes.
const PART_BYTES: u64 = if cfg!(test) { 600 } else { 256 << 10 };

/// The longest line that is read, in bytes. Other writers' lines may be longer than a store's.
const MAX_LINE_BYTES: usize = 8 << 20;

/// How much is read at once of a line that goes on beyond its part, in bytes.
const STEP_BYTES: usize = 64 << 10;

/// The zone map of a file: which instants its parts have, as far as earlier pages have seen. With it, the
/// pages of a long read do not each scan the whole file. Files only grow, so a full part stays as it is.
pub struct Zones {
    /// The day of the file.
    pub day: Day,
    size: u64,
    parts: Vec<Part>,
}

impl Zones {
    /// The zone map of a file that was not scanned yet.
    pub fn new(day: Day) -> Self {
        Self { day, size: 0, parts: Vec::new() }
    }
}

/// What is known of a part.
#[derive(Clone, Copy, Default)]
struct Part {
    /// Whether an earlier page of this read has counted its lines that are not events.
    counted: bool,
    /// None: the part was not scanned, can still grow, or has lines whose `ts` was not read.
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
    let parts = size.div_ceil(PART_BYTES) as usize;
    if size < zones.size {
        // It is another file, or was truncated.
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
        let start = part as u64 * PART_BYTES;
        let Part { counted, zone } = &mut zones.parts[part];
        // A first page scans all parts: the file may have been replaced since an earlier read.
        if page.is_continuation() && zone.is_some_and(|zone| !page.wants_texts(&zone.first, &zone.last)) {
            continue;
        }
        let skipped = page.skipped();
        *zone = scan_part(file, zones.day, start..size.min(start + PART_BYTES), &mut buffer, page)?;
        if page.is_continuation() && *counted {
            page.reset_skipped(skipped);
        }
        *counted = true;
    }
    Ok(())
}

/// Offers the lines that start within `part`. Returns their zone if it is final: the part is full, and the
/// `ts` of each event in it was read.
fn scan_part(
    file: &impl File,
    day: Day,
    part: core::ops::Range<u64>,
    buffer: &mut Vec<u8>,
    page: &mut Selection<'_>,
) -> Result<Option<Zone>, FileError> {
    let mut zone = Zone { first: Timestamp::MAX.text(), last: Timestamp::MIN.text() };
    let mut is_final = part.end - part.start == PART_BYTES;
    // The byte before the part tells whether a line starts with the part.
    let origin = part.start.saturating_sub(1);
    let len = (part.end - origin) as usize;
    buffer.clear();
    while buffer.len() < len && read_more(file, origin, len - buffer.len(), buffer)? {}
    let mut line = match part.start {
        0 => 0,
        _ => memchr(b'\n', buffer).map_or(len, |newline| newline + 1),
    };
    while line < len.min(buffer.len()) {
        let mut searched = line;
        let end = loop {
            if let Some(newline) = memchr(b'\n', &buffer[searched..]) {
                break searched + newline;
            }
            searched = buffer.len();
            if searched - line > MAX_LINE_BYTES {
                // The line goes on beyond the part, so no other line starts in it.
                page.skip();
                return Ok(None);
            }
            if !read_more(file, origin, STEP_BYTES, buffer)? {
                is_final = false;
                break searched;
            }
        };
        if end - line > MAX_LINE_BYTES {
            page.skip();
        } else {
            match page.offer(&buffer[line..end], Position { day: day.number(), offset: origin + line as u64 })
            {
                Seen::NoEvent => {}
                Seen::At(ts) => {
                    zone.first = zone.first.min(ts);
                    zone.last = zone.last.max(ts);
                }
                Seen::UnknownTs => is_final = false,
            }
        }
        line = end + 1;
    }
    Ok(is_final.then_some(zone))
}

/// Reads at most `len` bytes more into `buffer`, which has the bytes of the file from `origin`; false: the
/// file ends.
fn read_more(file: &impl File, origin: u64, len: usize, buffer: &mut Vec<u8>) -> Result<bool, FileError> {
    let read = file.read(origin + buffer.len() as u64, len)?;
    buffer.extend_from_slice(&read);
    Ok(!read.is_empty())
}
