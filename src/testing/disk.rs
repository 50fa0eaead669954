//! The disk of the host in memory.

use super::state::{Content, State};
use crate::host::{File, FileError, Folder, MAX_APPEND, Stat, pieces};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::line::MAX_LEN;
use audit_format::time::Timestamp;
use core::cell::RefCell;

pub struct TestFolder {
    path: String,
    state: Rc<RefCell<State>>,
}

impl TestFolder {
    pub fn new(path: &str, state: Rc<RefCell<State>>) -> Self {
        Self { path: path.into(), state }
    }

    /// Fails if the folder is broken.
    fn check(&self) -> Result<(), FileError> {
        match self.state.borrow().broken {
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
        Ok(self.state.borrow().files.keys().map(|name| (name.clone(), true)).collect())
    }

    fn open(&mut self, name: &str) -> Result<TestFile, FileError> {
        self.check()?;
        if self.state.borrow().unreadable.as_deref() == Some(name) {
            return Err(FileError::Other("permission denied".into()));
        }
        let mut state = self.state.borrow_mut();
        state.count_call();
        state.micros += state.open_micros;
        let content = state.files.get(name).cloned().ok_or(FileError::NotFound)?;
        Ok(TestFile { content, state: Rc::clone(&self.state) })
    }

    fn holds(&mut self, name: &str, file: &TestFile) -> bool {
        self.state.borrow().files.get(name).is_some_and(|content| Rc::ptr_eq(content, &file.content))
    }

    fn append(&mut self, name: &str) -> Result<TestFile, FileError> {
        self.check()?;
        let state = &mut *self.state.borrow_mut();
        let created = Content { bytes: Vec::new(), modified: state.micros };
        let content =
            state.files.entry(name.into()).or_insert_with(|| Rc::new(RefCell::new(created))).clone();
        Ok(TestFile { content, state: Rc::clone(&self.state) })
    }

    fn stat(&mut self, name: &str) -> Result<Stat, FileError> {
        self.check()?;
        let mut state = self.state.borrow_mut();
        state.micros += state.stat_micros;
        let content = state.files.get(name).ok_or(FileError::NotFound)?.borrow();
        let modified = Some(Timestamp::clamped(content.modified));
        Ok(Stat { size: content.bytes.len() as u64, modified })
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        self.check()?;
        let mut state = self.state.borrow_mut();
        let content = state.files.remove(from).ok_or(FileError::NotFound)?;
        let replaced = state.files.insert(to.into(), content);
        assert!(replaced.is_none() || !to.ends_with(".jsonl"), "{to} was there");
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), FileError> {
        self.check()?;
        if self.state.borrow().keeps_files {
            return Err(FileError::Other("permission denied".into()));
        }
        self.state.borrow_mut().files.remove(name).map(drop).ok_or(FileError::NotFound)
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.state.borrow_mut().syncs += 1;
        Ok(())
    }
}

pub struct TestFile {
    content: Rc<RefCell<Content>>,
    state: Rc<RefCell<State>>,
}

impl TestFile {
    fn append_piece(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let (used, capacity) = {
            let state = self.state.borrow();
            let used: usize = state.files.values().map(|file| file.borrow().bytes.len()).sum();
            (used, state.capacity.unwrap_or(usize::MAX))
        };
        let fits = bytes.len().min(capacity.saturating_sub(used));
        self.content.borrow_mut().bytes.extend_from_slice(&bytes[..fits]);
        self.content.borrow_mut().modified = self.state.borrow().micros;
        let mut state = self.state.borrow_mut();
        state.appended_in_between = match state.appended_in_between.take() {
            Some((0, theirs)) => {
                self.content.borrow_mut().bytes.extend(theirs);
                None
            }
            later => later.map(|(appends, theirs)| (appends - 1, theirs)),
        };
        drop(state);
        if fits < bytes.len() {
            let appended_on_failure = self.state.borrow_mut().appended_on_failure.take();
            self.content.borrow_mut().bytes.extend(appended_on_failure.unwrap_or_default());
            return Err(FileError::Other("no space left".to_string()));
        }
        Ok(())
    }
}

impl File for TestFile {
    fn size(&self) -> Result<u64, FileError> {
        self.state.borrow_mut().count_call();
        Ok(self.content.borrow().bytes.len() as u64)
    }

    fn identity(&self) -> Result<u128, FileError> {
        Ok(Rc::as_ptr(&self.content).addr() as u128)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        self.state.borrow_mut().count_call();
        let content = self.content.borrow();
        let rest = content.bytes.get(offset as usize..).unwrap_or_default();
        // Hosts may return fewer bytes than asked for.
        let read = rest[..rest.len().min(len).min(1000)].to_vec();
        self.state.borrow_mut().bytes_read += read.len() as u64;
        Ok(read)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        assert!(bytes.len() <= MAX_APPEND, "a host does not take an append this long");
        let whole_lines = bytes.ends_with(b"\n");
        assert!(bytes.len() <= MAX_LEN || whole_lines, "a host may take these bytes in several pieces");
        let at_once = self.state.borrow().appends_at_once;
        if at_once {
            self.append_piece(bytes)
        } else {
            pieces(bytes).try_for_each(|piece| self.append_piece(piece))
        }
    }

    fn truncate(&mut self, size: u64) -> Result<(), FileError> {
        if self.state.borrow().keeps_files {
            return Err(FileError::Other("permission denied".into()));
        }
        self.content.borrow_mut().bytes.truncate(size as usize);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), FileError> {
        let mut state = self.state.borrow_mut();
        state.syncs += 1;
        if state.sync_fails {
            self.content.borrow_mut().bytes.extend(state.appended_on_failure.take().unwrap_or_default());
            return Err(FileError::Other("the disk is gone".to_string()));
        }
        Ok(())
    }
}
