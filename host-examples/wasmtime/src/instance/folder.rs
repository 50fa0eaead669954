//! The folder of an instance, and its identity, by which a different folder under the same path is noticed.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::Path;

use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::options::resolve::guest_path;

/// Identifies a folder: its device and its inode.
pub(super) type FolderId = (u64, u64);

/// Why the component has no folder.
pub(super) struct NoFolder {
    pub(super) text: String,
    /// Whether the folder did not exist.
    pub(super) missing: bool,
}

/// Opens the folder for the component, under the path that its configuration names. Creates it unless the
/// store only reads.
pub(super) fn preopen(wasi: &mut WasiCtxBuilder, path: &Path, read_only: bool) -> Result<FolderId, NoFolder> {
    let failed = |what: &str, error: &dyn Display, missing| NoFolder {
        text: format!("cannot {what} {}: {error}", path.display()),
        missing,
    };
    let io_failed = |what, error: io::Error| failed(what, &error, error.kind() == io::ErrorKind::NotFound);
    let perms = if read_only {
        FsPerms::ReadOnly
    } else {
        fs::create_dir_all(path).map_err(|error| io_failed("create", error))?;
        FsPerms::ReadWrite
    };
    let id = folder_id(path).map_err(|error| io_failed("open", error))?;
    let opened = wasi.preopened_dir(path, guest_path(path), perms);
    opened.map_err(|error| failed("open", &error.root_cause(), false))?;
    Ok(id)
}

#[cfg(unix)]
pub(super) fn folder_id(path: &Path) -> io::Result<FolderId> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Without inodes, all folders look the same.
#[cfg(not(unix))]
pub(super) fn folder_id(path: &Path) -> io::Result<FolderId> {
    fs::metadata(path).map(|_| (0, 0))
}
