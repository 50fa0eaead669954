//! Remembers the hash of each tool's definition, and finds those that are not what they were: a server that changes what a tool
//! says of itself may make a model do other things than before.
//!
//! A file beside the record has the hashes of one server. A tool that a server does not list any more stays in it, because a
//! server may list other tools to another client.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;

use serde::{Deserialize, Serialize};

use crate::call::input::Hasher;

/// The most tools of a server that are remembered.
const MAX_TOOLS: usize = 10_000;

/// The largest file that is read, in bytes: a larger one is none of this program's.
const MAX_FILE: u64 = 16 << 20;

/// The tools of one server.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    server: String,
    /// A listing was seen to its end, so that a tool that is not here is new.
    is_complete: bool,
    /// Their names, with the hashes of their definitions (SHA-256 of the form of RFC 8785).
    tools: BTreeMap<String, String>,
}

/// A tool that is not what it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) tool: String,
    pub(super) hash: String,
    /// The hash of its definition before. Empty: it was not there.
    pub(super) before: String,
}

/// The folder in which the hashes are kept.
#[derive(Clone, Debug)]
pub(super) struct Definitions(PathBuf);

impl Definitions {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Takes one page of the tools of the server with this name, whatever its version, and returns which are not what they were. The error says why that is not
    /// remembered.
    pub(super) fn listed(
        &self,
        server: &str,
        tools: &[(String, String)],
        has_next: bool,
    ) -> (Vec<Change>, io::Result<()>) {
        let path = self.0.join(file_name(server));
        let mut known = match read(&path, server) {
            Ok(known) => known,
            Err(error) => return (Vec::new(), Err(error)),
        };
        let mut changes = Vec::new();
        let mut is_new = !known.is_complete && !has_next;
        for (tool, hash) in tools {
            let before = known.tools.get(tool);
            if before == Some(hash) {
                continue;
            }
            if before.is_some() || known.is_complete {
                let before = before.cloned().unwrap_or_default();
                changes.push(Change { tool: tool.clone(), hash: hash.clone(), before });
            }
            if known.tools.len() < MAX_TOOLS || before.is_some() {
                known.tools.insert(tool.clone(), hash.clone());
                is_new = true;
            }
        }
        if is_new {
            known.is_complete |= !has_next;
            return (changes, write(&self.0, &path, &known));
        }
        (changes, Ok(()))
    }
}

/// The name of a server's file: what a file may be called of the server's name, and a part of its hash.
fn file_name(server: &str) -> String {
    let is_plain = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let plain: String = server.chars().filter(is_plain).take(40).collect();
    let hash = Hasher::default().input(server.as_bytes()).hash;
    format!("mcp_tools_{plain}_{}.json", hash.get(..8).unwrap_or_default())
}

/// What is known of a server. A file that is not understood is as if it were not there: what is listed next is written anew.
fn read(path: &Path, server: &str) -> io::Result<Known> {
    let nothing = || Known { server: server.to_owned(), ..Known::default() };
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE => return Ok(nothing()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(nothing()),
        Err(error) => return Err(error),
    }
    let text = fs::read(path)?;
    Ok(serde_json::from_slice(&text).unwrap_or_else(|_| nothing()))
}

/// Writes the file as a whole, so that another process never reads a part.
fn write(folder: &Path, path: &Path, known: &Known) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let part = path.with_extension(format!("{}.tmp", process::id()));
    let mut text = serde_json::to_vec_pretty(known)?;
    text.push(b'\n');
    let written = fs::File::create(&part).and_then(|mut file| file.write_all(&text));
    written.and_then(|()| fs::rename(&part, path)).inspect_err(|_| drop(fs::remove_file(&part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, hash)| ((*name).to_owned(), (*hash).to_owned())).collect()
    }

    fn listed(
        definitions: &Definitions,
        server: &str,
        pairs: &[(&str, &str)],
        has_next: bool,
    ) -> Vec<Change> {
        let (changes, remembered) = definitions.listed(server, &tools(pairs), has_next);
        remembered.unwrap();
        changes
    }

    fn change(tool: &str, hash: &str, before: &str) -> Change {
        Change { tool: tool.into(), hash: hash.into(), before: before.into() }
    }

    #[test]
    fn a_tool_with_another_definition_or_one_that_was_added_is_a_change_once() {
        let folder = tempfile::tempdir().unwrap();
        let definitions = Definitions::new(folder.path().join("ops/audit"));
        let listed = |server: &str, pairs: &[(&str, &str)]| listed(&definitions, server, pairs, false);
        assert_eq!(listed("s", &[("a", "1"), ("b", "2")]), []);
        assert_eq!(listed("s", &[("a", "1"), ("b", "2")]), []);
        assert_eq!(listed("s", &[("a", "3"), ("b", "2")]), [change("a", "3", "1")]);
        assert_eq!(listed("s", &[("a", "3")]), []);
        assert_eq!(listed("s", &[("b", "4"), ("c", "5")]), [change("b", "4", "2"), change("c", "5", "")]);
        assert_eq!(listed("s", &[("b", "4"), ("c", "5")]), []);
        // Another server has tools of its own.
        assert_eq!(listed("../s", &[("a", "9")]), []);
        assert_eq!(fs::read_dir(folder.path().join("ops/audit")).unwrap().count(), 2);
    }

    #[test]
    fn the_pages_of_the_first_listing_are_no_changes() {
        let folder = tempfile::tempdir().unwrap();
        let definitions = Definitions::new(folder.path().to_owned());
        let page = |pairs: &[(&str, &str)], has_next| listed(&definitions, "s", pairs, has_next);
        assert_eq!(page(&[("a", "1")], true), []);
        assert_eq!(page(&[("b", "2")], true), []);
        assert_eq!(page(&[("b", "3")], true), [change("b", "3", "2")]);
        assert_eq!(page(&[], false), []);
        assert_eq!(page(&[("c", "4")], true), [change("c", "4", "")]);
    }

    #[test]
    fn a_file_that_is_not_understood_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let definitions = Definitions::new(folder.path().to_owned());
        fs::write(folder.path().join(file_name("s")), "{").unwrap();
        assert_eq!(listed(&definitions, "s", &[("a", "1")], false), []);
        assert_eq!(listed(&definitions, "s", &[("a", "2")], false), [change("a", "2", "1")]);
    }
}
