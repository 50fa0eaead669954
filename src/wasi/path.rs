//! Paths: which preopened folder contains a path.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The part of `path` below `folder`; none: the folder does not contain it. Both are normalized. A relative
/// path is also below `/`, because WASI programs start there.
pub fn within<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    if folder.is_empty() {
        return (!path.starts_with('/') && !path.starts_with("..")).then_some(path);
    }
    if folder == "/" {
        return (!path.starts_with("..")).then(|| path.trim_start_matches('/'));
    }
    let rest = path.strip_prefix(folder)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// `path` without `.` and empty parts, and without `..` except at the start of a relative path.
pub fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}
