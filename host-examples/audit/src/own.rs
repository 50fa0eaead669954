//! This program's own command line, for the configurations of others that are to run it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::message::Failure;

/// The words of this process' command line, as they were given, with paths that mean the same from everywhere.
pub(crate) fn words() -> Result<Vec<String>, Failure> {
    let mut given = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let mut words = Vec::new();
    while let Some(word) = given.next() {
        if word == "--database-url" || word.starts_with("--database-url=") {
            let why =
                "others could read it in the configuration; set DATABASE_URL in the agent's environment";
            return Err(Failure::because("--database-url", why));
        }
        // A path of here means another one where the agent runs.
        match word.split_once('=') {
            Some((name, value)) if is_path(name) => words.push(format!("{name}={}", absolute(value))),
            None if is_path(&word) => {
                let value = given.next().unwrap_or_default();
                words.extend([word, absolute(&value)]);
            }
            _ => words.push(word),
        }
    }
    Ok(words)
}

fn is_path(option: &str) -> bool {
    ["--dir", "--hash-key-file"].contains(&option)
}

fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.to_string_lossy().into_owned())
}

/// This program: by its path, because an agent may have another `PATH`; in a configuration that others share, by its name,
/// if that leads here.
pub(crate) fn program(is_shared: bool) -> Result<String, Failure> {
    let this = env::current_exe().map_err(|error| Failure::because("cannot find this program", error))?;
    if is_shared && on_path("audit").is_some_and(|found| is_same(&found, &this)) {
        return Ok("audit".to_owned());
    }
    Ok(this.to_string_lossy().into_owned())
}

fn is_same(one: &Path, other: &Path) -> bool {
    fs::canonicalize(one).is_ok_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
}

/// The first program of this name on the `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let names = [name.to_owned(), format!("{name}{}", env::consts::EXE_SUFFIX)];
    let mut programs = env::split_paths(&path).flat_map(|folder| names.clone().map(|name| folder.join(name)));
    programs.find(|program| program.is_file())
}
