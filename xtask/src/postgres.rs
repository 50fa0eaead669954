//! PostgreSQL, which the tests start servers of their own with, and PgBouncer, a pooler in front of it.

use std::cmp::Reverse;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Debian's package of it.
pub const DEBIAN_PACKAGE: &str = "postgresql";

const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Debian's package of the pooler.
pub const DEBIAN_POOLER: &str = "pgbouncer";

/// Debian has the pooler here, which is not on the `PATH` of every user.
const DEBIAN_POOLERS: &str = "/usr/sbin";

/// Debian keeps a folder for each version here, and nothing of them on `PATH`.
const DEBIAN_VERSIONS: &str = "/usr/lib/postgresql";

/// The folder of a server's programs: the first on `PATH`, else that of the newest version from Debian.
pub fn programs() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(debian()).find(|folder| complete(folder))
}

/// The program of the pooler.
pub fn pooler() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([DEBIAN_POOLERS.into()]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
}

fn complete(folder: &Path) -> bool {
    PROGRAMS.iter().all(|program| folder.join(program).is_file())
}

fn debian() -> Vec<PathBuf> {
    let versions = fs::read_dir(DEBIAN_VERSIONS).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}
