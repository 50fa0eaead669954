//! How a read returns its entries: the backend hands those of the page, in the order of the query, to a
//! [`Sink`].

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::Invalid;
use audit_format::cursor::Key;
use audit_format::line::{self, Parsed};
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use memchr::memchr;

/// Takes the entries of a page, in their order.
pub trait Sink {
    /// Takes the next entry.
    fn take(&mut self, entry: Found<'_>);
}

/// An entry of a page.
#[derive(Clone, Copy, Debug)]
pub struct Found<'l> {
    /// Its place in the order of the read.
    pub key: &'l Key,
    /// Its stored line, without the newline.
    pub line: &'l [u8],
}

/// What a read returns besides the entries.
#[derive(Debug, Default)]
pub struct End {
    /// The last key of this page, from which the next page continues; none: this is the last page.
    pub next: Option<Key>,
    /// How many lines and files were skipped because they could not be read.
    pub skipped: u64,
    /// The skipped files, each with the reason, for warnings.
    pub unreadable: Vec<String>,
}

impl<'l> Found<'l> {
    /// Whether a store wrote the line, and not another program.
    pub fn is_own(&self) -> bool {
        self.key.id.is_some()
    }

    /// The entry, with `ts` in the form that a store writes.
    ///
    /// # Errors
    /// If the line is not an event. The line of a page always is one: it was parsed when it was selected.
    pub fn parsed(&self) -> Result<Parsed<'l>, Invalid> {
        let line = core::str::from_utf8(self.line).map_err(|e| Invalid::new("json", e.to_string()))?;
        let mut parsed = parse_stored(line)?;
        if !self.is_own() {
            let at = Timestamp::parse(&parsed.event.ts).map_err(|e| Invalid::new("ts", e.to_string()))?;
            parsed.event.ts = at.to_string().into();
            parsed.stamp = None;
        }
        Ok(parsed)
    }

    /// Appends the entry as a JSON line: a store's line as it is, another writer's encoded anew with the fields of an
    /// event.
    pub fn put(&self, out: &mut Vec<u8>) {
        // What is escaped may be half of a surrogate pair, where somebody has edited the line.
        if self.is_own() && memchr(b'\\', self.line).is_none() {
            out.extend_from_slice(self.line);
            out.push(b'\n');
            return;
        }
        match self.parsed() {
            Ok(Parsed { event, stamp: Some(stamp) }) => line::put_entry(&event, &stamp, out),
            Ok(Parsed { event, stamp: None }) => {
                line::put_event(&event, out);
                out.push(b'\n');
            }
            Err(_) => {}
        }
    }
}

/// A page as JSON lines.
#[derive(Debug, Default)]
pub struct JsonLines {
    lines: Vec<u8>,
    count: u32,
}

impl JsonLines {
    /// The lines and their number.
    pub fn into_parts(self) -> (String, u32) {
        // Only lines of valid UTF-8 are selected.
        (String::from_utf8(self.lines).unwrap_or_default(), self.count)
    }
}

impl Sink for JsonLines {
    fn take(&mut self, entry: Found<'_>) {
        entry.put(&mut self.lines);
        self.count += 1;
    }
}
