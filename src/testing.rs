//! A host in memory for the unit tests: a clock that is set, a disk that can be filled, torn and broken, and a
//! database that can be away and lose its answers.

use crate::accounting::Counts;
use crate::error::Error;
use crate::host::{File, FileError, Folder, Host, RefusedRow, Row, Rows, DatabaseError};
use crate::sink::{Found, Sink};
use crate::store::Store;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::cursor::{Key, Order, Position};
use audit_format::event::Event;
use audit_format::line::{MAX_LEN, Parsed, put_entry};
use audit_format::query::{Filter, PageRequest, Query};
use audit_format::read::parse_stored;
use audit_format::time::Timestamp;
use core::cell::RefCell;

/// The time that most tests begin at.
pub const NOON: &str = "2026-11-23T12:00:00Z";

/// An event of this tool, at the store's time.
pub fn event(tool: impl ToString) -> Event<'static> {
    Event { tool: tool.to_string().into(), ..Event::default() }
}

/// An event of this tool, at this time.
pub fn event_at(ts: &str, tool: &str) -> Event<'static> {
    Event { ts: ts.to_string().into(), ..event(tool) }
}

/// The counts, in which every event is accounted for.
#[track_caller]
pub fn assert_balanced(store: &Store<TestHost>) -> Counts {
    let counts = store.status().counts;
    let Counts { received, stored, spooled, pending, rejected, dropped } = counts;
    let dropped = dropped.invalid + dropped.queue_full + dropped.unwritable;
    assert_eq!(received, stored + spooled + pending + rejected + dropped, "{counts:?}");
    counts
}

/// A page as the tests look at it.
#[derive(Debug, Default)]
pub struct Page {
    /// The lines, newlines included.
    pub lines: String,
    pub events: Vec<Event<'static>>,
    pub next: Option<String>,
    pub skipped: u64,
}

impl Sink for Page {
    fn take(&mut self, entry: Found<'_>) {
        let mut line = Vec::new();
        entry.put(&mut line);
        self.lines += &String::from_utf8(line).unwrap();
        self.events.push(entry.parsed().unwrap().event.into_owned());
    }
}

impl Page {
    pub fn tools(&self) -> Vec<&str> {
        self.events.iter().map(|event| &*event.tool).collect()
    }
}

/// Reads a page.
pub fn read_page(store: &mut Store<TestHost>, filter: Filter, request: &PageRequest) -> Result<Page, Error> {
    let mut page = Page::default();
    let end = store.read(filter, request, &mut page)?;
    page.next = end.next.map(|key| key.to_cursor(request.order));
    page.skipped = end.skipped;
    Ok(page)
}

/// The pages of a whole read.
pub fn read_pages(store: &mut Store<TestHost>, order: Order, limit: u32) -> Vec<Page> {
    let mut request = PageRequest { order, limit, cursor: None };
    let mut pages = Vec::new();
    loop {
        let page = read_page(store, Filter::default(), &request).unwrap();
        request.cursor.clone_from(&page.next);
        pages.push(page);
        if request.cursor.is_none() {
            return pages;
        }
    }
}

/// The tools of all entries, in their order.
pub fn read_tools(store: &mut Store<TestHost>, order: Order, limit: u32) -> Vec<String> {
    read_pages(store, order, limit).iter().flat_map(Page::tools).map(String::from).collect()
}

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
    /// The file that cannot be opened to read.
    pub unreadable: Option<String>,
    /// How long the opening of a file to read takes.
    pub open_micros: i64,
    /// Makes the removing and the cutting of files fail.
    pub keeps_files: bool,
    /// Bytes of lines that were read.
    pub bytes_read: u64,
    pub syncs: u32,
    pub database: Option<Database>,
}

#[derive(Default)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub modified: i64,
}

/// A table and its faults.
#[derive(Default)]
pub struct Database {
    /// In the order of insertion.
    pub rows: Vec<Parsed<'static>>,
    /// How many rows each call had.
    pub calls: Vec<usize>,
    /// Why it does not answer.
    pub down: Option<DatabaseError>,
    /// So many more calls are answered.
    pub answers: Option<usize>,
    /// Each so many calls the rows are stored, but the answer is lost.
    pub loses_each: Option<usize>,
    /// The tools whose rows are refused.
    pub poison: Vec<&'static str>,
}

impl Database {
    /// The tools of the rows, in the order of insertion.
    pub fn tools(&self) -> Vec<&str> {
        self.rows.iter().map(|row| &*row.event.tool).collect()
    }

