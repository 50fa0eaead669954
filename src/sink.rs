//! How a read returns its entries: the backend hands those of the page, in the order of the query, to a
//! [`Sink`].

use alloc::string::String;
use alloc::vec::Vec;
use audit_format::Invalid;
use audit_format::cursor::Key;
use audit_format::line::Parsed;
use audit_format::read::parse_stored;

/// Takes the entries of a page, in their order.
pub trait Sink {
    /// Takes the next entry.
    fn take(&mut self, entry: Found<'_>);

    /// Takes all entries of a page at once, as their lines. A sink that takes each by itself returns the lines.
    fn take_all(&mut self, lines: String, _count: usize) -> Option<String> {
        Some(lines)
    }
}

/// An entry of a page.
#[derive(Clone, Copy, Debug)]
pub struct Found<'l> {
    /// Its place in the order of the read.
    pub key: &'l Key,
    /// Its line, with its newline: a store's line as it is stored, another writer's encoded anew with the fields of an
    /// event.
    pub line: &'l str,
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
    /// The entry, with `ts` in the form that a store writes.
    ///
    /// # Errors
    /// If the line is not an event. The line of a page always is one: it was parsed when it was selected.
    pub fn parsed(&self) -> Result<Parsed<'l>, Invalid> {
        parse_stored(self.line)
    }
}

/// A page as JSON lines.
#[derive(Debug, Default)]
pub struct JsonLines {
    lines: String,
    count: u32,
}

impl JsonLines {
    /// The lines and their number.
    pub fn into_parts(self) -> (String, u32) {
        (self.lines, self.count)
    }
}

impl Sink for JsonLines {
    fn take(&mut self, entry: Found<'_>) {
        self.lines.push_str(entry.line);
        self.count += 1;
    }

    fn take_all(&mut self, lines: String, count: usize) -> Option<String> {
        if self.lines.is_empty() {
            self.lines = lines;
        } else {
            self.lines.push_str(&lines);
        }
        self.count += count as u32;
        None
    }
}
