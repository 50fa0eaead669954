//! The selection of a page: the entries that come first in the order asked for, of lines that are offered in any order.
//! Every backend selects through it, so their order is one.

use crate::sink::{End, Found, Sink};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::cursor::{Key, Order, Position};
use audit_format::query::Query;
use audit_format::read::parse_stored;
use audit_format::time::{TEXT_LEN, Timestamp, is_stored_text};

/// The most memory of a page, in bytes: what the guest's memory is sized for.
pub const MAX_PAGE_BYTES: usize = 64 << 20;

/// What is left of a page that grew beyond [`MAX_PAGE_BYTES`]: less, so that not each further entry has it sorted.
const PRUNED_PAGE_BYTES: usize = MAX_PAGE_BYTES / 4 * 3;

/// About how much an entry of a page takes besides its line.
const ENTRY_BYTES: usize = 600;

/// What a line that was offered turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No event.
    NoEvent,
    /// An event of this stored `ts`, or a line that claims to be one.
    At([u8; TEXT_LEN]),
    /// Ruled out without looking at its `ts`.
    Unread,
}

/// Selects a page. It holds little more than the page.
#[derive(Debug)]
pub struct Selection<'q> {
    query: &'q Query,
    selected: Vec<Selected>,
    /// Whether those that are selected are in the order asked for.
    in_order: bool,
    bytes: usize,
    /// The first entry that is known to belong to a later page.
    beyond: Option<Key>,
    /// The last entry of what was offered, where there is more.
    end: Option<Key>,
    skipped: u64,
    unreadable: Vec<String>,
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

/// An end of the span of instants that the page can still take, also as stored text: most lines are ruled out
/// by comparing theirs.
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
    /// A page of what `query` asks for.
    pub fn new(query: &'q Query) -> Self {
        let (first, last) = query.span();
        Self {
            query,
            selected: Vec::new(),
            in_order: true,
            bytes: 0,
            beyond: None,
            end: None,
            skipped: 0,
            unreadable: Vec::new(),
            first: first.into(),
            last: last.into(),
        }
    }

    /// The order in which offering costs least.
    pub fn order(&self) -> Order {
        self.query.order
    }

    /// Whether the page could still take an entry between these instants, both inclusive.
    pub fn wants(&self, first: Timestamp, last: Timestamp) -> bool {
        first <= self.last.at && last >= self.first.at
    }

    /// [`Selection::wants`] for instants as stored text.
    pub fn wants_texts(&self, first: &[u8; TEXT_LEN], last: &[u8; TEXT_LEN]) -> bool {
        *first <= self.last.text && *last >= self.first.text
    }

    /// Whether the page goes on from another.
    pub fn goes_on(&self) -> bool {
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

    /// How many lines and files were counted so far.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Takes back what was counted since there were `skipped`.
    pub fn reset_skipped(&mut self, skipped: u64) {
        self.skipped = skipped;
    }

    /// Takes the line at `position` if it belongs in the page.
    pub fn offer(&mut self, line: &[u8], position: Position) -> Seen {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Seen::NoEvent;
        }
        if line.first() != Some(&b'{') || line.last() != Some(&b'}') {
            self.skip();
            return Seen::NoEvent;
        }
        let stored = stored_ts(line);
        let beside = |ts: &[u8; TEXT_LEN]| *ts < self.first.text || *ts > self.last.text;
        if stored.as_ref().is_some_and(beside) || !self.query.may_match(line) {
            return stored.map_or(Seen::Unread, Seen::At);
        }
        match self.offer_parsed(line, position) {
            Some(at) => Seen::At(stored.unwrap_or_else(|| at.text())),
            None => Seen::NoEvent,
        }
    }

    /// The event's instant; none: the line is no event.
    fn offer_parsed(&mut self, line: &[u8], position: Position) -> Option<Timestamp> {
        let parsed = core::str::from_utf8(line).ok().and_then(|line| parse_stored(line).ok());
        let Some((parsed, at)) = parsed.and_then(|p| Timestamp::parse(&p.event.ts).ok().map(|at| (p, at)))
        else {
            self.skip();
            return None;
        };
        // A stamp beside another text than the stored one is not a store's.
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

    /// Takes the line of this key if it belongs in the page; its texts are those asked for.
    pub fn take(&mut self, key: Key, line: &[u8]) {
        let order = self.query.order;
        let wanted = (self.query.from..=self.query.to).contains(&key.at)
            && self.query.after.is_none_or(|after| order.compare(&key, &after).is_gt())
            && self.beyond.is_none_or(|beyond| order.compare(&key, &beyond).is_lt());
        if !wanted {
            return;
        }
        let follows = self.selected.last().is_none_or(|last| order.compare(&last.key, &key).is_le());
        if self.in_order && follows && self.selected.len() >= self.query.limit {
            self.set_beyond(key);
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

    /// Ends the page with `last`: what comes after it was not offered completely.
    pub fn end_with(&mut self, last: Key) {
        self.end = Some(last);
        let order = self.query.order;
        self.selected.retain(|selected| order.compare(&selected.key, &last).is_le());
    }

    /// Sorts what is selected, and leaves no more than belongs in a page of so many bytes, but at least one entry.
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
        if let Some(first_out) = self.selected.get(count.min(self.query.limit)) {
            self.set_beyond(first_out.key);
            self.selected.truncate(count.min(self.query.limit));
        }
        self.bytes = self.selected.iter().map(Selected::size).sum();
    }

    fn set_beyond(&mut self, key: Key) {
        self.beyond = Some(key);
        match self.query.order {
            Order::OldestFirst => self.last = key.at.into(),
            Order::NewestFirst => self.first = key.at.into(),
        }
    }

    /// Hands the page to the sink. Returns how many entries it had, and how the read ended.
    pub fn finish(mut self, sink: &mut dyn Sink) -> (usize, End) {
        self.prune(MAX_PAGE_BYTES);
        for Selected { key, line } in &self.selected {
            sink.take(Found { key, line });
        }
        let last = self.beyond.and(self.selected.last()).map(|selected| selected.key).or(self.end);
        (self.selected.len(), End { next: last, skipped: self.skipped, unreadable: self.unreadable })
    }

    /// Leaves entries that were offered twice in the page once. Returns how many: it is shorter by as many.
    pub fn remove_doubles(&mut self) -> usize {
        self.prune(MAX_PAGE_BYTES);
        let offered = self.selected.len();
        self.selected.dedup_by(|one, other| one.key.id.is_some() && one.key == other.key);
        offered - self.selected.len()
    }
}

/// The `ts` of a line that starts as a store's lines do.
fn stored_ts(line: &[u8]) -> Option<[u8; TEXT_LEN]> {
    let rest = line.strip_prefix(b"{\"ts\":\"")?;
    let (ts, rest) = rest.split_first_chunk::<TEXT_LEN>()?;
    (is_stored_text(ts) && rest.first() == Some(&b'"')).then_some(*ts)
}
