//! The events of a read, a page at a time, also where a page has only some of those that the store finds.

use audit_format::cursor::Key;
use audit_format::line::Parsed;
use audit_format::query;
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use audit_host::{Error, Filter, Instance, JsonlPage, Order, PageRequest};

/// How many events a page has: a few MiB, so that memory stays small, and the next are read while these are written. Where the
/// lines of a file are not in order, fewer pages take less time.
const PAGE: u32 = 6_000;

/// Whether a call with this status went wrong, or nobody knows how it went. A call that has begun has not failed.
pub(super) fn is_error(status: &str) -> bool {
    !matches!(status, "ok" | "0" | "started")
}

/// Whether the line is the event of a call that went wrong.
pub(super) fn is_of_error(line: &str) -> bool {
    parse_stored(line).is_ok_and(|parsed| is_error(&parsed.event.status))
}

/// What a read of the store gives.
type Read = Result<JsonlPage, Error>;

pub(super) struct Pages {
    filter: Filter,
    errors: bool,
    request: PageRequest,
    /// How many events are still to be shown.
    left: u64,
    is_first: bool,
    skipped: u64,
}

impl Pages {
    pub(super) fn new(
        filter: query::Filter,
        errors: bool,
        order: Order,
        limit: Option<u64>,
        cursor: Option<String>,
    ) -> Self {
        let left = limit.filter(|limit| *limit > 0).unwrap_or(u64::MAX);
        let request = PageRequest { order, limit: 0, cursor };
        Self { filter: filter.into(), errors, request, left, is_first: true, skipped: 0 }
    }

    /// The lines of the next page; it may be empty. `None` if there is none.
    pub(super) fn next(&mut self, from: &mut Instance) -> Result<Option<String>, Error> {
        self.next_of(|filter, request| from.read_jsonl(filter, request))
    }

    fn next_of(
        &mut self,
        mut read: impl FnMut(&Filter, &PageRequest) -> Read,
    ) -> Result<Option<String>, Error> {
        let is_end = self.left == 0 || (!self.is_first && self.request.cursor.is_none());
        if is_end {
            return Ok(None);
        }
        self.is_first = false;
        let left = u32::try_from(self.left).unwrap_or(u32::MAX);
        // Where only some are shown, as many as that may be far too few.
        self.request.limit = if self.errors { PAGE } else { PAGE.min(left) };
        let page = read(&self.filter, &self.request)?;
        // The pages of one read on one instance count each skipped line once.
        self.skipped += page.skipped;
        let page = if self.errors { self.only_errors(page, read)? } else { page };
        self.request.cursor = page.next;
        self.left -= self.left.min(page.count.into());
        Ok(Some(page.lines))
    }

    fn only_errors(
        &mut self,
        page: JsonlPage,
        read: impl FnMut(&Filter, &PageRequest) -> Read,
    ) -> Result<JsonlPage, Error> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let mut kept = JsonlPage { lines: String::new(), count: 0, ..page };
        let (mut last, mut place) = ("", 0);
        for (number, line) in (1..).zip(page.lines.split_inclusive('\n')) {
            if kept.count as usize == most {
                break;
            }
            if is_of_error(line) {
                kept.lines.push_str(line);
                kept.count += 1;
                (last, place) = (line, number);
            }
        }
        if kept.count as usize == most && place < page.count {
            kept.next = self.cursor_behind(last, place, read)?;
        }
        Ok(kept)
    }

    /// The cursor of what comes behind a line, which is the last of a page of so many lines.
    fn cursor_behind(
        &mut self,
        line: &str,
        place: u32,
        mut read: impl FnMut(&Filter, &PageRequest) -> Read,
    ) -> Result<Option<String>, Error> {
        let parsed = parse_stored(line).ok();
        let own =
            parsed.and_then(|Parsed { event, stamp }| Some((Timestamp::parse(&event.ts).ok()?, stamp?.id)));
        if let Some((at, id)) = own {
            return Ok(Some(Key::of_entry(at, id).to_cursor(self.request.order.into())));
        }
        // The cursor of another writer's line has its place, which the line does not tell: a page that ends with it does.
        // With lines that came before it meanwhile, that page is longer.
        self.request.limit = place;
        loop {
            let page = read(&self.filter, &self.request)?;
            if page.lines.ends_with(line) || page.count < self.request.limit {
                return Ok(page.next);
            }
            self.request.limit += 1;
        }
    }

    /// The cursor up to which the search has come, if it goes on.
    pub(super) fn searched(&self) -> Option<&str> {
        self.request.cursor.as_deref().filter(|_| self.left > 0)
    }

    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The cursor of what was not shown because of the limit.
    pub(super) fn rest(self) -> Option<String> {
        self.request.cursor
    }
}

#[cfg(test)]
mod tests {
    use audit_format::cursor::{self, Position};

    use super::*;

    const ID: &str = "01a21dfc-da9d-775e-9c12-b8a0e19beb0f";

    /// An error at this second: a store's line, or that of another writer.
    fn error(second: u32, is_own: bool) -> String {
        let stamp = format!(r#","id":"{ID}","chain":"{ID}","seq":1,"hash":"{}""#, "0f".repeat(32));
        let stamp = if is_own { stamp.as_str() } else { "" };
        format!(
            "{{\"ts\":\"2026-11-23T06:00:{second:02}.000000Z\",\"tool\":\"t\",\"status\":\"error\"{stamp}}}\n"
        )
    }

    /// A page of these lines as a store gives it, whose cursors name the second.
    fn page(lines: &[String], request: &PageRequest) -> Read {
        let after = request.cursor.as_deref().map(|cursor| key_of(cursor).at);
        let at = |line: &str| Timestamp::parse(&parse_stored(line).unwrap().event.ts).unwrap();
        let mut rest = lines.iter().filter(|line| after.is_none_or(|after| at(line) > after));
        let lines: Vec<&str> = rest.by_ref().take(request.limit as usize).map(String::as_str).collect();
        let next = lines.last().filter(|_| rest.next().is_some());
        let next =
            next.map(|line| Key::of_foreign(at(line), Position::default()).to_cursor(request.order.into()));
        Ok(JsonlPage { lines: lines.concat(), count: lines.len() as u32, next, skipped: 0 })
    }

    fn key_of(cursor: &str) -> Key {
        Key::from_cursor(cursor, cursor::Order::OldestFirst).unwrap()
    }

    #[test]
    fn a_line_that_comes_meanwhile_shifts_no_cursor() {
        for is_own in [true, false] {
            let mut lines: Vec<String> = [10, 20, 30].map(|second| error(second, is_own)).into();
            let expected = lines.clone();
            let mut pages = Pages::new(query::Filter::default(), true, Order::OldestFirst, Some(1), None);
            let shown = pages.next_of(|_, request| {
                let read = page(&lines, request);
                if lines.len() == expected.len() {
                    lines.insert(0, error(5, is_own));
                }
                read
            });
            assert_eq!(shown.unwrap().unwrap(), expected[0]);
            let mut rest = Pages::new(query::Filter::default(), true, Order::OldestFirst, None, pages.rest());
            let rest = rest.next_of(|_, request| page(&lines, request)).unwrap();
            assert_eq!(rest.unwrap(), expected[1..].concat(), "{is_own}");
        }
    }

    #[test]
    fn what_did_not_go_well_is_an_error() {
        for status in
            ["error", "denied", "cancelled", "timeout", "lost", "unknown", "1", "127", "signal:9", ""]
        {
            assert!(is_error(status), "{status}");
        }
        for status in ["ok", "0", "started"] {
            assert!(!is_error(status), "{status}");
        }
    }
}
