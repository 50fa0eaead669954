//! The selection of a page: a backend offers lines in any order, and the selection keeps the entries that
//! come first in the order of the query. All backends select through it, so that all have the same order.

use crate::sink::{End, Found, Sink};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::cursor::{Key, Order, Position};
use audit_format::query::Query;
use audit_format::read::parse_stored;
use audit_format::time::{TEXT_LEN, Timestamp, is_stored_text};

/// The most memory of a page, in bytes: the guest's memory is sized for this.
pub const MAX_PAGE_BYTES: usize = 64 << 20;

/// The size to which a page that grew beyond [`MAX_PAGE_BYTES`] is pruned. It is smaller, so that not each
/// further entry makes the page be sorted again.
const PRUNED_PAGE_BYTES: usize = MAX_PAGE_BYTES / 4 * 3;

/// About how many bytes an entry of a page takes besides its line.
const ENTRY_BYTES: usize = 600;

/// What a file of UTF-8 may begin with.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What a line that was offered turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is not an event.
    NoEvent,
    /// It is an event with this stored `ts`, or begins like one.
    At([u8; TEXT_LEN]),
    /// It was ruled out before its `ts` was read.
    UnknownTs,
}

/// The entries selected so far: little more than the page.
#[derive(Debug)]
pub struct Selection<'q> {
    query: &'q Query,
    selected: Vec<Selected>,
    /// Whether `selected` is in the order of the query.
    in_order: bool,
    bytes: usize,
    /// Entries from this one on belong to later pages.
    cutoff: Option<Key>,
    /// Entries after this one were not all offered; none: all were.
    offered_until: Option<Key>,
    skipped: u64,
    unreadable: Vec<String>,
    /// The span of instants from which the page can still take entries.
    first: Bound,
    last: Bound,
}

#[derive(Debug)]
struct Selected {
    key: Key,
    /// Without its newline.
    line: Box<[u8]>,
}

impl Selected {
    fn size(&self) -> usize {
        self.line.len() + ENTRY_BYTES
    }
}

/// An instant, also as stored text: most lines are ruled out by comparing that with their `ts`.
#[derive(Debug)]
struct Bound {
    at: Timestamp,
    text: [u8; TEXT_LEN],
}

impl From<Timestamp> for Bound {
    fn from(at: Timestamp) -> Self {
        Self { at, text: at.text() }
    }
}

impl<'q> Selection<'q> {
    /// An empty selection for the page that `query` asks for.
    pub fn new(query: &'q Query) -> Self {
        let (first, last) = query.span();
        Self {
            query,
            selected: Vec::new(),
            in_order: true,
            bytes: 0,
            cutoff: None,
            offered_until: None,
            skipped: 0,
            unreadable: Vec::new(),
            first: first.into(),
            last: last.into(),
        }
    }

    /// The order of the query. Lines that are offered in this order cost the least.
    pub fn order(&self) -> Order {
        self.query.order
    }

    /// Whether the page could still take an entry from between these instants, both inclusive.
    pub fn wants(&self, first: Timestamp, last: Timestamp) -> bool {
        first <= self.last.at && last >= self.first.at
    }

    /// [`Selection::wants`] for instants as stored text.
    pub fn wants_texts(&self, first: &[u8; TEXT_LEN], last: &[u8; TEXT_LEN]) -> bool {
        *first <= self.last.text && *last >= self.first.text
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

    /// Selects the line at `position` if it belongs in the page, and counts it as skipped if it is not an
    /// event.
    pub fn offer(&mut self, line: &[u8], position: Position) -> Seen {
        let line = line.trim_ascii();
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii_start();
        if line.is_empty() {
            return Seen::NoEvent;
        }
        if line.first() != Some(&b'{') || line.last() != Some(&b'}') {
            self.skip();
            return Seen::NoEvent;
        }
        let stored = stored_ts(line);
        let outside = |ts: &[u8; TEXT_LEN]| *ts < self.first.text || *ts > self.last.text;
        if stored.as_ref().is_some_and(outside) || !self.query.may_match(line) {
            return stored.map_or(Seen::UnknownTs, Seen::At);
        }
        match self.offer_parsed(line, position) {
            Some(at) => Seen::At(stored.unwrap_or_else(|| at.text())),
            None => Seen::NoEvent,
        }
    }

    /// Parses the line, and selects it if it belongs in the page. Returns the event's instant; none: it is
    /// not an event.
    fn offer_parsed(&mut self, line: &[u8], position: Position) -> Option<Timestamp> {
        // Faster than `from_utf8_lossy` for what is UTF-8.
        let line = core::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
        let parsed = parse_stored(&line).ok();
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
            self.take(key, line.as_bytes());
        }
        Some(at)
    }

