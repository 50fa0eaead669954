//! A host in memory for the guest's logic: a folder, a clock that goes on by a millisecond a look, and random numbers that
//! are the same each time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use audit_format::query::Query;
use audit_format::time::Timestamp;
use audit_store::host::{DatabaseError, File, FileError, Folder, Host, RefusedRow, Rows, Stat};

type Content = Rc<RefCell<Vec<u8>>>;

/// The host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Rc<State>);

#[derive(Debug, Default)]
struct State {
    variables: Vec<(String, String)>,
    files: RefCell<BTreeMap<String, Content>>,
    looks: Cell<i64>,
    random: Cell<u128>,
}

impl Memory {
    /// With these environment variables.
    pub(crate) fn with_variables(variables: Vec<(String, String)>) -> Self {
        Self(Rc::new(State { variables, ..State::default() }))
    }

    /// With the setting of a backend.
    pub(crate) fn with_backend(name: &str) -> Self {
        Self::with_variables(vec![("AUDIT_BACKEND".into(), name.into())])
    }

    /// Puts a file into the folder.
    pub(crate) fn put(&self, name: String, bytes: Vec<u8>) {
        self.0.files.borrow_mut().insert(name, Rc::new(RefCell::new(bytes)));
    }

    /// All files, each with its name.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let files = self.0.files.borrow();
        files.iter().map(|(name, content)| (name.clone(), content.borrow().clone())).collect()
    }
}

impl Host for Memory {
    type Folder = Self;

    fn now(&self) -> Timestamp {
        // 2026-11-23T06:30:00Z.
        const START: i64 = 1_795_415_400_000_000;
        self.0.looks.set(self.0.looks.get() + 1);
        Timestamp::clamped(START + 1000 * self.0.looks.get())
    }

    fn random(&self) -> u128 {
        self.0.random.set(
            self.0.random.get().wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(99),
        );
        self.0.random.get()
    }

    fn warn(&self, line: &str) {
        assert!(!line.contains(char::is_control), "a line on stderr has a control character: {line:?}");
    }

    fn variable(&self, name: &str) -> Option<String> {
        let found = self.0.variables.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    fn folder(&self, _path: &str) -> Self {
        self.clone()
    }

    fn has_database(&self) -> bool {
        false
    }

    fn insert(&self, _lines: &str) -> Result<Vec<RefusedRow>, DatabaseError> {
        Err(DatabaseError::NotConfigured)
    }

    fn select(&self, _query: &Query) -> Result<Rows, DatabaseError> {
        Err(DatabaseError::NotConfigured)
    }
}

impl Folder for Memory {
    type File = Open;

    fn path(&self) -> &str {
        "folder"
    }

    fn list(&mut self) -> Result<Vec<(String, bool)>, FileError> {
        Ok(self.0.files.borrow().keys().map(|name| (name.clone(), true)).collect())
    }

    fn open(&mut self, name: &str) -> Result<Open, FileError> {
        self.0.files.borrow().get(name).map(|content| Open(Rc::clone(content))).ok_or(FileError::NotFound)
    }

    fn holds(&mut self, name: &str, file: &Open) -> bool {
        self.0.files.borrow().get(name).is_some_and(|content| Rc::ptr_eq(content, &file.0))
    }

    fn append(&mut self, name: &str) -> Result<Open, FileError> {
        Ok(Open(Rc::clone(self.0.files.borrow_mut().entry(name.into()).or_default())))
    }

    fn stat(&mut self, name: &str) -> Result<Stat, FileError> {
        Ok(Stat { size: self.open(name)?.size()?, modified: None })
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        let mut files = self.0.files.borrow_mut();
        let content = files.remove(from).ok_or(FileError::NotFound)?;
        files.insert(to.into(), content);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), FileError> {
        self.0.files.borrow_mut().remove(name).map(drop).ok_or(FileError::NotFound)
    }

    fn sync(&mut self) -> Result<(), FileError> {
        Ok(())
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct Open(Content);

impl File for Open {
    fn size(&self) -> Result<u64, FileError> {
        Ok(self.0.borrow().len() as u64)
    }

    fn identity(&self) -> Result<u128, FileError> {
        Ok(Rc::as_ptr(&self.0).addr() as u128)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        let content = self.0.borrow();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        Ok(content[start..content.len().min(start.saturating_add(len))].to_vec())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> Result<(), FileError> {
        self.0.borrow_mut().truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), FileError> {
        Ok(())
    }
}
