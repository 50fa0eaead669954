//! The one way of reading: whatever keeps entries hands those that a query asks for, in its order, to a sink.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::Invalid;
use audit_format::cursor::Key;
use audit_format::line::{self, Parsed};
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;

/// Takes the entries of a read, in its order.
pub trait Sink {
    /// Takes the next entry.
    fn take(&mut self, entry: Found<'_>);
}

/// An entry that a read has found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'l> {
    /// Its place in the order.
    pub key: &'l Key,
    /// Its line, without the newline.
    pub line: &'l [u8],
}

/// How a read ended.
#[derive(Debug, Default)]
pub struct End {
    /// The cursor of the next page; none: there is no more.
    pub next: Option<Key>,
    /// How many lines and files were passed over because they could not be read.
    pub skipped: u64,
    /// The files among them, each with the reason.
    pub unreadable: Vec<String>,
}

impl<'l> Found<'l> {
    /// Whether a store wrote the line.
    pub fn is_own(&self) -> bool {
        self.key.id.is_some()
    }

    /// The entry, with `ts` as a store writes it.
    ///
    /// # Errors
    /// None: what a read has found was parsed before.
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

    /// Appends the entry as a JSON line: that of a store as it is, that of another writer with the fifteen fields.
    pub fn put(&self, out: &mut Vec<u8>) {
        if self.is_own() {
            out.extend_from_slice(self.line);
        } else if let Ok(parsed) = self.parsed() {
            line::put_event(&parsed.event, out);
        }
        out.push(b'\n');
    }
}

/// A page as JSON lines.
#[derive(Debug, Default)]
pub struct JsonLines {
    lines: Vec<u8>,
    count: u32,
}

impl JsonLines {
    /// The lines, and how many there are.
    pub fn into_parts(self) -> (String, u32) {
        // What was parsed is UTF-8.
        (String::from_utf8(self.lines).unwrap_or_default(), self.count)
    }
}

impl Sink for JsonLines {
    fn take(&mut self, entry: Found<'_>) {
        entry.put(&mut self.lines);
        self.count += 1;
    }
}
