//! A host with a disk in memory, a clock and nothing else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::SystemTime;

use audit_format::query::Query;
use audit_format::time::Timestamp;
use audit_store::host::{DatabaseError, File, FileError, Folder, Host, RefusedRow, Rows, Stat};

type Contents = Rc<RefCell<Vec<u8>>>;

#[derive(Default)]
pub(crate) struct MemoryHost {
    files: Rc<RefCell<BTreeMap<String, Contents>>>,
}

pub(crate) struct MemoryFolder(Rc<RefCell<BTreeMap<String, Contents>>>);

pub(crate) struct MemoryFile(Contents);

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::clamped(since.as_micros() as i64)
}

impl Host for MemoryHost {
    type Folder = MemoryFolder;

    fn now(&self) -> Timestamp {
        now()
    }

    fn random(&self) -> u128 {
        7
    }

    fn warn(&self, line: &str) {
        eprintln!("{line}");
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn folder(&self, _: &str) -> MemoryFolder {
        MemoryFolder(Rc::clone(&self.files))
    }

    fn has_database(&self) -> bool {
        false
    }

    fn insert(&self, _: &str) -> Result<Vec<RefusedRow>, DatabaseError> {
        Err(DatabaseError::NotConfigured)
    }

    fn select(&self, _: &Query) -> Result<Rows, DatabaseError> {
        Err(DatabaseError::NotConfigured)
    }
}

impl Folder for MemoryFolder {
    type File = MemoryFile;

    fn path(&self) -> &str {
        "memory"
    }

    fn list(&mut self) -> Result<Vec<(String, bool)>, FileError> {
        Ok(self.0.borrow().keys().map(|name| (name.clone(), true)).collect())
    }

    fn open(&mut self, name: &str) -> Result<MemoryFile, FileError> {
        self.0.borrow().get(name).cloned().map(MemoryFile).ok_or(FileError::NotFound)
    }

    fn holds(&mut self, name: &str, file: &MemoryFile) -> bool {
        self.0.borrow().get(name).is_some_and(|contents| Rc::ptr_eq(contents, &file.0))
    }

    fn append(&mut self, name: &str) -> Result<MemoryFile, FileError> {
        Ok(MemoryFile(Rc::clone(self.0.borrow_mut().entry(name.into()).or_default())))
    }

    fn stat(&mut self, name: &str) -> Result<Stat, FileError> {
        let size = self.open(name)?.size()?;
        Ok(Stat { size, modified: Some(now()) })
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        let contents = self.0.borrow_mut().remove(from).ok_or(FileError::NotFound)?;
        self.0.borrow_mut().insert(to.into(), contents);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), FileError> {
        self.0.borrow_mut().remove(name).map(drop).ok_or(FileError::NotFound)
    }

    fn sync(&mut self) -> Result<(), FileError> {
        Ok(())
    }
}

impl File for MemoryFile {
    fn size(&self) -> Result<u64, FileError> {
        Ok(self.0.borrow().len() as u64)
    }

    fn identity(&self) -> Result<u128, FileError> {
        Ok(Rc::as_ptr(&self.0).addr() as u128)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        let contents = self.0.borrow();
        let rest = contents.get(offset as usize..).unwrap_or_default();
        Ok(rest[..rest.len().min(len)].to_vec())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> Result<(), FileError> {
        self.0.borrow_mut().truncate(size as usize);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), FileError> {
        Ok(())
    }
}