    /// Selects the line with this key if it belongs in the page. Its texts must be those of the query.
    pub fn take(&mut self, key: Key, line: &[u8]) {
        let order = self.query.order;
        let wanted = (self.query.from..=self.query.to).contains(&key.at)
            && self.query.after.is_none_or(|after| order.compare(&key, &after).is_gt())
            && self.cutoff.is_none_or(|cutoff| order.compare(&key, &cutoff).is_lt());
        if !wanted {
            return;
        }
        let follows = self.selected.last().is_none_or(|last| order.compare(&last.key, &key).is_le());
        if self.in_order && follows && self.selected.len() >= self.query.limit {
            self.set_cutoff(key);
            return;
        }
        self.in_order &= follows;
        let selected = Selected { key, line: line.into() };
        self.bytes += selected.size();
        self.selected.push(selected);
        if self.bytes > MAX_PAGE_BYTES {
            self.prune(PRUNED_PAGE_BYTES);
        } else if self.selected.len() >= self.query.limit.saturating_mul(2) {
            self.prune(MAX_PAGE_BYTES);
        }
    }

    /// Ends the page with `last`, because not all entries after that were offered.
    pub fn end_with(&mut self, last: Key) {
        self.offered_until = Some(last);
        let order = self.query.order;
        self.selected.retain(|selected| order.compare(&selected.key, &last).is_le());
    }

    /// Sorts the selected entries, and keeps those that fit the page's limit and `max_bytes`, but at least
    /// one.
    fn prune(&mut self, max_bytes: usize) {
        let order = self.query.order;
        if !self.in_order {
            self.selected.sort_unstable_by(|a, b| order.compare(&a.key, &b.key));
            self.in_order = true;
        }
        let mut bytes = 0;
        let fits = |selected: &Selected| {
            bytes += selected.size();
            bytes <= max_bytes
        };
        let count = self.selected.iter().map(fits).take_while(|fits| *fits).count().max(1);
        let kept = count.min(self.query.limit);
        if let Some(first_pruned) = self.selected.get(kept) {
            self.set_cutoff(first_pruned.key);
            self.selected.truncate(kept);
        }
        self.bytes = self.selected.iter().map(Selected::size).sum();
    }

    fn set_cutoff(&mut self, key: Key) {
        self.cutoff = Some(key);
        match self.query.order {
            Order::OldestFirst => self.last = key.at.into(),
            Order::NewestFirst => self.first = key.at.into(),
        }
    }

    /// Hands the page to the sink. Returns how many entries it has, and the rest of the answer.
    pub fn finish(mut self, sink: &mut dyn Sink) -> (usize, End) {
        self.prune(MAX_PAGE_BYTES);
        for Selected { key, line } in &self.selected {
            sink.take(Found { key, line });
        }
        let next = self.cutoff.and(self.selected.last()).map(|selected| selected.key).or(self.offered_until);
        (self.selected.len(), End { next, skipped: self.skipped, unreadable: self.unreadable })
    }

    /// Removes the second of entries that were offered twice. Returns how many were removed: the page may be
    /// shorter than its limit by as many.
    pub fn remove_duplicates(&mut self) -> usize {
        self.prune(MAX_PAGE_BYTES);
        let offered = self.selected.len();
        self.selected.dedup_by(|one, other| one.key.id.is_some() && one.key == other.key);
        offered - self.selected.len()
    }
}

/// The `ts` of a line that begins as a store's lines do.
fn stored_ts(line: &[u8]) -> Option<[u8; TEXT_LEN]> {
    let rest = line.strip_prefix(b"{\"ts\":\"")?;
    let (ts, rest) = rest.split_first_chunk::<TEXT_LEN>()?;
    (is_stored_text(ts) && rest.first() == Some(&b'"')).then_some(*ts)
}
