//! The spool: files `spool_<chain>_<n>.jsonl` of lines that wait for the database, beside the daily files.
//!
//! WASI has no file locks. The name of a spool file says which instance owns it:
//!
//! 1. Only the instance whose chain is in the name appends to a file. Only this instance removes the file,
//!    after the database has acknowledged every line in it.
//! 2. An append counts only if the name still refers to the file *after* it, and nobody else has written to it. If
//!    not, the lines are appended again, to the next file. The next file is also started after an error, when this
//!    one is large, when its last append is half a minute old, and when somebody else has written to it.
//! 3. Any instance may insert the lines of any file, from its beginning and in order, at any time. Rows that
//!    are stored already stay as they are, so inserting lines twice has no effect, and the rows of a chain
//!    are inserted in the order of their `seq`, however many instances do it at once.
//! 4. An instance that has inserted all of another instance's file takes the file over, once nobody has
//!    written to it for a minute: it renames the file to a name of its own. If several instances try, one
//!    succeeds. Lines that were appended before the rename are in the file, and are inserted by the new
//!    owner. Lines that the old owner appends later do not count, by (2). Then the new owner removes the
//!    file, by (1).
//!
//! How much of a file the database has is remembered beside it, in the name of an empty file
//! (`spool_<chain>_<n>_<bytes>.drained`), so that no other instance inserts these lines again. It only saves work: where
//! it is lost or late, by (3), nothing is stored twice.
//!
//! So a file is removed only when its lines are in the database, whether its owner is alive, was killed, or
//! was stopped and goes on after an hour. The minute is not needed for that. It keeps instances from taking
//! over each other's files for nothing, and covers network file systems that show a rename late.

use crate::backend::{Leftover, Notice, SpoolFile};
use crate::backends::rows;
use crate::batch::Batch;
use crate::error::Error;
use crate::host::{File, FileError, Folder, Host};
use crate::scan::Blocks;
use crate::settings::{Durability, Settings};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::names::{self, VISITED};
use audit_format::time::Timestamp;
use uuid::Uuid;

/// A file of this size, in bytes, is followed by the next one, so that draining gives disk space back step by
/// step. A file is drained by one or two statements. So even if each takes almost half of a call's time, an
/// instance that lives for one call drains a file that another one has left. Its progress within a file would
/// end with it.
const FILE_BYTES: u64 = if cfg!(test) { 4_000 } else { 256 << 10 };

/// The least number of lines that are inserted at once while the spool is drained. The batch size of the
/// settings may be larger.
const MIN_DRAIN_BATCH: usize = if cfg!(test) { 1 } else { 500 };

/// The owner appends to a file again only if its last append is younger than this, in microseconds.
const REUSE_MICROS: u64 = 30_000_000;

/// Another instance may take a file over if its last append is at least this old, in microseconds.
pub(super) const TAKEOVER_MICROS: u64 = 60_000_000;

/// How long nobody looks at what others have left after an instance that was closed has done so, in microseconds.
const VISIT_MICROS: u64 = 5_000_000;

/// A folder with more files takes long to list.
const MANY_FILES: usize = 32;

/// How many files an append tries, because each may be taken over meanwhile.
const APPEND_TRIES: u32 = 5;

pub(super) type FileOf<H> = <<H as Host>::Folder as Folder>::File;

pub struct Spool<H: Host> {
    pub(super) host: Rc<H>,
    pub(super) folder: H::Folder,
    pub(super) chain: Uuid,
    pub(super) batch_size: usize,
    synced: bool,
    /// The number of the next file.
    pub(super) next_number: u64,
    /// The files of this instance, the oldest first.
    pub(super) own: VecDeque<SpoolFile>,
    open: Option<Open<FileOf<H>>>,
    /// The files of other instances, in the order in which they are drained.
    pub(super) others: Vec<OtherFile>,
    /// The names of files that an instance has left that was killed, or that tell how much is drained of a spool file
    /// that is gone.
    pub(super) outdated: Vec<String>,
    /// Whether the folder has been listed.
    is_listed: bool,
    /// Whether the database has acknowledged lines of the spool since this was last asked.
    pub(super) answered: bool,
    /// What reads know of the files, by their names.
    pub(super) known: BTreeMap<String, Blocks>,
    /// Messages for the store.
    pub notices: Vec<Notice>,
}

/// A spool file of another instance. Sorted by chain, then by number.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OtherFile {
    pub chain: Uuid,
    pub number: u64,
    /// How many of its bytes the database has.
    pub offset: u64,
    /// How many the folder says that the database has; none: it says nothing.
    pub remembered: Option<u64>,
    /// Its size when it was last looked at, in bytes; none: it was listed alone.
    pub size: Option<u64>,
}

/// The file that is appended to.
struct Open<F> {
    number: u64,
    name: String,
    file: F,
    size: u64,
    /// When it was last appended to.
    at: Timestamp,
}

