//! The host in memory.

use super::database::Database;
use super::disk::TestFolder;
use super::state::{Content, State};
use crate::host::{DatabaseError, Host, RefusedRow, Rows};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::query::Query;
use audit_format::time::Timestamp;
use core::cell::RefCell;

#[derive(Clone, Default)]
pub struct TestHost(pub Rc<RefCell<State>>);

impl TestHost {
    pub fn at(ts: &str) -> Self {
        let host = Self::default();
        host.set_clock(ts);
        host
    }

    pub fn set_clock(&self, ts: &str) {
        self.0.borrow_mut().micros = Timestamp::parse(ts).unwrap().micros();
    }

    pub fn set_variable(&self, name: &str, value: &str) {
        self.0.borrow_mut().variables.insert(name.into(), value.into());
    }

    pub fn set_file(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        let content = Content { bytes: bytes.into(), modified: self.0.borrow().micros };
        self.0.borrow_mut().files.insert(name.into(), Rc::new(RefCell::new(content)));
    }

    pub fn file(&self, name: &str) -> String {
        let state = self.0.borrow();
        let content = state.files.get(name).map(|file| file.borrow().bytes.clone());
        String::from_utf8(content.unwrap_or_default()).unwrap()
    }

    /// Appends to a file as another process does.
    pub fn append(&self, name: &str, bytes: &[u8]) {
        let file = self.0.borrow_mut().files.entry(name.into()).or_default().clone();
        file.borrow_mut().bytes.extend_from_slice(bytes);
    }

    pub fn delete(&self, name: &str) {
        self.0.borrow_mut().files.remove(name);
    }

    pub fn rename(&self, from: &str, to: &str) {
        let mut state = self.0.borrow_mut();
        if let Some(file) = state.files.remove(from) {
            state.files.insert(to.into(), file);
        }
    }

    /// A host with a database, at a time.
    pub fn with_database(ts: &str) -> Self {
        let host = Self::at(ts);
        host.0.borrow_mut().database = Some(Database::default());
        host
    }

    /// Does something with the database.
    pub fn database<T>(&self, with: impl FnOnce(&mut Database) -> T) -> T {
        with(self.0.borrow_mut().database.as_mut().unwrap())
    }

    pub fn pass_seconds(&self, seconds: i64) {
        self.0.borrow_mut().micros += seconds * 1_000_000;
    }

    pub fn files(&self) -> Vec<String> {
        self.0.borrow().files.keys().cloned().collect()
    }
}

impl Host for TestHost {
    type Folder = TestFolder;

    fn now(&self) -> Timestamp {
        Timestamp::clamped(self.0.borrow().micros)
    }

    fn random(&self) -> u128 {
        let mut state = self.0.borrow_mut();
        state.random = state.random.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(99);
        state.random
    }

    fn warn(&self, line: &str) {
        self.0.borrow_mut().warnings.push(line.into());
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.0.borrow().variables.get(name).cloned()
    }

    fn folder(&self, path: &str) -> TestFolder {
        TestFolder::new(path, Rc::clone(&self.0))
    }

    fn has_database(&self) -> bool {
        self.0.borrow().database.is_some()
    }

    fn insert(&self, lines: &str) -> Result<Vec<RefusedRow>, DatabaseError> {
        let state = &mut *self.0.borrow_mut();
        match &mut state.database {
            Some(database) => {
                state.micros += database.micros;
                database.insert(lines)
            }
            None => Err(DatabaseError::NotConfigured),
        }
    }

    fn select(&self, query: &Query) -> Result<Rows, DatabaseError> {
        match &mut self.0.borrow_mut().database {
            Some(database) => database.select(query),
            None => Err(DatabaseError::NotConfigured),
        }
    }
}
