//! The archives of what was pruned: whether they still have the events of the leaves, in their order.

use std::io::ErrorKind;
use std::path::Path;

use audit_log::tree::{Node, NodeReader as _};

use super::{Finding, FindingKind, Spot, Verdict};
use crate::archive;
use crate::error::Error;
use crate::folder::Folder;
use crate::log::Log;
use crate::pruned::Declaration;

/// Checks the archives in a folder, those that `pruned.jsonl` names, and adds what is found to a verdict. An archive that is
/// not there was not checked.
///
/// # Errors
/// Where the log cannot be read.
pub fn check_archives<F: Folder>(log: &Log<F>, folder: &Path, verdict: &mut Verdict) -> Result<(), Error> {
    let size = verdict.checkpoint.size;
    for declaration in log.pruned()?.declarations() {
        let named = declaration.ranges.first().and_then(|range| range.archive.as_deref());
        let Some(name) = named.map(Path::new).and_then(Path::file_name) else { continue };
        let (path, shown) = (folder.join(name), name.to_string_lossy().into_owned());
        match check(log, size, &declaration, &path) {
            Ok(None) => {}
            Ok(Some((leaf, detail))) => verdict.findings.push(Finding {
                kind: FindingKind::Changed,
                place: Spot::Log { log: shown },
                count: 0,
                leaf,
                detail,
            }),
            Err(Error::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                verdict.not_checked.push(format!("{shown}: it is not in {}", folder.display()));
            }
            Err(Error::Read { source, .. }) => {
                verdict.not_checked.push(format!("{shown}: it cannot be read: {source}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The first leaf that an archive does not have, or why it has more.
fn check<F: Folder>(
    log: &Log<F>,
    size: u64,
    declaration: &Declaration<'_>,
    path: &Path,
) -> Result<Option<(Option<u64>, String)>, Error> {
    let mut wanted = declaration.ranges.iter().flat_map(|range| range.index..range.end());
    let (mut tree, mut found) = (log.tree(size), None);
    archive::leaves(path, &mut |leaf| {
        if found.is_some() {
            return Ok(());
        }
        match wanted.next() {
            None => found = Some((None, "it has more events than were pruned".to_owned())),
            Some(index) if index >= size || tree.node(Node { level: 0, index })? != leaf => {
                found = Some((Some(index), "it has another event there than was sealed".to_owned()));
            }
            Some(_) => {}
        }
        Ok(())
    })?;
    Ok(found.or_else(|| wanted.next().map(|index| (Some(index), "it ends before this event".to_owned()))))
}
