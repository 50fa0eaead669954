//! The selection of a page: a backend offers lines in any order, and the selection keeps the entries that
//! come first in the order of the query. All backends select through it, so that all have the same order.
//!
//! Lines that are offered in the order of the query are appended to each other, and are the page as they lie.

use crate::sink::{End, Found, Sink};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::cursor::{Key, Order, Position};
use audit_format::line;
use audit_format::own;
use audit_format::query::Query;
use audit_format::read::parse_stored;
use audit_format::time::{StoredTimes, Timestamp, is_stored_text};
use core::ops::Range;
use memchr::memchr;

/// The most memory of a page, in bytes: the guest's memory is sized for a few of this. Larger pages are not faster.
pub const MAX_PAGE_BYTES: usize = 16 << 20;

/// About how many bytes an entry of a page takes besides its line.
const ENTRY_BYTES: usize = 600;

/// What a file of UTF-8 may begin with.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The entries selected so far: little more than the page.
#[derive(Debug)]
pub struct Selection<'q> {
    query: &'q Query,
    entries: Vec<Entry>,
    /// Their lines, as a read gives them.
    lines: String,
    /// Whether `entries` is in the order of the query.
    in_order: bool,
    /// Whether `lines` has the lines of `entries` in their order, and no others.
    in_place: bool,
    /// Entries from this one on belong to later pages.
    cutoff: Option<Key>,
    /// Entries after this one were not all offered; none: all were.
    offered_until: Option<Key>,
    skipped: u64,
    unreadable: Vec<String>,
    /// The span of instants from which the page can still take entries.
    first: Timestamp,
    last: Timestamp,
    times: StoredTimes,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    /// Where its line is, with its newline.
    line: Range<usize>,
}

impl Entry {
    fn size(&self) -> usize {
        self.line.len() + ENTRY_BYTES
    }
}

impl<'q> Selection<'q> {
    /// An empty selection for the page that `query` asks for.
    pub fn new(query: &'q Query) -> Self {
        let (first, last) = query.span();
        Self {
            query,
            entries: Vec::new(),
            lines: String::new(),
            in_order: true,
            in_place: true,
            cutoff: None,
            offered_until: None,
            skipped: 0,
            unreadable: Vec::new(),
            first,
            last,
            times: StoredTimes::default(),
        }
    }

