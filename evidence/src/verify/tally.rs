//! What the events of a record say about themselves: who reported them, which calls have no end, and what was pruned.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use audit_format::read::parse_stored;
use memchr::{memchr, memmem::Finder};

use crate::pruned;

/// How many calls without an end are remembered.
const MAX_STARTED: usize = 1_000_000;

/// How many sources are told apart.
const MAX_SOURCES: usize = 1000;

/// How much of the name of a source is kept, in bytes: a line of another writer may have one of any length.
const MAX_NAME: usize = 256;

/// The length of the hash of a prune.
const HASH_LEN: usize = 64;

/// What stands before the source.
const BEFORE_SOURCE: &[u8] = b"\"source\":\"";

/// What stands before the status, behind the text of the action.
const BEFORE_STATUS: &[u8] = b"\",\"status\":\"";

/// What stands before the `req_id` in a line of a store, after its `ts`.
const BEFORE_REQUEST: &[u8] = b"\",\"req_id\":\"";

/// The length of what stands before that.
const TIME: usize = "{\"ts\":\"2026-11-23T06:30:00.123456Z".len();

/// What was counted.
#[derive(Debug)]
pub struct Tally {
    source: Finder<'static>,
    status: Finder<'static>,
    /// How many events each source has reported.
    pub sources: BTreeMap<String, u64>,
    /// The source of the last events, and how many there were.
    last: (Vec<u8>, u64),
    /// Requests that were started and have not ended, as hashes.
    open: HashSet<u64>,
    /// The hashes of what sealed events say was pruned.
    pub pruned: HashSet<String>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            source: Finder::new(BEFORE_SOURCE),
            status: Finder::new(BEFORE_STATUS),
            sources: BTreeMap::new(),
            last: (Vec::new(), 0),
            open: HashSet::new(),
            pruned: HashSet::new(),
        }
    }
}

impl Tally {
    /// Counts an event.
    pub fn add(&mut self, line: &[u8], is_sealed: bool) {
        // Without attributes, the only bracket is the last one.
        let attributes = memchr(b'}', line).is_some_and(|at| at + 1 < line.len()).then_some(line);
        let source =
            attributes.and_then(|line| Some(text_at(&line[self.source.find(line)? + BEFORE_SOURCE.len()..])));
        let source = source.unwrap_or_default();
        let source = &source[..source.len().min(MAX_NAME)];
        if source != self.last.0 {
            self.end_source();
            self.last.0 = source.to_vec();
        }
        self.last.1 += 1;
        let at = self.status.find(line).unwrap_or(0);
        if line[at..].get(BEFORE_STATUS.len()..).is_some_and(|status| status.starts_with(b"started\"")) {
            if self.open.len() < MAX_STARTED {
                self.open.extend(request(line));
            }
        } else if !self.open.is_empty()
            && let Some(request) = request(line)
        {
            self.open.remove(&request);
        }
        if is_sealed && line[..at].ends_with(b"\"action\":\"prune") {
            self.add_prune(line);
        }
    }

    fn add_prune(&mut self, line: &[u8]) {
        let Ok(parsed) = parse_stored(str::from_utf8(line).unwrap_or_default()) else { return };
        if let Some(hash) = pruned::confirms(&parsed.event).filter(|hash| hash.len() == HASH_LEN) {
            self.pruned.insert(hash.to_owned());
        }
    }

    fn end_source(&mut self) {
        let (source, count) = std::mem::take(&mut self.last);
        if count == 0 {
            return;
        }
        let name = String::from_utf8_lossy(&source).into_owned();
        if self.sources.len() < MAX_SOURCES || self.sources.contains_key(&name) {
            *self.sources.entry(name).or_default() += count;
        } else {
            *self.sources.entry("…".into()).or_default() += count;
        }
    }

    /// How many calls have a start and no end, once all events were counted.
    pub fn end(&mut self) -> u64 {
        self.end_source();
        self.open.len() as u64
    }
}

/// The text up to its closing quote, as it stands.
fn text_at(line: &[u8]) -> &[u8] {
    &line[..memchr(b'"', line).unwrap_or(0)]
}

/// The request of a line of a store, as a hash.
fn request(line: &[u8]) -> Option<u64> {
    let request = text_at(line.get(TIME..)?.strip_prefix(BEFORE_REQUEST)?);
    if request.is_empty() {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    request.hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_event_says_takes_little_memory_however_long_it_is() {
        let (long, mut tally) = ("n".repeat(1 << 20), Tally::default());
        tally.add(format!(r#"{{"ts":"","attributes":{{"source":"{long}"}}}}"#).as_bytes(), true);
        tally.add(
            format!(r#"{{"ts":"","tool":"audit","action":"prune","status":"ok","input_hash":"{long}"}}"#)
                .as_bytes(),
            true,
        );
        tally.end();
        assert_eq!(tally.sources.keys().map(String::len).collect::<Vec<_>>(), [0, MAX_NAME]);
        assert!(tally.pruned.is_empty());
    }
}
