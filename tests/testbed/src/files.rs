//! The files in the folder of a store.

use std::fs::{self, File, FileTimes};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The files whose names begin so, in order. Where there is no folder there are none.
pub fn files(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        entries => entries.expect("the folder can be read"),
    };
    let entries = entries.map(|entry| entry.expect("the folder can be read"));
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    let mut paths: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The files of the spool, in which events wait for the database.
pub fn spools(folder: &Path) -> Vec<PathBuf> {
    let mut spools = files(folder, "spool_");
    // Beside them, the names of empty files say how much of them is drained.
    spools.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    spools
}

/// The files with the lines that the database refused.
pub fn refused(folder: &Path) -> Vec<PathBuf> {
    files(folder, "refused_")
}

/// Makes the files of the spool so old that any store may take them over. Returns how many there are.
pub fn age_spools(folder: &Path) -> usize {
    let then = SystemTime::now() - Duration::from_secs(90);
    let spools = spools(folder);
    for path in &spools {
        // A store may drain and remove one meanwhile.
        if let Ok(file) = File::options().append(true).open(path) {
            file.set_times(FileTimes::new().set_modified(then)).expect("the time of a file can be set");
        }
    }
    spools.len()
}