    fn answer(&mut self) -> Result<(), DatabaseError> {
        match &mut self.answers {
            Some(0) => return Err(DatabaseError::Unavailable("the connection is lost".into())),
            Some(answers) => *answers -= 1,
            None => {}
        }
        self.down.clone().map_or(Ok(()), Err)
    }

    fn insert(&mut self, rows: Vec<Parsed<'_>>) -> Result<Vec<RefusedRow>, DatabaseError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        self.answer()?;
        self.calls.push(rows.len());
        let mut refused = Vec::new();
        for (index, row) in rows.into_iter().enumerate() {
            if self.poison.contains(&&*row.event.tool) {
                refused.push(RefusedRow { index, reason: "poison".into() });
            } else if !self.rows.iter().any(|known| id(known) == id(&row)) {
                self.rows.push(owned(&row));
            }
        }
        match self.loses_each {
            Some(each) if self.calls.len().is_multiple_of(each) => {
                Err(DatabaseError::Unavailable("the answer is lost".into()))
            }
            _ => Ok(refused),
        }
    }

    fn select(&mut self, query: &Query) -> Result<Rows, DatabaseError> {
        self.answer()?;
        let mut found = Vec::new();
        for (position, row) in self.rows.iter().enumerate() {
            let at = Timestamp::parse(&row.event.ts).unwrap();
            let id = row.stamp.as_ref().map(|stamp| stamp.id);
            let offset = if id.is_none() { position as u64 } else { 0 };
            let key = Key { at, id, position: Position { day: 0, offset } };
            let is_after = |after: Key| match query.order {
                Order::OldestFirst => key > after,
                Order::NewestFirst => key < after,
            };
            let in_range = (query.from..=query.to).contains(&at) && query.after.is_none_or(is_after);
            if in_range && query.texts_match(&row.event) {
                found.push((key, Row { entry: row.clone(), position: offset }));
            }
        }
        found.sort_by_key(|(key, _)| *key);
        if query.order == Order::NewestFirst {
            found.reverse();
        }
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let next = found.last().filter(|_| more).map(|(key, _)| key.to_cursor(query.order));
        Ok(Rows { rows: found.into_iter().map(|(_, row)| row).collect(), next, skipped: 0 })
    }
}

fn id(row: &Parsed<'_>) -> uuid::Uuid {
    row.stamp.as_ref().unwrap().id
}

fn owned(row: &Parsed<'_>) -> Parsed<'static> {
    let mut line = Vec::new();
    put_entry(&row.event, row.stamp.as_ref().unwrap(), &mut line);
    let line = String::from_utf8(line).unwrap();
    parse_stored(std::boxed::Box::leak(line.into_boxed_str())).unwrap()
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
        TestFolder { path: path.into(), host: self.clone() }
    }

    fn has_database(&self) -> bool {
        self.0.borrow().database.is_some()
    }

    fn insert(&self, rows: Vec<Parsed<'_>>) -> Result<Vec<RefusedRow>, DatabaseError> {
        match &mut self.0.borrow_mut().database {
            Some(database) => database.insert(rows),
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
        if self.host.0.borrow().unreadable.as_deref() == Some(name) {
            return Err(FileError::Other("permission denied".into()));
        }
        let mut state = self.host.0.borrow_mut();
        state.micros += state.open_micros;
        let content = state.files.get(name).cloned().ok_or(FileError::NotFound)?;
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

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        self.check()?;
        let mut state = self.host.0.borrow_mut();
        let content = state.files.remove(from).ok_or(FileError::NotFound)?;
        assert!(state.files.insert(to.into(), content).is_none(), "{to} was there");
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), FileError> {
        self.check()?;
        if self.host.0.borrow().keeps_files {
            return Err(FileError::Other("permission denied".into()));
        }
        self.host.0.borrow_mut().files.remove(name).map(drop).ok_or(FileError::NotFound)
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

    fn modified(&self) -> Option<Timestamp> {
        Some(Timestamp::clamped(self.content.borrow().modified))
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
        assert!(bytes.len() <= MAX_LEN, "an append that a host would not take in one piece");
        let (used, capacity) = {
            let state = self.host.0.borrow();
            let used: usize = state.files.values().map(|file| file.borrow().bytes.len()).sum();
            (used, state.capacity.unwrap_or(usize::MAX))
        };
        let fits = bytes.len().min(capacity.saturating_sub(used));
        self.content.borrow_mut().bytes.extend_from_slice(&bytes[..fits]);
        self.content.borrow_mut().modified = self.host.0.borrow().micros;
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
        if self.host.0.borrow().keeps_files {
            return Err(FileError::Other("permission denied".into()));
        }
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
