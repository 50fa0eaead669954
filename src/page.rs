//! Pages: a bounded set of the entries that come first in the order asked for, and the cursor that says
//! where the next page starts. Every backend in the guest reads through `Collector`, so their order is one.

use crate::error::Invalid;
use crate::line::{self, Parsed};
use crate::parse;
use crate::query::{Order, Query};
use crate::time::{TEXT_LEN, Timestamp, is_stored_text};
use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;
use uuid::Uuid;

/// The most memory of a page, in bytes: what the guest's is sized for.
pub const MAX_PAGE_BYTES: usize = 64 << 20;

/// What an entry of a page takes besides its line, about.
const ENTRY_BYTES: usize = 600;

/// Where a line stands in its backend; orders lines without an `id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The day of its file.
    pub day: i32,
    /// The byte in the file.
    pub offset: u64,
}

/// The position of an entry in the order of reads: `ts`, then `id`, then the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// When it happened.
    pub at: Timestamp,
    /// Its identifier; lines of other writers have none and come first.
    pub id: Option<Uuid>,
    /// Where it stands.
    pub place: Place,
}

impl Key {
    /// The opaque text from which `from_cursor` makes this key again.
    pub fn to_cursor(self, order: Order) -> String {
        let at = self.at.micros() as u64;
        let id = self.id.map_or(0, |id| id.as_u128());
        let Place { day, offset } = self.place;
        format!("{}{at:x}.{id:x}.{:x}.{offset:x}", order_letter(order), day as u32)
    }

    /// `None`: `text` is not the cursor of a page in this order.
    pub fn from_cursor(text: &str, order: Order) -> Option<Self> {
        let mut parts = text.strip_prefix(order_letter(order))?.split('.');
        let mut part = || u128::from_str_radix(parts.next()?, 16).ok();
        let at = Timestamp::from_micros(u64::try_from(part()?).ok()? as i64)?;
        let id = part()?;
        let place = Place { day: u32::try_from(part()?).ok()? as i32, offset: u64::try_from(part()?).ok()? };
        let key = Self { at, id: (id != 0).then(|| Uuid::from_u128(id)), place };
        parts.next().is_none().then_some(key)
    }
}

fn order_letter(order: Order) -> char {
    match order {
        Order::OldestFirst => 'o',
        Order::NewestFirst => 'n',
    }
}

/// An entry of a page, as its line.
#[derive(Debug)]
pub struct Kept {
    key: Key,
    order: Order,
    /// The line, without its newline.
    pub line: Box<[u8]>,
}

impl Kept {
    /// Whether this store wrote the line.
    pub fn is_own(&self) -> bool {
        self.key.id.is_some()
    }

    /// The entry, with `ts` as this store writes it.
    pub fn entry(&self) -> Result<Parsed<'_>, Invalid> {
        let line = core::str::from_utf8(&self.line).map_err(|e| Invalid::new("json", e.to_string()))?;
        let mut parsed = parse::parse_stored(line)?;
        if !self.is_own() {
            let at = Timestamp::parse(&parsed.event.ts).map_err(|e| Invalid::new("ts", e.to_string()))?;
            parsed.event.ts = at.to_string().into();
            parsed.stamp = None;
        }
        Ok(parsed)
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> Ordering {
        in_order(self.order, &self.key, &other.key)
    }
}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Kept {}

fn in_order<T: Ord>(order: Order, a: &T, b: &T) -> Ordering {
    match order {
        Order::OldestFirst => a.cmp(b),
        Order::NewestFirst => b.cmp(a),
    }
}

/// Some of the matching entries.
#[derive(Debug, Default)]
pub struct Page {
    /// In the order asked for.
    pub entries: Vec<Box<Kept>>,
    /// The cursor of the next page.
    pub next: Option<String>,
    /// How many lines and files were passed over because they could not be read.
    pub skipped: u64,
    /// The files among them, with the reason.
    pub unreadable: Vec<String>,
}

impl Page {
    /// The entries as JSON lines: those of this store as they are, those of others with the fifteen fields.
    pub fn jsonl(&self) -> String {
        let mut out = Vec::with_capacity(self.entries.iter().map(|kept| kept.line.len() + 1).sum());
        for kept in &self.entries {
            if kept.is_own() {
                out.extend_from_slice(&kept.line);
            } else if let Ok(parsed) = kept.entry() {
                line::put_event(&parsed.event, &mut out);
            }
            out.push(b'\n');
        }
        // What was parsed is UTF-8.
        String::from_utf8(out).unwrap_or_default()
    }

    /// Leaves entries that were offered twice in the page once. Returns how many: it is shorter by as many.
    pub fn remove_doubles(&mut self) -> usize {
        let offered = self.entries.len();
        self.entries.dedup_by(|one, other| one.is_own() && one.key == other.key);
        offered - self.entries.len()
    }
}

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

