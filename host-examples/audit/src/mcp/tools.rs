//! Remembers the hash of each tool's definition, and finds those that are not what they were: a server that changes what a tool
//! says of itself may make a model do other things than before.
//!
//! A file beside the record has the hashes of one server, which is known by its command or its URL, whatever it calls itself. A
//! tool that a server does not list any more stays in it, because a server may list other tools to another client.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::message::Page;
use crate::call::input::Hasher;

/// The most tools of a server that are remembered.
const MAX_TOOLS: usize = 10_000;

/// The largest file that is read and written, in bytes. So many tools fit.
const MAX_FILE: u64 = 16 << 20;

/// What is known of one server.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    /// What it calls itself. Empty: it has not said so.
    server: String,
    /// A listing was seen to its end, so that a tool that is not here is new.
    is_complete: bool,
    /// The names of its tools, with the hashes of their definitions (SHA-256 of the form of RFC 8785). The second of a name
    /// has a line feed and its number behind it.
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

/// What a page of tools tells.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) changes: Vec<Change>,
    /// What could not be compared or kept, in words.
    pub(super) problems: Vec<String>,
}

/// The tools of the server, as they are remembered.
#[derive(Debug)]
pub(super) struct Definitions {
    folder: PathBuf,
    file: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Known,
    /// When the file was written that this is, and its length.
    read: Option<(SystemTime, u64)>,
    /// Something is to be written.
    is_changed: bool,
    listing: Listing,
}

/// A listing, page by page.
#[derive(Debug, Default)]
struct Listing {
    /// Where its next page begins.
    next: Option<String>,
    /// All of its pages were seen so far.
    is_whole: bool,
    /// How often each name came.
    seen: HashMap<String, usize>,
}

impl Definitions {
    /// Those of the server with this command or URL. Its file has the label in its name.
    pub(super) fn new(folder: PathBuf, label: &str, identity: &str) -> Self {
        let file = folder.join(file_name(label, identity));
        Self { folder, file, state: Mutex::default() }
    }

    /// The server calls itself so. Returns its name before, if that was another one.
    pub(super) fn introduced(&self, name: &str) -> Option<String> {
        let mut state = self.lock();
        // What is wrong with the file is told when tools are listed.
        let _ = self.refresh(&mut state);
        if state.known.server == name {
            return None;
        }
        state.is_changed = true;
        let before = std::mem::replace(&mut state.known.server, name.to_owned());
        (!before.is_empty()).then_some(before)
    }

    /// Takes one page of the server's tools. What is new is written at the end of the listing, or by [`Definitions::flush`].
    pub(super) fn listed(&self, page: &Page) -> Compared {
        let mut state = self.lock();
        let mut compared = Compared::default();
        match self.refresh(&mut state) {
            Ok(None) => {}
            Ok(Some(problem)) => compared.problems.push(problem.to_owned()),
            Err(error) => {
                let problem = format!("they cannot be compared with those of before: {error}");
                return Compared { problems: vec![problem], ..compared };
            }
        }
        let State { known, listing, is_changed, .. } = &mut *state;
        listing.continue_with(page);
        let mut tools: Vec<_> = page.tools.iter().collect();
        tools.sort_unstable();
        let mut unfit = 0;
        for (tool, hash) in tools {
            let Some(key) = listing.key(tool) else {
                unfit += 1;
                continue;
            };
            let before = known.tools.get(&key);
            if before == Some(hash) {
                continue;
            }
            if before.is_none() && known.tools.len() >= MAX_TOOLS {
                unfit += 1;
                continue;
            }
            if before.is_some() || known.is_complete {
                let before = before.cloned().unwrap_or_default();
                compared.changes.push(Change { tool: tool.clone(), hash: hash.clone(), before });
            }
            known.tools.insert(key, hash.clone());
            *is_changed = true;
        }
        if unfit > 0 {
            let problem =
                format!("{unfit} of them are not compared, because there are more than {MAX_TOOLS}");
            compared.problems.push(problem);
        }
        if page.is_cut {
            compared.problems.push("a page is too long, and was not compared in all".to_owned());
        }
        listing.is_whole &= unfit == 0 && !page.is_cut;
        if page.next.is_none() {
            *is_changed |= listing.is_whole && !known.is_complete;
            known.is_complete |= listing.is_whole;
            if let Err(error) = self.write(&mut state) {
                compared.problems.push(format!("they cannot be compared with later ones: {error}"));
            }
        }
        compared
    }

