//! Folders of `wasi:filesystem`, found in the folders that the host preopens.

use super::clock::timestamp;
use super::file::WasiFile;
use super::path::{normalized, within};
use crate::host::{FileError, Folder, Stat};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use audit_format::show::escaped;
use wasi::filesystem::preopens;
use wasi::filesystem::types::{Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags};

/// How often a folder is listed again. Hosts look at each file while they list, and fail if one is removed
/// meanwhile.
const LIST_TRIES: u32 = 20;

/// A folder in one of the preopened folders.
pub struct WasiFolder {
    /// The path as configured, but for control characters, for messages.
    path: String,
    normalized: String,
    opened: Option<Descriptor>,
}

impl WasiFolder {
    pub fn new(path: &str) -> Self {
        // Whoever configures the store may be somebody else than who reads its messages.
        let shown = escaped(path.trim_end_matches('/')).into_owned();
        Self { path: shown, normalized: normalized(path), opened: None }
    }

    fn opened(&mut self, create: bool) -> Result<&Descriptor, FileError> {
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => open_folder(&self.normalized, create)?,
        };
        Ok(self.opened.insert(opened))
    }

    fn open_at(&mut self, name: &str, create: bool) -> Result<WasiFile, FileError> {
        // To open a pipe may take until somebody opens its other end.
        let folder = self.opened(create)?;
        match folder.stat_at(PathFlags::empty(), name).map(|stat| stat.type_) {
            Ok(DescriptorType::RegularFile) => {}
            Ok(DescriptorType::SymbolicLink) => return Err(ErrorCode::Loop.into()),
            Ok(_) => return Err(FileError::Other("it is not a regular file".to_string())),
            Err(ErrorCode::NoEntry) if create => {}
            Err(error) => return Err(error.into()),
        }
        let (how, flags) = match create {
            true => (OpenFlags::CREATE, DescriptorFlags::READ | DescriptorFlags::WRITE),
            false => (OpenFlags::empty(), DescriptorFlags::READ),
        };
        Ok(WasiFile::new(folder.open_at(PathFlags::empty(), name, how, flags)?))
    }
}

impl Folder for WasiFolder {
    type File = WasiFile;

    fn path(&self) -> &str {
        &self.path
    }

    fn list(&mut self) -> Result<Vec<(String, bool)>, FileError> {
        for _ in 0..LIST_TRIES {
            // Opened again each time, because it may have been deleted and created anew.
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
        let named = folder.metadata_hash_at(PathFlags::empty(), name);
        match (named, file.descriptor().metadata_hash()) {
            (Ok(named), Ok(open)) => (named.lower, named.upper) == (open.lower, open.upper),
            (Err(ErrorCode::NoEntry), _) => false,
            // The host cannot tell.
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

    fn stat(&mut self, name: &str) -> Result<Stat, FileError> {
        let stat = self.opened(false)?.stat_at(PathFlags::empty(), name)?;
        Ok(Stat { size: stat.size, modified: stat.data_modification_timestamp.map(timestamp) })
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

fn names_in(folder: &Descriptor) -> Result<Vec<(String, bool)>, FileError> {
    let entries = folder.read_directory()?;
    let mut names = Vec::new();
    loop {
        match entries.read_directory_entry() {
            Ok(Some(entry)) => names.push((entry.name, entry.type_ == DescriptorType::RegularFile)),
            Ok(None) => return Ok(names),
            // The name is not UTF-8, so no store wrote the file.
            Err(ErrorCode::IllegalByteSequence) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens the folder at a normalized path, below the preopened folder with the longest path that contains it.
fn open_folder(path: &str, create: bool) -> Result<Descriptor, FileError> {
    let mut found: Option<(Descriptor, String, usize)> = None;
    for (descriptor, preopened) in preopens::get_directories() {
        let preopened = normalized(&preopened);
        let Some(rest) = within(path, &preopened) else { continue };
        if found.as_ref().is_none_or(|(.., len)| preopened.len() > *len) {
            found = Some((descriptor, rest.to_string(), preopened.len()));
        }
    }
    let Some((mut folder, rest, _)) = found else {
        return Err(FileError::Other("the host preopens no folder that contains it".to_string()));
    };
    // Some hosts refuse to work with the descriptor of a preopened folder itself.
    let rest = if rest.is_empty() { "." } else { &rest };
    for part in rest.split('/').filter(|part| !part.is_empty()) {
        if create && part != "." {
            match folder.create_directory_at(part) {
                // The name of the new folder has to survive a crash of the machine before anything in it does. Not every
                // host can sync a folder.
                Ok(()) => drop(folder.sync_data()),
                Err(ErrorCode::Exist) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
        let open = |flags| folder.open_at(PathFlags::SYMLINK_FOLLOW, part, OpenFlags::DIRECTORY, flags);
        // A folder that may not be changed can still be read.
        let opened = open(flags).or_else(|_| open(DescriptorFlags::READ))?;
        folder = opened;
    }
    Ok(folder)
}