impl<H: Host> Spool<H> {
    /// The spool in the folder of the settings. It takes over what an earlier backend of this instance has
    /// left there.
    pub fn new(host: Rc<H>, chain: Uuid, settings: &Settings, leftovers: &mut Vec<Leftover>) -> Self {
        let folder = host.folder(&settings.jsonl_dir);
        let here = leftovers.iter().position(|leftover| leftover.folder == folder.path());
        // Two paths can lead to the same folder, so the numbers go on from those of all folders.
        let next_number = leftovers.iter().map(|leftover| leftover.next_number).max().unwrap_or(0);
        let files = here.map_or_else(Vec::new, |here| leftovers.remove(here).files);
        Self {
            folder,
            host,
            chain,
            batch_size: settings.batch_size.max(MIN_DRAIN_BATCH),
            synced: settings.durability == Durability::Synced,
            next_number,
            own: files.into(),
            open: None,
            others: Vec::new(),
            outdated: Vec::new(),
            is_listed: false,
            answered: false,
            known: BTreeMap::new(),
            notices: Vec::new(),
        }
    }

    /// Ends the spool, and returns what it leaves on disk.
    pub fn retire(&mut self) -> Leftover {
        let files = core::mem::take(&mut self.own).into();
        Leftover { folder: self.path().into(), next_number: self.next_number, files }
    }

    pub fn path(&self) -> &str {
        self.folder.path()
    }

    /// Whether the database has acknowledged lines of the spool since this was last asked.
    pub fn was_answered(&mut self) -> bool {
        core::mem::take(&mut self.answered)
    }

    /// Whether this instance has no files.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// How many lines of this instance wait for the database.
    pub fn counted(&self) -> u64 {
        self.own.iter().map(|own| own.counted).sum()
    }

    /// How many bytes of other instances' lines wait for the database, of the files that were looked at.
    pub fn bytes_of_others(&self) -> u64 {
        self.others.iter().map(|other| other.size.unwrap_or(0).saturating_sub(other.offset)).sum()
    }

    /// Finds out how large the files of other instances are, of those whose size is not known yet. Lists the folder first if
    /// nobody has.
    pub fn survey(&mut self) {
        if !self.is_listed {
            // An error comes again when the spool is used.
            let _ = self.list_others();
        }
        for other in self.others.iter_mut().filter(|other| other.size.is_none()) {
            // Draining a file that cannot be looked at returns the error.
            let stat = self.folder.stat(&names::spool(other.chain, other.number));
            other.size = Some(stat.map_or(0, |stat| stat.size));
        }
    }

    /// Appends all lines of the batch, or none.
    pub fn append(&mut self, batch: &Batch) -> Result<(), Error> {
        for _ in 0..APPEND_TRIES {
            match self.append_once(batch) {
                Ok(true) => {
                    let open = self.open.as_ref().map(|open| open.number);
                    if let Some(own) = self.own.iter_mut().rev().find(|own| Some(own.number) == open) {
                        own.extend(batch);
                    }
                    return Ok(());
                }
                Ok(false) => self.open = None,
                Err(error) => {
                    self.roll_back();
                    return Err(self.access("append to the spool", &error));
                }
            }
        }
        let moved = FileError::Other("its files are renamed or removed all the time".into());
        Err(self.access("append to the spool", &moved))
    }

    /// Removes what a failed append left in the open file, and the file if nothing else is in it.
    fn roll_back(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let _ = open.file.truncate(open.size);
        if open.size == 0 && self.folder.remove(&open.name).is_ok() {
            self.own.retain(|own| own.number != open.number);
        }
    }

