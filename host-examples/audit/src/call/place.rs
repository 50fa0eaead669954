//! Where a call took place, and for whom, where its source does not say: the workspace, the person and the folders of the
//! record.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of a record, below the root of its project.
pub(crate) const PROJECT_FOLDER: &str = "ops/audit";

/// The folder that has the project of `cwd`: the nearest with `.git`, else itself.
pub(crate) fn project(cwd: &Path) -> &Path {
    cwd.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(cwd)
}

/// The name of the workspace of `cwd`: that of its project's folder.
pub(crate) fn workspace(cwd: &Path) -> String {
    project(cwd).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The operating system's user.
pub(crate) fn user() -> String {
    whoami::username().unwrap_or_default()
}

/// The user's own folder of state: `$XDG_STATE_HOME/audit`, or `~/.local/state/audit`. None: there is no home.
pub(crate) fn user_folder() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(home()?.join(".local/state")))?;
    Some(state.join("audit"))
}

/// The user's home.
pub(crate) fn home() -> Option<PathBuf> {
    env::home_dir().filter(|home| home.is_absolute())
}