    /// Writes what is new, if something is.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.write(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file if another process has written it, and tells why nothing is known of it any more.
    fn refresh(&self, state: &mut State) -> io::Result<Option<&'static str>> {
        if state.is_changed {
            return Ok(None);
        }
        let found = match fs::metadata(&self.file) {
            Ok(metadata) => (metadata.modified()?, metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if state.read == Some(found) {
            return Ok(None);
        }
        let known =
            if found.1 > MAX_FILE { None } else { serde_json::from_slice(&fs::read(&self.file)?).ok() };
        let is_known = known.is_some();
        (state.known, state.read) = (known.unwrap_or_default(), Some(found));
        Ok((!is_known).then_some("what was known of them is not understood, and is written anew"))
    }

    /// Writes the file as a whole, so that another process never reads a part. It is not tried again until more is new.
    fn write(&self, state: &mut State) -> io::Result<()> {
        if !std::mem::take(&mut state.is_changed) {
            return Ok(());
        }
        let mut text = serde_json::to_vec_pretty(&state.known)?;
        text.push(b'\n');
        if text.len() as u64 > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {MAX_FILE} bytes")));
        }
        fs::create_dir_all(&self.folder)?;
        let part = self.file.with_extension(format!("{}.tmp", process::id()));
        let written = fs::File::create(&part).and_then(|mut file| file.write_all(&text));
        let renamed = written.and_then(|()| fs::rename(&part, &self.file));
        renamed.inspect_err(|_| drop(fs::remove_file(&part)))?;
        state.read = stamp(&self.file);
        Ok(())
    }
}

impl Listing {
    /// A page goes on with the listing, or begins another one.
    fn continue_with(&mut self, page: &Page) {
        let goes_on = !page.cursor.is_empty() && self.next.as_ref() == Some(&page.cursor);
        if !goes_on {
            *self = Self { is_whole: page.cursor.is_empty(), ..Self::default() };
        }
        self.next.clone_from(&page.next);
    }

    /// What the next tool of this name is remembered by. None: there are too many.
    fn key(&mut self, tool: &str) -> Option<String> {
        if self.seen.len() >= MAX_TOOLS && !self.seen.contains_key(tool) {
            return None;
        }
        let number = self.seen.entry(tool.to_owned()).or_default();
        *number += 1;
        Some(if *number == 1 { tool.to_owned() } else { format!("{tool}\n{number}") })
    }
}

