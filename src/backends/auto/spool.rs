//! The spool: files `spool_<chain>_<n>.jsonl` of lines that wait for the database, beside the daily files.
//!
//! WASI has no file locks, so who owns a spool file is decided by its name and, out of politeness, by its age:
//!
//! 1. Only the instance whose chain is in the name appends to a file, and only it removes the file, after the
//!    database has acknowledged every line in it.
//! 2. An append counts once the name still leads to the file *after* it. If it does not, the lines are appended again
//!    to a file of the next number. After an error, where the last append is half a minute old, and where somebody
//!    else has written to the file all the same, the next file is begun too.
//! 3. Anybody may insert the lines of anybody's file, from its beginning and in order, at any time: a row that is
//!    there already stays as it is, so doing it twice has no effect, and the rows of a chain arrive in the order
//!    of their `seq` however many instances do it at once.
//! 4. Whoever has inserted all of a file that another instance left, and that nobody has written to for a minute,
//!    takes it over by renaming it to a name of its own. Of several that try, one succeeds. What was appended
//!    before the rename is in the file, and is inserted now; what its old owner appends later, does not count
//!    by (2). Then it is removed by (1).
//!
//! So a file is removed only when its lines are in the database, whether its owner is alive, was killed, or was
//! stopped and goes on after an hour. The minute only keeps instances from taking over each other's files for nothing,
//! and covers network file systems that see a rename late.

use crate::backend::{Left, Notice, SpoolFile};
use crate::backends::rows;
use crate::batch::Batch;
use crate::error::Error;
use crate::host::{File, FileError, Folder, Host};
use crate::settings::{Durability, Settings};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::names;
use audit_format::time::Timestamp;
use uuid::Uuid;

/// A file of this size is followed by the next, so that a drain gives disk space back as it goes on. It is drained by
/// one or two statements: those that take almost half of a call's time each still let one short-lived instance after
/// the other get on with what a dead one has left.
const FILE_BYTES: u64 = if cfg!(test) { 4_000 } else { 256 << 10 };

/// How many lines go to the database at once while the spool is drained, or more if the settings say so.
const DRAIN_BATCH: usize = if cfg!(test) { 1 } else { 500 };

/// After so long, in microseconds, the owner does not append to a file any more.
const CLOSED_MICROS: u64 = 30_000_000;

/// After so long, in microseconds, another instance may take a file over.
pub(super) const TAKEN_MICROS: u64 = 60_000_000;

/// How often lines are appended anew because their file was taken over.
const TRIES: u32 = 5;

pub(super) type FileOf<H> = <<H as Host>::Folder as Folder>::File;

pub struct Spool<H: Host> {
    pub(super) host: Rc<H>,
    pub(super) folder: H::Folder,
    pub(super) chain: Uuid,
    pub(super) batch_size: usize,
    synced: bool,
    /// The number of the next file.
    pub(super) next: u64,
    /// This instance's files, the oldest first.
    pub(super) own: VecDeque<SpoolFile>,
    open: Option<Open<FileOf<H>>>,
    pub(super) others: Vec<Other>,
    /// What is to be told.
    pub notices: Vec<Notice>,
}

/// A file of another instance; they are drained in their order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Other {
    pub chain: Uuid,
    pub number: u64,
    /// Up to where the database has it.
    pub offset: u64,
    /// How large it was when it was last looked at.
    pub size: u64,
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
    /// The spool in the folder of the settings, with what was left there.
    pub fn new(host: Rc<H>, chain: Uuid, settings: &Settings, left: &mut Vec<Left>) -> Self {
        let folder = host.folder(&settings.jsonl_dir);
        let here = left.iter().position(|left| left.folder == folder.path());
        // Another path can lead to the same folder.
        let next = left.iter().map(|left| left.next).max().unwrap_or(0);
        let files = here.map_or_else(Vec::new, |here| left.remove(here).files);
        let mut spool = Self {
            folder,
            host,
            chain,
            batch_size: settings.batch_size.max(DRAIN_BATCH),
            synced: settings.durability == Durability::Synced,
            next,
            own: files.into(),
            open: None,
            others: Vec::new(),
            notices: Vec::new(),
        };
        // A folder that cannot be read shows when it is used.
        let _ = spool.look();
        spool
    }

    /// What is left where this spool is not used any more.
    pub fn leave(&mut self) -> Left {
        let files = core::mem::take(&mut self.own).into();
        Left { folder: self.path().into(), next: self.next, files }
    }

    pub fn path(&self) -> &str {
        self.folder.path()
    }

    /// Whether there are no files of this instance.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// How many lines of this instance wait for the database.
    pub fn lines(&self) -> u64 {
        self.own.iter().map(|own| own.lines).sum()
    }

    /// How many bytes of other instances wait for it.
    pub fn bytes_of_others(&self) -> u64 {
        self.others.iter().map(|other| other.size.saturating_sub(other.offset)).sum()
    }

    /// Appends all lines of the batch, or none.
    pub fn append(&mut self, batch: &Batch) -> Result<(), Error> {
        for _ in 0..TRIES {
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
                    self.take_back();
                    return Err(self.access("append to the spool", &error));
                }
            }
        }
        let gone = FileError::Other("its files are renamed or removed all the time".into());
        Err(self.access("append to the spool", &gone))
    }

    /// Takes back what was appended in part, and the file if there is nothing else in it.
    fn take_back(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        let _ = open.file.truncate(open.size);
        if open.size == 0 && self.folder.remove(&open.name).is_ok() {
            self.own.retain(|own| own.number != open.number);
        }
    }

    /// False: the file was taken over meanwhile.
    fn append_once(&mut self, batch: &Batch) -> Result<bool, FileError> {
        let now = self.host.now();
        self.open = self.open.take().filter(|open| {
            open.size < FILE_BYTES
                && now.micros().abs_diff(open.at.micros()) < CLOSED_MICROS
                && open.file.size() == Ok(open.size)
        });
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let (number, name) = (self.next, names::spool(self.chain, self.next));
                let file = self.folder.append(&name)?;
                self.next += 1;
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
        Ok(self.folder.holds(&open.name, &open.file))
    }

    /// Nothing more is appended to the file of this number.
    pub(super) fn close(&mut self, number: u64) {
        self.open = self.open.take().filter(|open| open.number != number);
    }

    pub(super) fn access(&self, verb: &str, error: &FileError) -> Error {
        Error::Access(format!("cannot {verb} in {}: {error}", self.folder.path()))
    }
}

impl SpoolFile {
    /// The file of this number, which the database has up to `offset`.
    pub(super) fn new(number: u64, offset: u64) -> Self {
        Self { number, offset, lines: 0, last_seq: 0, span: (Timestamp::MAX, Timestamp::MIN) }
    }

    /// Counts the lines of a batch.
    fn extend(&mut self, batch: &Batch) {
        self.lines += batch.len() as u64;
        for (at, _) in batch.lines() {
            self.span = (self.span.0.min(at), self.span.1.max(at));
        }
        let last = batch.lines().last().and_then(|(_, line)| rows::stamp(line));
        self.last_seq = last.map_or(self.last_seq, |stamp| stamp.seq);
    }
}
