//! Archives of what was pruned: a day's events as JSON lines, compressed with Zstandard, `tool_audit_YYYY-MM-DD.jsonl.zst`.
//! Where events of a day came after it was pruned, and are pruned too, their archive has the index of their first leaf in its
//! name: `tool_audit_YYYY-MM-DD.1234.jsonl.zst`.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use audit_format::time::Day;
use audit_log::tree::Hash;

use crate::error::Error;
use crate::leaf;
use crate::record::each_line;

/// How strong the compression is: as `zstd` does it where nothing is said.
const LEVEL: i32 = 3;

/// The name of an archive. `index` is that of its first leaf, where there is an earlier archive of the day.
pub fn name(day: Day, index: Option<u64>) -> String {
    let index = index.map(|index| format!(".{index}")).unwrap_or_default();
    format!("tool_audit_{day}{index}.jsonl.zst")
}

/// The day of an archive, and the index in its name; none: it is not the name of one.
pub fn day_of(file: &str) -> Option<(Day, Option<u64>)> {
    let stem = file.strip_prefix("tool_audit_")?.strip_suffix(".jsonl.zst")?;
    let (day, index) = match stem.split_once('.') {
        Some((day, index)) => (day, Some(index.parse().ok()?)),
        None => (stem, None),
    };
    let day = Day::parse(day)?;
    (name(day, index) == file).then_some((day, index))
}

/// Opens an archive to read what it has: lines, decompressed as they are read.
///
/// # Errors
/// Where it cannot be read.
pub fn open(path: &Path) -> io::Result<impl BufRead + use<>> {
    Ok(BufReader::with_capacity(1 << 20, zstd::Decoder::new(crate::folder::open(path)?)?))
}

/// The archives of a folder, in the order of their days and leaves.
///
/// # Errors
/// Where the folder cannot be read.
pub fn of_folder(folder: &Path) -> io::Result<Vec<(Day, PathBuf)>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if let Some((day, index)) = entry.file_name().to_str().and_then(day_of) {
            found.push((day, index, entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(day, _, path)| (day, path)).collect())
}

/// Hands over the leaves of an archive, in their order.
///
/// # Errors
/// Where it cannot be read, or `take` has failed.
pub fn leaves(path: &Path, take: &mut dyn FnMut(Hash) -> Result<(), Error>) -> Result<(), Error> {
    let shown = path.display().to_string();
    let read = open(path).map_err(Error::read(&shown))?;
    each_line(read, &shown, 0, &mut |_, line| {
        if let leaf::Line::Leaf(hash) = leaf::of_line(line) {
            take(hash)?;
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// Writes an archive under a name of its own, and gives it its name once it is whole and on the disk.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    content: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let (path, new) = (folder.join(name), folder.join(format!("{name}.new")));
    let failed = |source| Error::Write { name: path.display().to_string(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    let file = File::create(&new).map_err(failed)?;
    if let Err(error) = fill(file, content, failed) {
        // The disk may be full, and a part of an archive is of no use.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    fs::rename(&new, &path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(path)
}

/// Compresses content into a file, onto the disk.
fn fill(
    file: File,
    content: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
    failed: impl Fn(io::Error) -> Error,
) -> Result<(), Error> {
    let mut encoder = zstd::Encoder::new(file, LEVEL).map_err(&failed)?;
    encoder.include_checksum(true).map_err(&failed)?;
    let mut out = Out { to: encoder, error: None };
    let done = content(&mut out);
    let Out { to: encoder, error } = out;
    match error {
        Some(error) => return Err(failed(error)),
        None => done?,
    }
    encoder.finish().and_then(|file| file.sync_all()).map_err(failed)
}

/// Knows whether it could not be written: whoever copies cannot tell that from what cannot be read.
struct Out<W> {
    to: W,
    error: Option<io::Error>,
}

impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes).map_err(|error| match error.kind() {
            ErrorKind::Interrupted => error,
            kind => {
                self.error = Some(error);
                kind.into()
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn only_the_exact_spelling_is_a_name() {
        let day = Day::parse("2026-11-23").unwrap();
        for index in [None, Some(0), Some(1234)] {
            assert_eq!(day_of(&name(day, index)), Some((day, index)));
        }
        for other in [
            "tool_audit_2026-11-23.jsonl",
            "tool_audit_2026-11-23.01.jsonl.zst",
            "tool_audit_2026-11-23.jsonl.zst.new",
        ] {
            assert_eq!(day_of(other), None, "{other}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_that_of_the_archive_and_gets_its_room_back() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("a.zst.new");
        std::os::unix::fs::symlink("/dev/full", &new).unwrap();
        // What cannot be compressed, so that some of it is written before the end.
        let mut random = 1_u64;
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 56) as u8
        })
        .take(1 << 20)
        .collect();
        let copy = |out: &mut dyn Write| {
            io::copy(&mut bytes.as_slice(), out).map(drop).map_err(Error::read("a day"))
        };
        let error = write(folder.path(), "a.zst", copy).unwrap_err().to_string();
        assert!(error.contains("a.zst cannot be written: No space left"), "{error}");
        assert!(new.symlink_metadata().is_err());
    }

    #[test]
    fn an_archive_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("deep/er");
        let stop = |out: &mut dyn Write| {
            out.write_all(b"half").unwrap();
            Err(Error::Database("stop".into()))
        };
        assert!(write(&deep, "a.zst", stop).is_err());
        assert!(!deep.join("a.zst").exists());
        let path =
            write(&deep, "a.zst", |out| out.write_all(b"whole\n").map_err(Error::write("a.zst"))).unwrap();
        let mut text = String::new();
        open(&path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "whole\n");
    }
}
