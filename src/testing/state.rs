//! What the host in memory holds. Tests look into it and change it.

use super::database::Database;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

/// The clock, the disk and the database, with their faults.
#[derive(Default)]
pub struct State {
    /// The clock, in microseconds since 1970.
    pub micros: i64,
    /// The last random number.
    pub random: u128,
    /// The environment variables.
    pub variables: BTreeMap<String, String>,
    /// The lines on stderr.
    pub warnings: Vec<String>,
    pub files: BTreeMap<String, Rc<RefCell<Content>>>,
    /// How many bytes fit on the disk.
    pub capacity: Option<usize>,
    /// What another process appends just after an append or a sync of ours has failed.
    pub appended_on_failure: Option<Vec<u8>>,
    /// What another process appends after this many more appends of ours, and one.
    pub appended_in_between: Option<(u32, Vec<u8>)>,
    /// What another process appends to files of these names, after so many calls that open, measure or read a file.
    pub appended_meanwhile: Option<(u32, Vec<(String, Vec<u8>)>)>,
    /// Whether the host takes an append of any length at once.
    pub appends_at_once: bool,
    /// Whether files cannot be synced.
    pub sync_fails: bool,
    /// The error of every use of the folder.
    pub broken: Option<&'static str>,
    /// The name of a file that cannot be opened for reading.
    pub unreadable: Option<String>,
    /// How long it takes to open a file for reading, in microseconds.
    pub open_micros: i64,
    /// How long it takes to look at a file, in microseconds.
    pub stat_micros: i64,
    /// Whether files cannot be removed or truncated.
    pub keeps_files: bool,
    /// How many bytes of files were read.
    pub bytes_read: u64,
    /// How often files and the folder were synced.
    pub syncs: u32,
    pub database: Option<Database>,
}

impl State {
    /// Counts a call that opens, measures or reads a file.
    pub fn count_call(&mut self) {
        match self.appended_meanwhile.take() {
            Some((0, appended)) => {
                for (name, bytes) in appended {
                    self.files.entry(name).or_default().borrow_mut().bytes.extend(bytes);
                }
            }
            later => {
                self.appended_meanwhile = later.map(|(calls, appended)| (calls - 1, appended));
            }
        }
    }
}

/// A file.
#[derive(Default)]
pub struct Content {
    pub bytes: Vec<u8>,
    /// When it was last appended to, in microseconds since 1970.
    pub modified: i64,
}
