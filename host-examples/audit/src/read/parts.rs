//! Parts of a long time, which are searched at once: what is between two times is the same whoever reads it, so that one part
//! after the other has the order of the whole.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::thread;

use audit_format::line::MAX_LEN;
use audit_format::names;
use audit_format::query::Filter;
use audit_format::read::parse_stored;
use audit_format::time::{Day, Timestamp};

/// How many files a part has at least. Each part also reads the files of the day before and of the day after it, which may
/// have events of its time.
const FILES: u64 = 4;

/// How many bytes a part of a file with an index has at least. What the index rules out of the file costs a part nothing.
const BYTES: u64 = 32 << 20;

/// How many parts there are at most, each of which takes the memory of an instance.
const MOST: u64 = 4;

/// A time, both ends inclusive.
pub(super) type Span = (Timestamp, Timestamp);

/// What a part may begin with: a file, or a place in a file with an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    begin: Timestamp,
    bytes: u64,
    /// For how many files it counts.
    files: u64,
}

/// The parts of this time that are worth being searched at once, in their order.
pub(super) fn of_folder(folder: &Path, span: Span) -> Vec<Span> {
    let processors = thread::available_parallelism().map_or(1, usize::from) as u64;
    let most = processors.min(MOST);
    let mut files: Vec<(Day, u64)> = folder
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let day = names::day_of(entry.file_name().to_str()?)?;
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((day, metadata.len()))
        })
        .filter(|(day, _)| (span.0.day()..=span.1.day()).contains(day))
        .collect();
    files.sort_unstable();
    let pieces: Vec<Piece> =
        files.into_iter().flat_map(|(day, bytes)| pieces(folder, day, bytes, most)).collect();
    cut(span, &pieces, most)
}

/// The pieces of a day's file: several if it is large, and has an index.
fn pieces(folder: &Path, day: Day, bytes: u64, most: u64) -> Vec<Piece> {
    let whole = Piece { begin: day.first(), bytes, files: 1 };
    let count = most.min(bytes / BYTES);
    if count < 2 || !folder.join(names::index(day)).is_file() {
        return vec![whole];
    }
    let file = folder.join(names::daily(day));
    let begins = (1..count).filter_map(|n| time_at(&file, n * bytes / count)).filter(|at| at.day() == day);
    let mut begins: Vec<Timestamp> = std::iter::once(day.first()).chain(begins).collect();
    begins.sort_unstable();
    begins.dedup();
    let bytes = bytes / begins.len() as u64;
    begins.into_iter().map(|begin| Piece { begin, bytes, files: FILES }).collect()
}

/// The time of the first event behind a place in a file; none: none can be read there.
fn time_at(file: &Path, offset: u64) -> Option<Timestamp> {
    let mut file = File::open(file).ok()?;
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut bytes = Vec::new();
    file.take(2 * MAX_LEN as u64).read_to_end(&mut bytes).ok()?;
    let line = bytes.split(|byte| *byte == b'\n').nth(1)?;
    Timestamp::parse(&parse_stored(str::from_utf8(line).ok()?).ok()?.event.ts).ok()
}

/// The same filter for each of these parts of its time.
pub(super) fn of_filter(filter: &Filter, parts: &[Span]) -> Vec<Filter> {
    let last = parts.len() - 1;
    let of_part = |(n, (from, to)): (usize, &Span)| Filter {
        from_ts: if n == 0 { filter.from_ts.clone() } else { Some(from.to_string()) },
        to_ts: if n == last { filter.to_ts.clone() } else { Some(to.to_string()) },
        ..filter.clone()
    };
    parts.iter().enumerate().map(of_part).collect()
}

