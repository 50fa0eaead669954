//! The events of a read, a page at a time, also where a page has only some of those that the store finds.

use audit_format::query;
use audit_format::read::parse_stored;
use audit_host::{Error, Filter, Instance, JsonlPage, Order, PageRequest};

/// How many events a page has: a few MiB, so that memory stays small, and the next are read while these are written.
pub(super) const PAGE: u32 = 4_000;

/// Whether a call with this status went wrong, or nobody knows how it went. A call that has begun has not failed.
pub(super) fn is_error(status: &str) -> bool {
    !matches!(status, "ok" | "0" | "started")
}

/// Whether the line is the event of a call that went wrong.
pub(super) fn is_of_error(line: &str) -> bool {
    parse_stored(line).is_ok_and(|parsed| is_error(&parsed.event.status))
}

pub(super) struct Pages {
    filter: Filter,
    errors: bool,
    request: PageRequest,
    /// How many events a page has at most.
    size: u32,
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
        size: u32,
        cursor: Option<String>,
    ) -> Self {
        let left = limit.filter(|limit| *limit > 0).unwrap_or(u64::MAX);
        let request = PageRequest { order, limit: 0, cursor };
        Self { filter: filter.into(), errors, request, size, left, is_first: true, skipped: 0 }
    }

    /// The lines of the next page; it may be empty. `None` if there is none.
    pub(super) fn next(&mut self, from: &mut Instance) -> Result<Option<String>, Error> {
        let is_end = self.left == 0 || (!self.is_first && self.request.cursor.is_none());
        if is_end {
            return Ok(None);
        }
        self.is_first = false;
        let left = u32::try_from(self.left).unwrap_or(u32::MAX);
        // Where only some are shown, as many as that may be far too few.
        self.request.limit = if self.errors { self.size } else { self.size.min(left) };
        let page = from.read_jsonl(&self.filter, &self.request)?;
        // The pages of one read on one instance count each skipped line once.
        self.skipped += page.skipped;
        let page = if self.errors { self.only_errors(from, page)? } else { page };
        self.request.cursor = page.next;
        self.left -= self.left.min(page.count.into());
        Ok(Some(page.lines))
    }

    fn only_errors(&mut self, from: &mut Instance, page: JsonlPage) -> Result<JsonlPage, Error> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let mut kept = JsonlPage { lines: String::new(), count: 0, ..page };
        let mut last = 0;
        for (number, line) in (1..).zip(page.lines.split_inclusive('\n')) {
            if kept.count as usize == most {
                break;
            }
            if is_of_error(line) {
                kept.lines.push_str(line);
                kept.count += 1;
                last = number;
            }
        }
        if kept.count as usize == most && last < page.count {
            // The page that ends with the last event that is shown has the cursor of the rest.
            self.request.limit = last;
            kept.next = from.read_jsonl(&self.filter, &self.request)?.next;
        }
        Ok(kept)
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
    use super::*;

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
