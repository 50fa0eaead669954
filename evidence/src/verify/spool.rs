//! Events that wait for the database, and those that it has refused: they are no part of the record, and explain numbers that
//! are missing in chains.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::Path;

use audit_format::names;
use audit_format::read::parse_stored;

use super::item::Stamp;
use crate::error::Error;
use crate::folder;

/// What a file of the folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It waits for the database.
    Spooled,
    /// The database has refused it.
    Refused,
}

/// Reads all events of the spool, and those that were refused.
pub fn read(folder: &Path, take: &mut dyn FnMut(Waiting, Stamp)) -> Result<(), Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::read(folder.display().to_string())(error)),
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let refused = name.strip_prefix("refused_").and_then(|rest| rest.strip_suffix(".jsonl"));
        let what = match (names::spool_of(name), refused) {
            (Some(_), _) => Waiting::Spooled,
            (None, Some(chain)) if audit_format::id::parse(chain).is_some() => Waiting::Refused,
            _ => continue,
        };
        let file = match folder::open(&entry.path()) {
            Ok(file) => file,
            // The database has it meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::read(name)(error)),
        };
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(Error::read(name))?;
            let stamp = str::from_utf8(&line).ok().and_then(|line| parse_stored(line).ok()?.stamp);
            if let Some(stamp) = stamp {
                take(what, Stamp { chain: stamp.chain.as_u128(), seq: stamp.seq });
            }
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let name = "refused_01a21dfc-da9d-775e-9c12-b8a0e19beb0f.jsonl";
        let made = std::process::Command::new("mkfifo").arg(folder.path().join(name)).status();
        assert!(made.unwrap().success());
        let error = read(folder.path(), &mut |_, _| {}).unwrap_err();
        assert_eq!(error.to_string(), format!("{name} cannot be read: it is not a file"));
    }
}