    /// Appends all lines of the batch to the open file, or to the next one. False: the file was taken over
    /// meanwhile, or somebody else has written to it.
    fn append_once(&mut self, batch: &Batch) -> Result<bool, FileError> {
        let now = self.host.now();
        self.open = self.open.take().filter(|open| {
            open.size < FILE_BYTES
                && now.micros().abs_diff(open.at.micros()) < REUSE_MICROS
                && open.file.size() == Ok(open.size)
        });
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let (number, name) = (self.next_number, names::spool(self.chain, self.next_number));
                let file = self.folder.append(&name)?;
                self.next_number += 1;
                self.own.push_back(SpoolFile::new(number, 0));
                let open = self.open.insert(Open { number, name, size: 0, file, at: now });
                if self.synced {
                    self.folder.sync()?;
                }
                open
            }
        };
        let mut start = 0;
        while start < batch.len() {
            let end = batch.piece_end(start, batch.len());
            open.file.append(batch.part(start..end))?;
            start = end;
        }
        if self.synced {
            open.file.sync()?;
        }
        open.size += batch.size() as u64;
        open.at = now;
        // Another program that has written into the file just before may have hidden the first line behind half a line.
        let is_alone = open.file.size().map_or(true, |size| size == open.size);
        Ok(is_alone && self.folder.holds(&open.name, &open.file))
    }

    /// Lists the files of other instances, and what the folder remembers. A file of this instance that was drained, but
    /// could not be removed, counts as one of others too.
    /// Returns how many names the folder has.
    pub(super) fn list_others(&mut self) -> Result<usize, Error> {
        let names = self.folder.list().map_err(|error| self.access("list the spool", &error))?;
        self.is_listed = true;
        let count = names.len();
        let names = || names.iter().filter(|(_, is_file)| *is_file).map(|(name, _)| name.as_str());
        let is_own = |chain, number| chain == self.chain && self.own.iter().any(|own| own.number == number);
        let mut remembered = BTreeMap::new();
        for (chain, number, bytes) in names().filter_map(names::drained_of) {
            let most: &mut u64 = remembered.entry((chain, number)).or_default();
            *most = bytes.max(*most);
        }
        let mut others = Vec::new();
        for (chain, number) in names().filter_map(names::spool_of).filter(|(chain, n)| !is_own(*chain, *n)) {
            let known = self.others.iter().find(|other| other.chain == chain && other.number == number);
            let remembered = remembered.get(&(chain, number)).copied();
            let offset = known.map_or(0, |known| known.offset).max(remembered.unwrap_or(0));
            others.push(OtherFile { chain, number, offset, remembered, size: None });
        }
        others.sort_unstable();
        let is_outdated = |name: &&str| {
            names::drained_of(name).is_some_and(|(chain, number, bytes)| {
                let other =
                    others.binary_search_by_key(&(chain, number), |other| (other.chain, other.number));
                let is_true = other.is_ok_and(|at| others[at].remembered == Some(bytes));
                !is_true && !is_own(chain, number)
            })
        };
        let is_left = |name: &&str| is_outdated(name) || names::is_outage_part(name);
        self.outdated = names().filter(is_left).map(String::from).collect();
        self.others = others;
        Ok(count)
    }

    /// Whether it is time for an instance that is being closed to look at what others have left: nobody else does then for
    /// a while. To list a folder takes longer, the more files it has.
    pub(super) fn visits_others(&mut self) -> bool {
        let visited = self.folder.stat(VISITED).ok().and_then(|stat| stat.modified);
        let now = self.host.now().micros();
        if visited.is_some_and(|visited| now.abs_diff(visited.micros()) < VISIT_MICROS) {
            return false;
        }
        // An error comes again when the spool is used.
        let count = self.list_others().unwrap_or(0);
        if !self.others.is_empty() || visited.is_some() || count > MANY_FILES {
            // Only the time of the file counts, which is that of its creation.
            let _ = self.folder.remove(VISITED);
            let _ = self.folder.append(VISITED);
        }
        true
    }

    /// Remembers beside a file how many of its bytes the database has. `remembered` is what the folder says. Where that
    /// fails, another instance drains the same lines again, without effect.
    pub(super) fn remember(&mut self, chain: Uuid, number: u64, remembered: &mut Option<u64>, bytes: u64) {
        if bytes == remembered.unwrap_or(0) {
            return;
        }
        let name = names::drained(chain, number, bytes);
        let renamed = remembered.map(|before| names::drained(chain, number, before));
        let renamed = renamed.is_some_and(|before| self.folder.rename(&before, &name).is_ok());
        if renamed || self.folder.append(&name).is_ok() {
            *remembered = Some(bytes);
        }
    }

    /// Forgets what the folder says of a file that is gone.
    pub(super) fn forget(&mut self, chain: Uuid, number: u64, remembered: Option<u64>) {
        if let Some(bytes) = remembered {
            let _ = self.folder.remove(&names::drained(chain, number, bytes));
        }
    }

    /// Stops appending to the file of this number.
    pub(super) fn close(&mut self, number: u64) {
        self.open = self.open.take().filter(|open| open.number != number);
    }

    pub(super) fn access(&self, verb: &str, error: &FileError) -> Error {
        Error::Access(format!("cannot {verb} in {}: {error}", self.folder.path()))
    }
}

impl SpoolFile {
    /// The file of this number, without counted lines. The database has its first `offset` bytes.
    pub(super) fn new(number: u64, offset: u64) -> Self {
        let span = (Timestamp::MAX, Timestamp::MIN);
        Self { number, offset, remembered: None, counted: 0, last_seq: 0, span }
    }

    /// Counts the appended lines of a batch.
    fn extend(&mut self, batch: &Batch) {
        self.counted += batch.len() as u64;
        for (at, _) in batch.lines() {
            self.span = (self.span.0.min(at), self.span.1.max(at));
        }
        let last = batch.lines().last().and_then(|(_, line)| rows::stamp(line));
        self.last_seq = last.map_or(self.last_seq, |stamp| stamp.seq);
    }
}
