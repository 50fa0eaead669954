//! The store's surroundings from WASI 0.2: clock, randomness, environment, stderr and preopened folders.

use crate::database;
use crate::host::{File, FileError, Folder, Host, RefusedRow, Rows, DatabaseError};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::line::{MAX_LEN, Parsed};
use audit_format::query::Query;
use audit_format::time::Timestamp;
use core::cell::OnceCell;
use wasi::cli::{environment, stderr};
use wasi::clocks::wall_clock;
use wasi::filesystem::preopens;
use wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags, filesystem_error_code,
};
use wasi::io::streams::{OutputStream, StreamError};
use wasi::random::random;

/// The surroundings of the component.
#[derive(Default)]
pub struct Wasi {
    environment: OnceCell<Vec<(String, String)>>,
}

impl Host for Wasi {
    type Folder = WasiFolder;

    fn now(&self) -> Timestamp {
        timestamp(wall_clock::now())
    }

    fn random(&self) -> u128 {
        u128::from(random::get_random_u64()) << 64 | u128::from(random::get_random_u64())
    }

    fn warn(&self, line: &str) {
        warn(line);
    }

    fn variable(&self, name: &str) -> Option<String> {
        let all = self.environment.get_or_init(environment::get_environment);
        all.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn folder(&self, path: &str) -> WasiFolder {
        WasiFolder { path: path.trim_end_matches('/').to_string(), normal: normal(path), opened: None }
    }

    fn has_database(&self) -> bool {
        database::is_there()
    }

    fn insert(&self, rows: Vec<Parsed<'_>>) -> Result<Vec<RefusedRow>, DatabaseError> {
        database::insert(rows)
    }

    fn select(&self, query: &Query) -> Result<Rows, DatabaseError> {
        database::select(query)
    }
}

fn timestamp(time: wall_clock::Datetime) -> Timestamp {
    let seconds = i64::try_from(time.seconds).unwrap_or(i64::MAX);
    Timestamp::clamped(seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanoseconds / 1000)))
}

/// Writes a line to stderr, as far as that works.
pub fn warn(line: &str) {
    let stderr = stderr::get_stderr();
    let line = format!("{line}\n");
    for piece in line.as_bytes().chunks(MAX_LEN) {
        if stderr.blocking_write_and_flush(piece).is_err() {
            break;
        }
    }
}

/// A folder in one of the preopened ones.
pub struct WasiFolder {
    /// As the configuration has it.
    path: String,
    /// Without `.` and empty parts.
    normal: String,
    opened: Option<Descriptor>,
}

impl WasiFolder {
    fn opened(&mut self, create: bool) -> Result<&Descriptor, FileError> {
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => open_folder(&self.normal, create)?,
        };
        Ok(self.opened.insert(opened))
    }

    fn open_at(&mut self, name: &str, create: bool) -> Result<WasiFile, FileError> {
        let (how, flags) = match create {
            true => (OpenFlags::CREATE, DescriptorFlags::READ | DescriptorFlags::WRITE),
            false => (OpenFlags::empty(), DescriptorFlags::READ),
        };
        let file = self.opened(create)?.open_at(PathFlags::empty(), name, how, flags)?;
        Ok(WasiFile { file, stream: None })
    }
}

impl Folder for WasiFolder {
    type File = WasiFile;

    fn path(&self) -> &str {
        &self.path
    }

