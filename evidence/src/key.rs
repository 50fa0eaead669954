//! Private keys in files that their owner alone can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use audit_log::note::{KeyError, Name, SigningKey};
use thiserror::Error;

/// No key is longer: a name of any length that anybody gives.
const MAX_BYTES: u64 = 4096;

/// Why a file with a private key cannot be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(io::Error),
    /// The file is there already.
    #[error("{path} is there already, and a key is never overwritten: give another file", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("{path} cannot be written: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read the file.
    #[error(
        "{path} has the mode {mode:04o}, with which others can use the key: accepted are 0600 and 0400 (chmod 600)",
        path = path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file has no private key.
    #[error("{path}: {source}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
}

/// Makes a new key of this name from random numbers of the system, and writes it into a new file with the mode 0600.
///
/// # Errors
/// Where there are no random numbers, the file is there already, or it cannot be written.
pub fn generate(name: Name, path: &Path) -> Result<SigningKey, KeyFileError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| KeyFileError::Random(error.into()))?;
    let key = SigningKey::from_seed(name, &seed);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
        _ => KeyFileError::Write { path: path.to_owned(), source },
    };
    let mut file = options.open(path).map_err(failed)?;
    let written = writeln!(file, "{}", key.to_private_text()).and_then(|()| file.sync_all());
    if let Err(source) = written {
        // A part of a key is of no use, and would be in the way.
        let _ = fs::remove_file(path);
        return Err(KeyFileError::Write { path: path.to_owned(), source });
    }
    Ok(key)
}

/// Reads the key in a file.
///
/// # Errors
/// Where it cannot be read, others may read it, or it has no private key.
pub fn read(path: &Path) -> Result<SigningKey, KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(failed)?;
    #[cfg(unix)]
    {
        let permissions = file.metadata().map_err(failed)?.permissions();
        let mode = std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Open { path: path.to_owned(), mode });
        }
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    text.trim().parse().map_err(|source| KeyFileError::Key { path: path.to_owned(), source })
}
