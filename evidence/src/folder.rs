//! The folder of a log, as the calls that a log makes of it: so that each of them can fail in a test.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::lock::{self, LockError};

/// From this many files on, all of the file system is written to its disk at once, where the system can do that.
#[cfg(target_os = "linux")]
const MANY: usize = 32;

/// A folder with the files of a log. Names are relative to it, with `/` between their parts.
///
/// What was written or renamed is there for other processes at once, and on the disk after [`Folder::sync`].
pub trait Folder {
    /// The content of a file; none: there is no such file.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Makes a folder, unless it is there. The one that it is in is there.
    ///
    /// # Errors
    /// Where it cannot be made.
    fn make(&mut self, folder: &str) -> io::Result<()>;

    /// Writes a file, in the place of what it had.
    ///
    /// # Errors
    /// Where it cannot be written. It may then have a part of the content.
    fn write(&mut self, name: &str, content: &[u8]) -> io::Result<()>;

    /// Gives a file another name, in the place of the file that had it.
    ///
    /// # Errors
    /// Where it cannot be renamed. Both are then as before.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Waits until these files and folders, by their names, are on the disk. A folder is synced for the names in it; the
    /// empty name is the folder of the log.
    ///
    /// # Errors
    /// Where that is not certain.
    fn sync(&mut self, names: &[&str]) -> io::Result<()>;

    /// Removes a folder and the files in it, if it is there.
    ///
    /// # Errors
    /// Where it cannot be removed.
    fn remove(&mut self, folder: &str) -> io::Result<()>;
}

/// A folder of the file system.
#[derive(Debug)]
pub struct LogFolder {
    path: PathBuf,
    /// Held while this lives.
    _lock: Option<File>,
}

impl LogFolder {
    /// A folder to read from. It need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), _lock: None }
    }

    /// A folder that this process alone extends, as long as this lives. It is made if it is not there.
    ///
    /// # Errors
    /// Where it cannot be made or locked, or another process has locked it.
    pub fn for_sealing(path: impl Into<PathBuf>) -> Result<Self, LockError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(|source| LockError::Folder { path: path.clone(), source })?;
        let lock = lock::take(&path)?;
        Ok(Self { path, _lock: Some(lock) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn path_of(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.path.clone() } else { self.path.join(name) }
    }
}

/// Opens a file to read it. Opening a pipe would wait for whoever writes into it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() { File::open(path) } else { Err(io::Error::other("it is not a file")) }
}

impl Folder for LogFolder {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let read = || -> io::Result<Vec<u8>> {
            let mut content = Vec::new();
            open(&self.path_of(name))?.read_to_end(&mut content)?;
            Ok(content)
        };
        match read() {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make(&mut self, folder: &str) -> io::Result<()> {
        match fs::create_dir(self.path_of(folder)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    fn write(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        File::create(self.path_of(name))?.write_all(content)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path_of(from), self.path_of(to))
    }

    fn sync(&mut self, names: &[&str]) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if names.len() >= MANY {
            return Ok(rustix::fs::syncfs(File::open(&self.path)?)?);
        }
        names.iter().try_for_each(|name| File::open(self.path_of(name))?.sync_all())
    }

    fn remove(&mut self, folder: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.path_of(folder)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["checkpoint", "a.zst"] {
            let made = std::process::Command::new("mkfifo").arg(folder.path().join(name)).status();
            assert!(made.unwrap().success());
        }
        assert!(crate::archive::open(&folder.path().join("a.zst")).is_err());
        let log = LogFolder::new(folder.path());
        assert_eq!(log.read("checkpoint").unwrap_err().to_string(), "it is not a file");
        assert_eq!(log.read("segments.jsonl").unwrap(), None);
    }
}
