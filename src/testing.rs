//! A host in memory for the unit tests: a clock that is set, and a disk that can be filled, torn and broken.

use crate::host::{File, FileError, Folder, Host};
use crate::time::Timestamp;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;

/// What the host holds; the tests look into it and change it.
#[derive(Default)]
pub struct State {
    pub micros: i64,
    pub random: u128,
    pub variables: BTreeMap<String, String>,
    pub warnings: Vec<String>,
    pub files: BTreeMap<String, Rc<RefCell<Content>>>,
    /// How many bytes fit on the disk.
    pub capacity: Option<usize>,
    /// What another process appends just after an append of ours did not fit.
    pub intruder: Option<Vec<u8>>,
    /// What another process appends just after this many more appends of ours.
    pub between: Option<(u32, Vec<u8>)>,
    /// Makes the syncing of files fail.
    pub sync_fails: bool,
    /// What every use of the folder fails with.
    pub broken: Option<&'static str>,
    /// Bytes of lines that were read.
    pub bytes_read: u64,
    pub syncs: u32,
}

#[derive(Default)]
pub struct Content {
    pub bytes: Vec<u8>,
}

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
        let content = Content { bytes: bytes.into() };
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
        TestFolder { path: path.into(), host: self.clone() }
    }

    fn has_database(&self) -> bool {
        false
    }
}

pub struct TestFolder {
    path: String,
    host: TestHost,
}

impl TestFolder {
    fn check(&self) -> Result<(), FileError> {
        match self.host.0.borrow().broken {
            Some(why) => Err(FileError::Other(why.into())),
            None => Ok(()),
        }
    }
}

impl Folder for TestFolder {
    type File = TestFile;

    fn path(&self) -> &str {
        &self.path
    }

    fn list(&mut self) -> Result<Vec<(String, bool)>, FileError> {
        self.check()?;
        Ok(self.host.files().into_iter().map(|name| (name, true)).collect())
    }

    fn open(&mut self, name: &str) -> Result<TestFile, FileError> {
        self.check()?;
        let content = self.host.0.borrow().files.get(name).cloned().ok_or(FileError::NotFound)?;
        Ok(TestFile { content, host: self.host.clone() })
    }

    fn holds(&mut self, name: &str, file: &TestFile) -> bool {
        self.host.0.borrow().files.get(name).is_some_and(|content| Rc::ptr_eq(content, &file.content))
    }

    fn append(&mut self, name: &str) -> Result<TestFile, FileError> {
        self.check()?;
        let content = self.host.0.borrow_mut().files.entry(name.into()).or_default().clone();
        Ok(TestFile { content, host: self.host.clone() })
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.host.0.borrow_mut().syncs += 1;
        Ok(())
    }
}

pub struct TestFile {
    content: Rc<RefCell<Content>>,
    host: TestHost,
}

impl File for TestFile {
    fn size(&self) -> Result<u64, FileError> {
        Ok(self.content.borrow().bytes.len() as u64)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        let content = self.content.borrow();
        let rest = content.bytes.get(offset as usize..).unwrap_or_default();
        // As hosts do, fewer than asked for.
        let read = rest[..rest.len().min(len).min(1000)].to_vec();
        self.host.0.borrow_mut().bytes_read += read.len() as u64;
        Ok(read)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        assert!(bytes.len() <= crate::line::MAX_LEN, "an append that a host would not take in one piece");
        let (used, capacity) = {
            let state = self.host.0.borrow();
            let used: usize = state.files.values().map(|file| file.borrow().bytes.len()).sum();
            (used, state.capacity.unwrap_or(usize::MAX))
        };
        let fits = bytes.len().min(capacity.saturating_sub(used));
        self.content.borrow_mut().bytes.extend_from_slice(&bytes[..fits]);
        let mut state = self.host.0.borrow_mut();
        state.between = match state.between.take() {
            Some((0, theirs)) => {
                self.content.borrow_mut().bytes.extend(theirs);
                None
            }
            later => later.map(|(appends, theirs)| (appends - 1, theirs)),
        };
        drop(state);
        if fits < bytes.len() {
            let intruder = self.host.0.borrow_mut().intruder.take();
            self.content.borrow_mut().bytes.extend(intruder.unwrap_or_default());
            return Err(FileError::Other("no space left".to_string()));
        }
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> Result<(), FileError> {
        self.content.borrow_mut().bytes.truncate(size as usize);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), FileError> {
        let mut state = self.host.0.borrow_mut();
        state.syncs += 1;
        if state.sync_fails {
            self.content.borrow_mut().bytes.extend(state.intruder.take().unwrap_or_default());
            return Err(FileError::Other("the disk is gone".to_string()));
        }
        Ok(())
    }
}
