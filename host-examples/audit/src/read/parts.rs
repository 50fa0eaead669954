//! Parts of a long time, which are searched at once: what is between two times is the same whoever reads it, so that one part
//! after the other has the order of the whole.

use std::path::Path;
use std::thread;

use audit_format::names;
use audit_format::query::Filter;
use audit_format::time::{Day, Timestamp};

/// How many files a part has at least. Each part also reads the files of the day before and of the day after it, which may
/// have events of its time.
const FILES: usize = 4;

/// How many parts there are at most, each of which takes the memory of an instance.
const MOST: usize = 4;

/// A time, both ends inclusive.
pub(super) type Span = (Timestamp, Timestamp);

/// The parts of this time that are worth being searched at once, in their order.
pub(super) fn of_folder(folder: &Path, span: Span) -> Vec<Span> {
    let mut files: Vec<(Day, u64)> = folder
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let day = names::day_of(entry.file_name().to_str()?)?;
            Some((day, entry.metadata().ok()?.len()))
        })
        .filter(|(day, _)| (span.0.day()..=span.1.day()).contains(day))
        .collect();
    files.sort_unstable();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    cut(span, &files, processors.min(MOST))
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

/// Cuts the time between files, so that each part has about as many bytes. The files are those of its days, in their order.
fn cut((from, to): Span, files: &[(Day, u64)], most: usize) -> Vec<Span> {
    let parts = most.min(files.len() / FILES).max(1) as u64;
    let bytes: u64 = files.iter().map(|(_, size)| size).sum();
    let (mut spans, mut begin, mut before, mut count) = (Vec::new(), from, 0, 0);
    for (day, size) in files {
        let is_full = before * parts >= bytes * (spans.len() as u64 + 1);
        if is_full && count >= FILES && (spans.len() as u64) + 1 < parts {
            spans.push((begin, day.plus(-1).last()));
            (begin, count) = (day.first(), 0);
        }
        before += size;
        count += 1;
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

    #[test]
    fn a_long_time_is_cut_into_parts_of_about_as_many_bytes() {
        let span = (Timestamp::MIN, Timestamp::MAX);
        let files: Vec<_> = (0..20).map(|n| (day(n), 100)).collect();
        let halves = [(span.0, day(9).last()), (day(10).first(), span.1)];
        assert_eq!(cut(span, &files, 2), halves);
        assert_eq!(cut(span, &files, 4).len(), 4);
        assert_eq!(cut(span, &files, 1), [span]);
        assert_eq!(cut(span, &files[..7], 2), [span]);
        let files: Vec<_> = (0..20).map(|n| (day(n), if n < 5 { 1000 } else { 10 })).collect();
        assert_eq!(cut(span, &files, 2)[0].1, day(3).last());
    }

    proptest! {
        #[test]
        fn each_time_is_in_exactly_one_part(
            sizes in proptest::collection::vec((1..5, 0..1_000_000_u64), 0..60),
            most in 1..6_usize,
        ) {
            let mut at = 0;
            let files: Vec<_> = sizes.iter().map(|(gap, size)| { at += gap; (day(at), *size) }).collect();
            let span = (day(-1).first(), day(at + 1).last());
            let parts = cut(span, &files, most);
            prop_assert!(parts.len() <= most);
            prop_assert_eq!((parts[0].0, parts[parts.len() - 1].1), span);
            for pair in parts.windows(2) {
                prop_assert_eq!(pair[0].1.micros() + 1, pair[1].0.micros());
            }
            prop_assert!(parts.iter().all(|(from, to)| from <= to));
        }
    }
}