/// When a file was written, and its length.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The name of a server's file: what a file may be called of its label, and a part of the hash of its identity.
fn file_name(label: &str, identity: &str) -> String {
    let is_plain = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let plain: String = label.chars().filter(is_plain).take(40).collect();
    let hash = Hasher::default().input(identity.as_bytes()).hash;
    format!("mcp_tools_{plain}_{}.json", hash.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(pairs: &[(&str, &str)], cursor: &str, next: Option<&str>) -> Page {
        let tools = pairs.iter().map(|(name, hash)| ((*name).to_owned(), (*hash).to_owned())).collect();
        Page { cursor: cursor.into(), tools, next: next.map(str::to_owned), is_cut: false }
    }

    /// Changes of a page, where nothing is wrong.
    fn listed(definitions: &Definitions, page: &Page) -> Vec<Change> {
        let Compared { changes, problems } = definitions.listed(page);
        assert_eq!(problems, [""; 0]);
        changes
    }

    fn change(tool: &str, hash: &str, before: &str) -> Change {
        Change { tool: tool.into(), hash: hash.into(), before: before.into() }
    }

    #[test]
    fn a_tool_with_another_definition_or_one_that_was_added_is_a_change_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("ops/audit");
        // Each time another process.
        let listed = |server: &str, pairs: &[(&str, &str)]| {
            listed(&Definitions::new(folder.clone(), "../s", server), &page(pairs, "", None))
        };
        assert_eq!(listed("s", &[("a", "1"), ("b", "2")]), []);
        assert_eq!(listed("s", &[("a", "1"), ("b", "2")]), []);
        assert_eq!(listed("s", &[("a", "3"), ("b", "2")]), [change("a", "3", "1")]);
        assert_eq!(listed("s", &[("a", "3")]), []);
        assert_eq!(listed("s", &[("b", "4"), ("c", "5")]), [change("b", "4", "2"), change("c", "5", "")]);
        assert_eq!(listed("s", &[("b", "4"), ("c", "5")]), []);
        // Another server has tools of its own.
        assert_eq!(listed("t", &[("a", "9")]), []);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    }

    #[test]
    fn the_pages_of_the_first_listing_are_no_changes() {
        let folder = tempfile::tempdir().unwrap();
        let definitions = Definitions::new(folder.path().to_owned(), "s", "s");
        let page = |pairs: &[(&str, &str)], cursor, next| listed(&definitions, &page(pairs, cursor, next));
        // A last page alone is no complete listing.
        assert_eq!(page(&[("z", "1")], "9", None), []);
        assert_eq!(page(&[("a", "1")], "", Some("2")), []);
        assert_eq!(page(&[("b", "2")], "2", Some("3")), []);
        assert_eq!(page(&[("b", "3")], "3", Some("4")), []);
        assert_eq!(page(&[("a", "2")], "4", None), []);
        assert_eq!(page(&[("c", "4"), ("a", "1")], "", Some("2")), [change("c", "4", "")]);
    }

    #[test]
    fn two_tools_of_one_name_are_a_change_only_if_one_of_them_changes() {
        let folder = tempfile::tempdir().unwrap();
        let definitions = Definitions::new(folder.path().to_owned(), "s", "s");
        let page = |pairs: &[(&str, &str)], cursor, next| listed(&definitions, &page(pairs, cursor, next));
        for _ in 0..2 {
            assert_eq!(page(&[("a", "1"), ("a", "2")], "", None), []);
            assert_eq!(page(&[("a", "2"), ("a", "1")], "", None), []);
        }
        assert_eq!(page(&[("a", "1"), ("a", "3")], "", None), [change("a", "3", "2")]);
        // On two pages.
        assert_eq!(page(&[("a", "1")], "", Some("x")), []);
        assert_eq!(page(&[("a", "3")], "x", None), []);
    }

    #[test]
    fn a_listing_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let definitions = Definitions::new(folder.path().to_owned(), "s", "s");
        let files = || fs::read_dir(folder.path()).unwrap().count();
        listed(&definitions, &page(&[("a", "1")], "", Some("2")));
        assert_eq!(files(), 0);
        // A client need not ask for more.
        definitions.flush().unwrap();
        assert_eq!(files(), 1);
        let text = fs::read(&definitions.file).unwrap();
        listed(&definitions, &page(&[("b", "1")], "2", Some("3")));
        assert_eq!(fs::read(&definitions.file).unwrap(), text);
        listed(&definitions, &page(&[("c", "1")], "3", None));
        assert_ne!(fs::read(&definitions.file).unwrap(), text);
        // Another process knows them.
        let other = Definitions::new(folder.path().to_owned(), "s", "s");
        assert_eq!(listed(&other, &page(&[("d", "1")], "", None)), [change("d", "1", "")]);
        assert_eq!(listed(&definitions, &page(&[("d", "1")], "", None)), []);
    }

    #[test]
    fn as_many_tools_as_are_remembered_fit_in_the_file_and_more_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let definitions = Definitions::new(folder.path().to_owned(), "s", "s");
        // Each character takes six bytes in JSON.
        let name = |n: usize| format!("{n:05}{}", "\u{1}".repeat(123));
        let tools = |count| (0..count).map(|n| (name(n), "0".repeat(64))).collect();
        let page = |count| Page { tools: tools(count), ..Page::default() };
        assert_eq!(listed(&definitions, &page(MAX_TOOLS)), []);
        let again = Definitions::new(folder.path().to_owned(), "s", "s");
        let Compared { changes, problems } = again.listed(&page(MAX_TOOLS + 2));
        assert_eq!((changes, problems.len()), (vec![], 1));
        assert!(problems[0].starts_with("2 of them are not compared"), "{problems:?}");
        let cut = Page { is_cut: true, ..page(1) };
        assert!(again.listed(&cut).problems[0].contains("too long"));
    }

    #[test]
    fn a_server_that_calls_itself_otherwise_is_a_change_once() {
        let folder = tempfile::tempdir().unwrap();
        let introduced = |name: &str| {
            let definitions = Definitions::new(folder.path().to_owned(), "s", "s");
            let before = definitions.introduced(name);
            definitions.flush().unwrap();
            before
        };
        let names = ["a", "a", "b", "b", "a"].map(introduced);
        assert_eq!(names, [None, None, Some("a".to_owned()), None, Some("b".to_owned())]);
    }

    #[test]
    fn a_file_that_is_not_understood_is_told_and_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let definitions = || Definitions::new(folder.path().to_owned(), "s", "s");
        for contents in ["{".to_owned(), " ".repeat(MAX_FILE as usize + 1)] {
            fs::write(&definitions().file, contents).unwrap();
            let Compared { changes, problems } = definitions().listed(&page(&[("a", "1")], "", None));
            assert!(changes.is_empty() && problems[0].contains("not understood"), "{problems:?}");
            let changed = listed(&definitions(), &page(&[("a", "2")], "", None));
            assert_eq!(changed, [change("a", "2", "1")]);
        }
    }
}