    fn list(&mut self) -> Result<Vec<(String, bool)>, FileError> {
        for _ in 0..LIST_TRIES {
            // Found anew each time: it may have been deleted and made again.
            self.opened = None;
            let folder = match self.opened(false) {
                Ok(folder) => folder,
                Err(FileError::NotFound) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            match names_in(folder) {
                Err(FileError::NotFound) => {}
                listed => return listed,
            }
        }
        Err(FileError::NotFound)
    }

    fn open(&mut self, name: &str) -> Result<WasiFile, FileError> {
        self.open_at(name, false)
    }

    fn holds(&mut self, name: &str, file: &WasiFile) -> bool {
        let Ok(folder) = self.opened(false) else { return false };
        match (folder.metadata_hash_at(PathFlags::empty(), name), file.file.metadata_hash()) {
            (Ok(there), Ok(here)) => (there.lower, there.upper) == (here.lower, here.upper),
            (Err(ErrorCode::NoEntry), _) => false,
            // A host that cannot tell.
            _ => true,
        }
    }

    fn append(&mut self, name: &str) -> Result<WasiFile, FileError> {
        match self.open_at(name, true) {
            // The folder was deleted while it was open.
            Err(FileError::NotFound) => {
                self.opened = None;
                self.open_at(name, true)
            }
            opened => opened,
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        let folder = self.opened(false)?;
        Ok(folder.rename_at(from, folder, to)?)
    }

    fn remove(&mut self, name: &str) -> Result<(), FileError> {
        Ok(self.opened(false)?.unlink_file_at(name)?)
    }

    fn sync(&mut self) -> Result<(), FileError> {
        Ok(self.opened(false)?.sync_data()?)
    }
}

/// How often a folder is listed again: hosts look at each file, and one that is removed meanwhile is an error.
const LIST_TRIES: u32 = 20;

fn names_in(folder: &Descriptor) -> Result<Vec<(String, bool)>, FileError> {
    let entries = folder.read_directory()?;
    let mut names = Vec::new();
    loop {
        match entries.read_directory_entry() {
            Ok(Some(entry)) => names.push((entry.name, entry.type_ == DescriptorType::RegularFile)),
            Ok(None) => return Ok(names),
            // Another name than UTF-8: not one of ours.
            Err(ErrorCode::IllegalByteSequence) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// An open file.
pub struct WasiFile {
    // Declared first: a stream is dropped before the file that it belongs to.
    stream: Option<OutputStream>,
    file: Descriptor,
}

impl File for WasiFile {
    fn size(&self) -> Result<u64, FileError> {
        Ok(self.file.stat()?.size)
    }

    fn modified(&self) -> Option<Timestamp> {
        self.file.stat().ok()?.data_modification_timestamp.map(timestamp)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        Ok(self.file.read(len as u64, offset)?.0)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.file.append_via_stream()?,
        };
        // After an error the stream is closed: the next append opens another.
        match stream.blocking_write_and_flush(bytes) {
            Ok(()) => {
                self.stream = Some(stream);
                Ok(())
            }
            Err(StreamError::LastOperationFailed(error)) => Err(match filesystem_error_code(&error) {
                Some(code) => code.into(),
                None => FileError::Other(error.to_debug_string()),
            }),
            Err(StreamError::Closed) => Err(FileError::Other("the stream is closed".to_string())),
        }
    }

    fn truncate(&mut self, size: u64) -> Result<(), FileError> {
        Ok(self.file.set_size(size)?)
    }

    fn sync(&mut self) -> Result<(), FileError> {
        Ok(self.file.sync_data()?)
    }
}

impl From<ErrorCode> for FileError {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::NoEntry => Self::NotFound,
            ErrorCode::Access => Self::Other("permission denied".into()),
            ErrorCode::NotPermitted => {
                Self::Other("not permitted; is the folder preopened read-only?".into())
            }
            ErrorCode::ReadOnly => Self::Other("read-only file system".into()),
            // Wasmtime reports a read-only file system so.
            ErrorCode::Io => Self::Other("I/O error; is the disk read-only or failing?".into()),
            ErrorCode::InsufficientSpace => Self::Other("no space left".into()),
            ErrorCode::Quota => Self::Other("the disk quota is used up".into()),
            ErrorCode::FileTooLarge => Self::Other("the limit on file sizes is reached".into()),
            ErrorCode::Loop => Self::Other("links are not followed".into()),
            other => Self::Other(other.name().to_string()),
        }
    }
}

/// Opens the folder at a normal path in the preopened folder that holds it most closely.
fn open_folder(path: &str, create: bool) -> Result<Descriptor, FileError> {
    let mut found: Option<(Descriptor, String, usize)> = None;
    for (descriptor, preopened) in preopens::get_directories() {
        let preopened = normal(&preopened);
        let Some(rest) = path_within(path, &preopened) else { continue };
        if found.as_ref().is_none_or(|(.., len)| preopened.len() > *len) {
            found = Some((descriptor, rest.to_string(), preopened.len()));
        }
    }
    let Some((mut folder, rest, _)) = found else {
        return Err(FileError::Other("no preopened folder holds it".to_string()));
    };
    for part in rest.split('/').filter(|part| !part.is_empty()) {
        if create {
            match folder.create_directory_at(part) {
                Ok(()) | Err(ErrorCode::Exist) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
        let open = |flags| folder.open_at(PathFlags::SYMLINK_FOLLOW, part, OpenFlags::DIRECTORY, flags);
        let opened = open(flags).or_else(|_| open(DescriptorFlags::READ))?;
        folder = opened;
    }
    Ok(folder)
}

/// `path` as seen from `folder`, if it is in it. A relative path is also found from the root, which is where
/// WASI programs start.
fn path_within<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    if folder.is_empty() {
        return (!path.starts_with('/') && !path.starts_with("..")).then_some(path);
    }
    if folder == "/" {
        return (!path.starts_with("..")).then(|| path.trim_start_matches('/'));
    }
    let rest = path.strip_prefix(folder)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// `path` without `.` and empty parts and, where it can be told, `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}
