//! Configuration files of other programs: they are changed in place, with everything else in them as it was, shown as a diff,
//! and kept beside the file as they were.

use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use audit_format::show::escaped;
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstNode, CstRootNode};
use serde_json::Value;
use similar::TextDiff;

use crate::mask::masked;
use crate::message::Failure;

/// What the name of the copy of a file ends in that has the file as it was.
const BACKUP: &str = ".before-audit";

/// A configuration file, which need not exist.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    text: Option<String>,
}

impl ConfigFile {
    pub(crate) fn read(path: impl Into<PathBuf>) -> Result<Self, Failure> {
        let path = path.into();
        let text = read(&path).map_err(|error| Failure::because(path.display().to_string(), error))?;
        Ok(Self { path, text })
    }

    /// None: it does not exist.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The file as it was before this program changed it last.
    pub(crate) fn backup(&self) -> Option<String> {
        read(&self.backup_path()).ok()?
    }

    /// The change to this text; none removes the file.
    pub(crate) fn change_to(self, after: Option<String>) -> Change {
        Change { file: self, after, keeps_backup: false }
    }

    fn backup_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(BACKUP);
        name.into()
    }

    /// The file that a link leads to, also if that does not exist.
    fn real_path(&self) -> PathBuf {
        let mut path = self.path.clone();
        for _ in 0..MAX_LINKS {
            let Ok(target) = fs::read_link(&path) else { break };
            path = path.parent().unwrap_or(Path::new("")).join(target);
        }
        path
    }
}

/// How many links may lead to a file, as on Linux.
const MAX_LINKS: usize = 40;

/// The contents of a file; none if there is no such file.
fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A JSON text that can be changed without changing the rest of it. An empty one, and none, is an empty object.
///
/// # Errors
/// It is no JSON object, or has comments. Then nobody but its owner should change it.
pub(crate) fn json(text: Option<&str>) -> Result<CstRootNode, String> {
    let text = text.filter(|text| !text.trim().is_empty()).unwrap_or("{}\n");
    let value: Value = serde_json::from_str(text).map_err(|error| {
        format!("it is no JSON ({error}); files with comments or trailing commas are changed by hand")
    })?;
    if !value.is_object() {
        return Err("it is no JSON object".to_owned());
    }
    let root = CstRootNode::parse(text, &ParseOptions::default()).map_err(|error| error.to_string())?;
    match root.value().and_then(|value| key_that_is_twice(&value)) {
        Some(key) => {
            Err(format!("the key \"{key}\" is twice in one object, and programs differ in which counts"))
        }
        None => Ok(root),
    }
}

/// A key that an object within this value has twice.
fn key_that_is_twice(value: &CstNode) -> Option<String> {
    if let Some(array) = value.as_array() {
        return array.elements().iter().find_map(key_that_is_twice);
    }
    let mut seen = HashSet::new();
    value.as_object()?.properties().into_iter().find_map(|member| {
        let key = member.decoded_name()?;
        if !seen.insert(key.clone()) {
            return Some(key);
        }
        key_that_is_twice(&member.value()?)
    })
}

/// A JSON text that is only read; comments are allowed.
pub(crate) fn json_with_comments(text: &str) -> Option<CstRootNode> {
    CstRootNode::parse(text, &ParseOptions::default()).ok()
}

/// A change of a configuration file.
#[derive(Debug)]
pub(crate) struct Change {
    file: ConfigFile,
    after: Option<String>,
    keeps_backup: bool,
}

impl Change {
    /// Leaves the file that is kept as it was: this program has changed the one that is changed now.
    pub(crate) fn keeping_backup(self, keeps_backup: bool) -> Self {
        Self { keeps_backup, ..self }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.file.text == self.after
    }

    pub(crate) fn path(&self) -> &Path {
        &self.file.path
    }

    /// The change as a unified diff, without secrets, and with characters escaped that would control the terminal.
    pub(crate) fn diff(&self) -> String {
        let name = self.file.path.display().to_string();
        let side = |text: &Option<String>| match text {
            Some(_) => name.clone(),
            None => "/dev/null".to_owned(),
        };
        let (before, after) = (&self.file.text, &self.after);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (old, new) = (text(before), text(after));
        let diff = TextDiff::from_lines(old.as_str(), new.as_str());
        let diff = diff.unified_diff().header(&side(before), &side(after)).to_string();
        diff.lines().map(|line| escaped(&masked(&without_secrets(line))).into_owned() + "\n").collect()
    }

    /// Makes the change: at once or not at all. Returns where the file is kept as it was, unless this change takes back what
    /// this program has changed before.
    pub(crate) fn make(&self) -> Result<Option<PathBuf>, Failure> {
        self.write().map_err(|error| Failure::because(self.file.path.display().to_string(), error))
    }

