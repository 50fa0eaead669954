//! One process at a time extends a log. The system gives the lock back when its holder ends, however it ends: so no lock is
//! ever left behind, and the number in the file is for people alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process;

use thiserror::Error;

/// The name of the file that is locked.
const NAME: &str = "lock";

/// Why a log is not locked.
#[derive(Debug, Error)]
pub enum LockError {
    /// The folder cannot be made.
    #[error("the folder of the log, {path}, cannot be made: {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process seals this log.
    #[error("another process{by} seals the log {path} now; one at a time can", path = path.display(), by = number(.holder))]
    Held {
        /// The folder of the log.
        path: PathBuf,
        /// The number of that process, if it is known.
        holder: Option<u32>,
    },
    /// The file cannot be locked.
    #[error("{path} cannot be locked: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn number(holder: &Option<u32>) -> String {
    holder.map(|holder| format!(" ({holder})")).unwrap_or_default()
}

/// Locks the log in a folder until the file is closed.
pub(crate) fn take(folder: &Path) -> Result<File, LockError> {
    let path = folder.join(NAME);
    let failed = |source| LockError::File { path: path.clone(), source };
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            return Err(LockError::Held { path: folder.to_owned(), holder: text.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let mut note = || {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{}", process::id())
    };
    note().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = take(folder.path()).unwrap();
        let held = take(folder.path()).unwrap_err();
        assert!(matches!(held, LockError::Held { holder: Some(holder), .. } if holder == process::id()));
        drop(first);
        take(folder.path()).unwrap();
    }
}