    /// What is selected.
    pub fn query(&self) -> &'q Query {
        self.query
    }

    /// The order of the query. Lines that are offered in this order cost the least.
    pub fn order(&self) -> Order {
        self.query.order
    }

    /// Whether the page could still take an entry from between these instants, both inclusive.
    pub fn wants(&self, first: Timestamp, last: Timestamp) -> bool {
        first <= self.last && last >= self.first
    }

    /// Whether the page continues an earlier one: the request has a cursor.
    pub fn is_continuation(&self) -> bool {
        self.query.after.is_some()
    }

    /// Counts a file that cannot be read.
    pub fn skip_file(&mut self, why: String) {
        self.skipped += 1;
        self.unreadable.push(why);
    }

    /// Counts a line that is not an event.
    pub fn skip(&mut self) {
        self.skipped += 1;
    }

    /// How many lines and files were counted as skipped so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Sets the count of skipped lines and files back to an earlier one.
    pub fn reset_skipped(&mut self, skipped: u64) {
        self.skipped = skipped;
    }

    /// Selects the line at `position` if it belongs in the page, and counts it as skipped if it turns out not to be an
    /// event. Returns its [`instant`] if that was read.
    pub fn offer(&mut self, line: &[u8], position: Position) -> Option<Timestamp> {
        let line = trimmed(line);
        if line.is_empty() {
            return None;
        }
        let stored = own::ts(line).and_then(|ts| self.times.parse(ts));
        if stored.is_some_and(|at| !self.wants(at, at)) || !self.query.may_match(line) {
            return stored;
        }
        // Faster than `from_utf8_lossy` for what is UTF-8.
        let line = core::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
        if !self.query.has_texts()
            && let Some(key) = own::key(&line, &mut self.times)
        {
            self.take(key, &line);
            return Some(key.at);
        }
        let at = self.offer_parsed(&line, position);
        stored.or(at)
    }

    /// Parses the line, and selects it if it belongs in the page. Returns the event's instant; none: it is
    /// not an event.
    fn offer_parsed(&mut self, line: &str, position: Position) -> Option<Timestamp> {
        let parsed = parse_stored(line).ok();
        let Some((parsed, at)) = parsed.and_then(|p| Timestamp::parse(&p.event.ts).ok().map(|at| (p, at)))
        else {
            self.skip();
            return None;
        };
        // A store writes `ts` in the stored form only. With another `ts` the line is another writer's,
        // despite its stamp.
        let own = parsed.stamp.filter(|_| is_stored_text(parsed.event.ts.as_bytes()));
        let key = match own {
            Some(stamp) => Key::of_entry(at, stamp.id),
            None => Key::of_foreign(at, position),
        };
        if self.query.texts_match(&parsed.event) {
            self.take(key, line);
        }
        Some(at)
    }

    /// Selects the line with this key if it belongs in the page. Its texts must be those of the query.
    pub fn take(&mut self, key: Key, line: &str) {
        let order = self.query.order;
        let wanted = (self.query.from..=self.query.to).contains(&key.at)
            && self.query.after.is_none_or(|after| order.compare(&key, &after).is_gt())
            && self.cutoff.is_none_or(|cutoff| order.compare(&key, &cutoff).is_lt());
        if !wanted {
            return;
        }
        let follows = self.entries.last().is_none_or(|last| order.compare(&last.key, &key).is_le());
        if self.in_order && follows && self.is_full() {
            self.set_cutoff(key);
            return;
        }
        let start = self.lines.len();
        if put(&key, line, &mut self.lines) {
            self.in_order &= follows;
            self.in_place &= follows;
            self.entries.push(Entry { key, line: start..self.lines.len() });
        }
        let has_twice =
            self.entries.len() >= self.query.limit.saturating_mul(2) || self.bytes() > 2 * MAX_PAGE_BYTES;
        if has_twice {
            self.prune();
            self.put_in_place();
        }
    }

    fn bytes(&self) -> usize {
        self.lines.len() + self.entries.len() * ENTRY_BYTES
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.query.limit || (self.bytes() >= MAX_PAGE_BYTES && !self.entries.is_empty())
    }

    /// Ends the page with `last`, because not all entries after that were offered.
    pub fn end_with(&mut self, last: Key) {
        self.offered_until = Some(last);
        let order = self.query.order;
        let offered = self.entries.len();
        self.entries.retain(|entry| order.compare(&entry.key, &last).is_le());
        self.in_place &= self.entries.len() == offered;
    }

    /// Ends the page before its first entry: the next page begins where this one would have.
    pub fn postpone(&mut self) {
        self.end_with(self.query.after.unwrap_or_else(|| Key::before_all(self.query.order)));
    }

    /// Sorts the entries, and keeps those that fit the page's limit and size, but at least one.
    fn prune(&mut self) {
        let order = self.query.order;
        if !self.in_order {
            self.entries.sort_unstable_by(|a, b| order.compare(&a.key, &b.key));
            self.in_order = true;
        }
        let mut bytes = 0;
        let fits = |entry: &Entry| {
            bytes += entry.size();
            bytes <= MAX_PAGE_BYTES
        };
        let count = self.entries.iter().map(fits).take_while(|fits| *fits).count().max(1);
        let kept = count.min(self.query.limit);
        if let Some(first_pruned) = self.entries.get(kept) {
            self.set_cutoff(first_pruned.key);
            self.entries.truncate(kept);
            if self.in_place {
                self.lines.truncate(self.entries.last().map_or(0, |last| last.line.end));
            }
        }
    }

    /// Copies the lines of the entries in their order, without those of entries that were pruned.
    fn put_in_place(&mut self) {
        if self.in_place {
            return;
        }
        let mut lines = String::with_capacity(self.entries.iter().map(|entry| entry.line.len()).sum());
        for entry in &mut self.entries {
            let start = lines.len();
            lines.push_str(&self.lines[entry.line.clone()]);
            entry.line = start..lines.len();
        }
        self.lines = lines;
        self.in_place = true;
    }

    fn set_cutoff(&mut self, key: Key) {
        self.cutoff = Some(key);
        match self.query.order {
            Order::OldestFirst => self.last = key.at,
            Order::NewestFirst => self.first = key.at,
        }
    }

    /// Hands the page to the sink. Returns how many entries it has, and the rest of the answer.
    pub fn finish(mut self, sink: &mut dyn Sink) -> (usize, End) {
        self.prune();
        let Self { entries, lines, in_place, .. } = self;
        let rest = if in_place { sink.take_all(lines, entries.len()) } else { Some(lines) };
        if let Some(lines) = &rest {
            for Entry { key, line } in &entries {
                sink.take(Found { key, line: &lines[line.clone()] });
            }
        }
        let next = self.cutoff.and(entries.last()).map(|entry| entry.key).or(self.offered_until);
        (entries.len(), End { next, skipped: self.skipped, unreadable: self.unreadable })
    }

    /// Removes the second of entries that were offered twice. Returns how many were removed: the page may be
    /// shorter than its limit by as many.
    pub fn remove_duplicates(&mut self) -> usize {
        self.prune();
        let offered = self.entries.len();
        self.entries.dedup_by(|one, other| one.key.id.is_some() && one.key == other.key);
        let removed = offered - self.entries.len();
        self.in_place &= removed == 0;
        removed
    }
}

/// The instant of a line, if it is an event.
pub fn instant(line: &[u8], times: &mut StoredTimes) -> Option<Timestamp> {
    let line = trimmed(line);
    if let Some(at) = own::ts(line).and_then(|ts| times.parse(ts)) {
        return Some(at);
    }
    if line.is_empty() {
        return None;
    }
    let line = String::from_utf8_lossy(line);
    Timestamp::parse(&parse_stored(&line).ok()?.event.ts).ok()
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii();
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii_start()
}

/// Appends an entry as a JSON line: a store's line as it is, another writer's encoded anew with the fields of an event.
/// False: the line is not an event.
fn put(key: &Key, line: &str, out: &mut String) -> bool {
    // What is escaped may be half of a surrogate pair, where somebody has edited the line.
    if key.id.is_some() && memchr(b'\\', line.as_bytes()).is_none() {
        out.push_str(line);
        out.push('\n');
        return true;
    }
    let Ok(mut parsed) = parse_stored(line) else { return false };
    let mut encoded = Vec::new();
    match &parsed.stamp {
        Some(stamp) if key.id.is_some() => line::put_entry(&parsed.event, stamp, &mut encoded),
        _ => {
            parsed.event.ts = alloc::string::ToString::to_string(&key.at).into();
            line::put_event(&parsed.event, &mut encoded);
            encoded.push(b'\n');
        }
    }
    // Encoded lines are UTF-8.
    out.push_str(core::str::from_utf8(&encoded).unwrap_or_default());
    true
}
