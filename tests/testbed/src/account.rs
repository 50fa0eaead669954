//! The user that PostgreSQL runs as. It is the user that runs the tests, but PostgreSQL refuses to run as root.

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The users that can stand in for root, best first.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// The user and the group of the server, if they are others than those of this process.
#[derive(Clone, Copy, Debug)]
pub struct Account(Option<(u32, u32)>);

impl Account {
    pub fn find() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self(None);
        }
        let ids = USERS.into_iter().find_map(|user| Some((id("-u", user)?, id("-g", user)?)));
        assert!(ids.is_some(), "PostgreSQL refuses to run as root, and there is no user of {USERS:?}");
        Self(ids)
    }

    /// Hands a file or folder over to the user.
    pub fn own(self, path: &Path) {
        if let Some((user, group)) = self.0 {
            chown(path, Some(user), Some(group))
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }

    /// A folder for temporary files that the user can reach.
    pub fn temporary(self) -> PathBuf {
        let folder = env::temp_dir();
        let open = |folder: &Path| fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & 0o1 != 0);
        if self.0.is_none() || folder.ancestors().all(open) { folder } else { "/tmp".into() }
    }

    /// A command that runs as the user, in a process group that a Ctrl-C at the terminal does not reach, in an
    /// environment without settings for PostgreSQL.
    pub fn command(self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).process_group(0).env("LC_ALL", "C");
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }
}

fn id(which: &str, user: &str) -> Option<u32> {
    let output = Command::new("id").args([which, user]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