    fn write(&self) -> io::Result<Option<PathBuf>> {
        let (backup, kept) = (self.file.backup_path(), self.file.backup());
        let is_as_before = self.after.is_none() || self.after == kept;
        let path = self.file.real_path();
        let like = fs::metadata(&path).ok().map(|file| file.permissions());
        let mut is_backed_up = false;
        if let Some(text) = self.file.text.as_ref().filter(|_| !is_as_before) {
            if !(self.keeps_backup && kept.is_some()) {
                replace(&backup, text, like.clone())?;
            }
            is_backed_up = true;
        }
        match &self.after {
            Some(text) => replace(&path, text, like)?,
            // A link stays one, to nothing that is configured.
            None if path != self.file.path => replace(&path, "{}\n", like)?,
            None => fs::remove_file(&path)?,
        }
        if is_as_before {
            let _ = fs::remove_file(&backup);
        }
        Ok(is_backed_up.then_some(backup))
    }
}

/// A line of JSON with `…` in the place of the values of members that are called like secrets.
fn without_secrets(line: &str) -> String {
    const NAMES: [&str; 5] = ["key", "token", "secret", "password", "credential"];
    let mut out = String::new();
    let mut rest = line;
    // The texts of the line in turn, each with what stands before it.
    let mut is_secret = false;
    while let Some(start) = rest.find('"') {
        let (before, text) = rest.split_at(start + 1);
        let mut is_escaped = false;
        let end = text.find(|char| {
            let is_end = char == '"' && !is_escaped;
            is_escaped = char == '\\' && !is_escaped;
            is_end
        });
        let (text, after) = text.split_at(end.unwrap_or(text.len()));
        let is_value = before.trim_end_matches('"').trim() == ":";
        out += before;
        out += if is_value && is_secret { "…" } else { text };
        let name = text.to_ascii_lowercase();
        is_secret = !is_value && NAMES.iter().any(|secret| name.contains(secret));
        rest = after.strip_prefix('"').unwrap_or(after);
        out += if after.is_empty() { "" } else { "\"" };
    }
    out + rest
}

/// Replaces the contents of a file, so that nobody sees a part of them, nor before the file has its permissions. A link in its
/// place is replaced, and not followed.
fn replace(path: &Path, text: &str, like: Option<Permissions>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let new = path.with_extension(format!("audit-{}", std::process::id()));
    let write = || {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if like.is_some() {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(&new)?;
        if let Some(like) = like {
            file.set_permissions(like)?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_change_keeps_links_permissions_and_the_file_as_it_was() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&path, &link).unwrap();
        let change = ConfigFile::read(&link).ok().unwrap().change_to(Some("{\"a\":1}\n".into()));
        assert!(change.diff().contains("-{}") && change.diff().contains("+{\"a\":1}"), "{}", change.diff());
        let backup = change.make().ok().unwrap().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n");
        assert_eq!(fs::read_to_string(&backup).unwrap(), "{}");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_followed_and_one_in_the_place_of_the_copy_is_not() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("target.json", at("link.json")).unwrap();
        ConfigFile::read(at("link.json")).ok().unwrap().change_to(Some("{}\n".into())).make().ok().unwrap();
        assert_eq!(fs::read_to_string(at("target.json")).unwrap(), "{}\n");
        fs::write(at("other"), "kept").unwrap();
        symlink("other", at("link.json.before-audit")).unwrap();
        ConfigFile::read(at("link.json")).ok().unwrap().change_to(Some("{ }\n".into())).make().ok().unwrap();
        assert_eq!(fs::read_to_string(at("other")).unwrap(), "kept");
        ConfigFile::read(at("link.json")).ok().unwrap().change_to(None).make().ok().unwrap();
        assert_eq!(fs::read_to_string(at("link.json")).unwrap(), "{}\n");
    }

    #[test]
    fn a_diff_shows_no_secrets() {
        let line =
            r#"{"env":{"API_KEY":"sk-1","a":"b\"c","DB": "postgres://u:pw@h/d","Token" : "x"},"key":["y"]}"#;
        let shown = masked(&without_secrets(line));
        assert_eq!(
            shown,
            r#"{"env":{"API_KEY":"…","a":"b\"c","DB": "postgres://…@h/d","Token" : "…"},"key":["y"]}"#
        );
        assert_eq!(without_secrets("\"key\": \"never ends"), "\"key\": \"…");
    }

    #[test]
    fn files_with_comments_and_broken_ones_are_refused() {
        for text in ["{ // x\n}", "{\"a\":1,}", "[]", "{", "nothing"] {
            assert!(json(Some(text)).is_err(), "{text}");
        }
        for text in [None, Some(""), Some(" \n"), Some("{\"a\": [1]}")] {
            assert!(json(text).is_ok(), "{text:?}");
        }
    }
}
