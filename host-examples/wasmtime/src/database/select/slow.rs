//! Which reads the server is too slow for to find a page with one statement.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use audit_format::cursor::Order;

use super::Selecting;

/// How many rows the first window of a read has: more than most pages, and few enough for a slow disk.
pub(super) const FIRST: u64 = 50_000;

/// The fewest rows of a window.
pub(super) const LEAST: u64 = 50;

/// How many reads are remembered. The same read begins again with a statement for the whole page once it is forgotten.
const READS: usize = 16;

/// How long a read is remembered: the table, the server or its load may have changed since.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The reads that are too slow.
#[derive(Default)]
pub(in crate::database) struct Slow(Mutex<VecDeque<Read>>);

/// A read: all that its pages have in common.
struct Read {
    order: Order,
    filter: Vec<Option<String>>,
    /// How many rows a window has.
    rows: u64,
    noted: Instant,
}

impl Read {
    fn is_of(&self, selecting: &Selecting) -> bool {
        self.order == selecting.order && self.filter == selecting.filter
    }
}

impl Slow {
    /// How many rows a window of this read has; none: it is not known to be slow.
    pub(super) fn rows(&self, selecting: &Selecting) -> Option<u64> {
        let mut reads = self.lock();
        reads.retain(|read| read.noted.elapsed() < REMEMBERED);
        reads.iter().find(|read| read.is_of(selecting)).map(|read| read.rows)
    }

    /// Notes that a statement for a whole page of this read took too long.
    pub(super) fn note(&self, selecting: &Selecting) {
        let Selecting { order, filter, .. } = selecting.clone();
        let mut reads = self.lock();
        reads.retain(|read| !read.is_of(selecting));
        reads.truncate(READS - 1);
        reads.push_front(Read { order, filter, rows: FIRST, noted: Instant::now() });
    }

    /// Sets how many rows the next windows of this read have.
    pub(super) fn set(&self, selecting: &Selecting, rows: u64) {
        if let Some(read) = self.lock().iter_mut().find(|read| read.is_of(selecting)) {
            read.rows = rows.max(LEAST);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Read>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