/// Picks a page out of lines that are offered in any order. Keeps no more than the page.
#[derive(Debug)]
pub struct Collector<'q> {
    query: &'q Query,
    /// Boxed, because moving more than a word is a call into the host's runtime.
    kept: BinaryHeap<Box<Kept>>,
    bytes: usize,
    /// The first entry known to belong to a later page.
    beyond: Option<Key>,
    /// The last entry of what was offered, where there is more.
    end: Option<Key>,
    skipped: u64,
    unreadable: Vec<String>,
    first: Bound,
    last: Bound,
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

impl<'q> Collector<'q> {
    /// A page of what `query` asks for.
    pub fn new(query: &'q Query) -> Self {
        let (mut first, mut last) = (query.from, query.to);
        match (query.after, query.order) {
            (Some(after), Order::OldestFirst) => first = first.max(after.at),
            (Some(after), Order::NewestFirst) => last = last.min(after.at),
            (None, _) => {}
        }
        Self {
            query,
            kept: BinaryHeap::new(),
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

    /// `wants` for instants as stored text.
    pub fn wants_texts(&self, first: &[u8; TEXT_LEN], last: &[u8; TEXT_LEN]) -> bool {
        *first <= self.last.text && *last >= self.first.text
    }

    /// Whether the page goes on from another.
    pub fn goes_on(&self) -> bool {
        self.query.after.is_some()
    }

    /// Notes a file that cannot be read.
    pub fn unreadable(&mut self, what: String) {
        self.skipped += 1;
        self.unreadable.push(what);
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
    pub fn skipped_before(&mut self, skipped: u64) {
        self.skipped = skipped;
    }

    /// Takes the line at `place` if it belongs in the page.
    pub fn offer(&mut self, line: &[u8], place: Place) -> Seen {
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
        match self.offer_parsed(line, place) {
            Some(at) => Seen::At(stored.unwrap_or_else(|| at.text())),
            None => Seen::NoEvent,
        }
    }

    /// The event's instant; `None`: the line is no event.
    fn offer_parsed(&mut self, line: &[u8], place: Place) -> Option<Timestamp> {
        let parsed = core::str::from_utf8(line).ok().and_then(|line| parse::parse_stored(line).ok());
        let Some((parsed, at)) = parsed.and_then(|p| Timestamp::parse(&p.event.ts).ok().map(|at| (p, at)))
        else {
            self.skip();
            return None;
        };
        // A stamp beside another text than the stored one is not this store's.
        let own = parsed.stamp.filter(|_| is_stored_text(parsed.event.ts.as_bytes()));
        let key = match own {
            // The same wherever it stands: it may move from memory to a file between two pages.
            Some(stamp) => Key { at, id: Some(stamp.id), place: Place::default() },
            None => Key { at, id: None, place },
        };
        if self.query.texts_match(&parsed.event) {
            self.take(key, line);
        }
        Some(at)
    }

    /// Takes the line of this key if it belongs in the page; its texts are those asked for.
    pub fn take(&mut self, key: Key, line: &[u8]) {
        let query = self.query;
        let order = |other: &Key| in_order(query.order, &key, other);
        let wanted = (query.from..=query.to).contains(&key.at)
            && query.after.is_none_or(|after| order(&after).is_gt())
            && self.beyond.is_none_or(|beyond| order(&beyond).is_lt());
        if wanted {
            self.keep(Box::new(Kept { key, order: query.order, line: line.into() }));
        }
    }

    /// Ends the page with `last`: what comes after it was not offered completely.
    pub fn end_with(&mut self, last: Key) {
        self.end = Some(last);
        while self.kept.peek().is_some_and(|kept| in_order(self.query.order, &kept.key, &last).is_gt()) {
            self.kept.pop();
        }
    }

    fn keep(&mut self, kept: Box<Kept>) {
        self.bytes += kept.line.len() + ENTRY_BYTES;
        self.kept.push(kept);
        while self.kept.len() > self.query.limit || (self.bytes > MAX_PAGE_BYTES && self.kept.len() > 1) {
            let Some(out) = self.kept.pop() else { break };
            self.bytes -= out.line.len() + ENTRY_BYTES;
            self.beyond = Some(out.key);
            match self.query.order {
                Order::OldestFirst => self.last = out.key.at.into(),
                Order::NewestFirst => self.first = out.key.at.into(),
            }
        }
    }

    /// The page.
    pub fn finish(self) -> Page {
        let entries = self.kept.into_sorted_vec();
        let last = self.beyond.and(entries.last()).map(|kept| kept.key).or(self.end);
        Page {
            next: last.map(|key| key.to_cursor(self.query.order)),
            entries,
            skipped: self.skipped,
            unreadable: self.unreadable,
        }
    }
}

/// The `ts` of a line that starts as this store's lines do.
fn stored_ts(line: &[u8]) -> Option<[u8; TEXT_LEN]> {
    let rest = line.strip_prefix(b"{\"ts\":\"")?;
    let (ts, rest) = rest.split_first_chunk::<TEXT_LEN>()?;
    (is_stored_text(ts) && rest.first() == Some(&b'"')).then_some(*ts)
}