/// Cuts the time between pieces, so that each part has about as many bytes. The pieces are those of its days, in their order.
fn cut((from, to): Span, pieces: &[Piece], most: u64) -> Vec<Span> {
    let files: u64 = pieces.iter().map(|piece| piece.files).sum();
    let parts = most.min(files / FILES).max(1);
    let bytes: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    let (mut spans, mut begin, mut before, mut count) = (Vec::new(), from, 0, 0);
    for piece in pieces {
        let is_full = before * parts >= bytes * (spans.len() as u64 + 1);
        let is_within = begin < piece.begin && piece.begin <= to;
        if is_full && is_within && count >= FILES && (spans.len() as u64) + 1 < parts {
            spans.push((begin, Timestamp::clamped(piece.begin.micros() - 1)));
            (begin, count) = (piece.begin, 0);
        }
        before += piece.bytes;
        count += piece.files;
    }
    spans.push((begin, to));
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(number: i32) -> Day {
        Day::parse("2026-01-01").unwrap().plus(number)
    }

    fn file(number: i32, bytes: u64) -> Piece {
        Piece { begin: day(number).first(), bytes, files: 1 }
    }

    #[test]
    fn a_long_time_is_cut_into_parts_of_about_as_many_bytes() {
        let span = (Timestamp::MIN, Timestamp::MAX);
        let files: Vec<_> = (0..20).map(|n| file(n, 100)).collect();
        let halves = [(span.0, day(9).last()), (day(10).first(), span.1)];
        assert_eq!(cut(span, &files, 2), halves);
        assert_eq!(cut(span, &files, 4).len(), 4);
        assert_eq!(cut(span, &files, 1), [span]);
        assert_eq!(cut(span, &files[..7], 2), [span]);
        let files: Vec<_> = (0..20).map(|n| file(n, if n < 5 { 1000 } else { 10 })).collect();
        assert_eq!(cut(span, &files, 2)[0].1, day(3).last());
    }

    #[test]
    fn a_large_day_with_an_index_is_cut_in_the_middle_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let (day, path) = (day(0), folder.path().join(names::daily(day(0))));
        let line = |n: u64| {
            let ts = Timestamp::clamped(day.first().micros() + n as i64 * 1_000_000);
            format!("{{\"ts\":\"{ts}\",\"tool\":\"{}\"}}\n", "x".repeat(1960))
        };
        let lines: String = (0..40_000).map(line).collect();
        fs::write(&path, &lines).unwrap();
        let bytes = lines.len() as u64;
        let whole = Piece { begin: day.first(), bytes, files: 1 };
        assert_eq!(pieces(folder.path(), day, bytes, 2), [whole]);
        fs::write(folder.path().join(names::index(day)), "").unwrap();
        let halves = pieces(folder.path(), day, bytes, 2);
        let seconds = (halves[1].begin.micros() - day.first().micros()) / 1_000_000;
        assert!(halves.len() == 2 && (19_990..20_010).contains(&seconds), "{halves:?}");
        let spans = of_folder(folder.path(), (day.first(), day.last()));
        if thread::available_parallelism().map_or(1, usize::from) == 2 {
            let end = Timestamp::clamped(halves[1].begin.micros() - 1);
            assert_eq!(spans, [(day.first(), end), (halves[1].begin, day.last())]);
        }
        // What is in the middle is no event.
        fs::write(&path, vec![b'\n'; lines.len()]).unwrap();
        assert_eq!(pieces(folder.path(), day, bytes, 2).len(), 1);
    }

    proptest! {
        #[test]
        fn each_time_is_in_exactly_one_part(
            sizes in proptest::collection::vec((1..5, 0..1_000_000_u64, 1..6_u64), 0..60),
            most in 1..6_u64,
        ) {
            let mut at = 0;
            let pieces: Vec<_> = sizes
                .iter()
                .map(|(gap, bytes, files)| {
                    at += gap;
                    Piece { files: *files, ..file(at, *bytes) }
                })
                .collect();
            let span = (day(2).first(), day(at + 3).last());
            let parts = cut(span, &pieces, most);
            prop_assert!(parts.len() as u64 <= most);
            prop_assert_eq!((parts[0].0, parts[parts.len() - 1].1), span);
            for pair in parts.windows(2) {
                prop_assert_eq!(pair[0].1.micros() + 1, pair[1].0.micros());
            }
            prop_assert!(parts.iter().all(|(from, to)| from <= to));
        }
    }
}
