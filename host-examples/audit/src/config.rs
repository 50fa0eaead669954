//! Configuration files of other programs: they are changed in place, with everything else in them as it was, shown as a diff,
//! and kept beside the file as they were.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::CstRootNode;
use serde_json::Value;
use similar::TextDiff;

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
        Change { file: self, after }
    }

    fn backup_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(BACKUP);
        name.into()
    }
}

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
    CstRootNode::parse(text, &ParseOptions::default()).map_err(|error| error.to_string())
}

/// A change of a configuration file.
#[derive(Debug)]
pub(crate) struct Change {
    file: ConfigFile,
    after: Option<String>,
}

impl Change {
    pub(crate) fn is_none(&self) -> bool {
        self.file.text == self.after
    }

    pub(crate) fn path(&self) -> &Path {
        &self.file.path
    }

    /// The change as a unified diff.
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
        diff.unified_diff().header(&side(before), &side(after)).to_string()
    }

    /// Makes the change: at once or not at all. Returns where the file is kept as it was, unless this change takes back what
    /// this program has changed before.
    pub(crate) fn make(&self) -> Result<Option<PathBuf>, Failure> {
        self.write().map_err(|error| Failure::because(self.file.path.display().to_string(), error))
    }

    fn write(&self) -> io::Result<Option<PathBuf>> {
        let is_as_before = self.after.is_none() || self.after == self.file.backup();
        if is_as_before {
            let _ = fs::remove_file(self.file.backup_path());
        }
        let backup = self.file.text.as_ref().filter(|_| !is_as_before);
        let backup = backup.map(|text| (self.file.backup_path(), text));
        // A link stays one: what it leads to is changed.
        let path = fs::canonicalize(&self.file.path).unwrap_or_else(|_| self.file.path.clone());
        if let Some((backup, text)) = &backup {
            fs::write(backup, text)?;
            let _ = fs::set_permissions(backup, fs::metadata(&path)?.permissions());
        }
        match &self.after {
            Some(text) => replace(&path, text)?,
            None => remove(&self.file.path)?,
        }
        Ok(backup.map(|(path, _)| path))
    }
}

/// Removes a file, and the folders that are empty without it.
fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    for folder in path.ancestors().skip(1) {
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

/// Replaces the contents of a file, with its permissions, so that nobody sees a part of them.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let new = path.with_extension(format!("audit-{}", std::process::id()));
    let write = || {
        let mut file = File::create_new(&new)?;
        file.write_all(text.as_bytes())?;
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
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
