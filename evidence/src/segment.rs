//! Where the leaves of a log are: `segments.jsonl`. It is an aid that finds them, and proves nothing.

use std::collections::BTreeMap;

use audit_format::names;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::record::Kind;

/// Up to this many bytes of a file are one segment, so that a leaf is found without reading all of a large file.
const MAX_BYTES: u64 = 16 << 20;

/// Up to this many ranges of rows are one segment.
const MAX_RANGES: usize = 1000;

/// Some leaves that stand together in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The index of its first leaf in the log.
    pub index: u64,
    /// How many leaves it has.
    pub count: u64,
    /// Where they are.
    #[serde(flatten)]
    pub place: Place,
    /// Why there are no leaves for what stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// Where something is in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// Whole lines of a daily file, with their newlines.
    Lines {
        /// The name of the file.
        file: String,
        /// The offset of the first byte.
        from: u64,
        /// The offset behind the last byte.
        to: u64,
    },
    /// Rows of the table.
    Rows {
        /// Ranges of their `id`, first and last, in the order of the leaves.
        rows: Vec<[i64; 2]>,
    },
}

/// Why something in the record has no leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gap {
    /// It is no event that can be read.
    Unreadable,
}

/// How far a file is sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SealedFile {
    /// The offset up to which it is sealed.
    pub end: u64,
    /// The index of its last leaf, and the end of the segment that has it.
    pub last: Option<(u64, u64)>,
}

/// The segments of a log, in the order of its leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    list: Vec<Segment>,
    size: u64,
}

impl Segments {
    /// Reads the lines of `segments.jsonl`.
    ///
    /// # Errors
    /// Where a line is none, names no daily file, or does not go on where the one before it ends.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut segments = Self::default();
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())) {
            let wrong = |reason: String| Error::Segment { line: number, reason };
            let segment: Segment = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
            segment.check().map_err(wrong)?;
            if segment.index != segments.size {
                let reason = format!("index: {} was found, accepted is {}", segment.index, segments.size);
                return Err(wrong(reason));
            }
            let size = segments.size.checked_add(segment.count);
            segments.size = size.ok_or_else(|| wrong("count: it is too large".into()))?;
            segments.list.push(segment);
        }
        Ok(segments)
    }

    /// The lines of `segments.jsonl`.
    pub fn to_lines(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(100 * self.list.len());
        for segment in &self.list {
            // Numbers and texts alone: that cannot fail.
            let _ = serde_json::to_writer(&mut out, segment);
            out.push(b'\n');
        }
        out
    }

    /// How many leaves all of them have.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The segments.
    pub fn iter(&self) -> std::slice::Iter<'_, Segment> {
        self.list.iter()
    }

    /// The segment that has a leaf.
    pub fn of_leaf(&self, index: u64) -> Option<&Segment> {
        let after = self.list.partition_point(|segment| segment.index <= index);
        // Those without leaves have the index of the one behind them.
        let mut before = self.list.get(..after)?.iter().rev();
        before.find(|segment| segment.count > 0).filter(|segment| index - segment.index < segment.count)
    }

    /// Adds leaves, or what has none, behind the others.
    pub fn push(&mut self, place: Place, count: u64, gap: Option<Gap>) {
        let index = self.size;
        self.size += count;
        if let Some(last) = self.list.last_mut().filter(|last| last.gap == gap)
            && last.place.extend(&place)
        {
            last.count += count;
            return;
        }
        self.list.push(Segment { index, count, place, gap });
    }

    /// How far each file is sealed.
    pub fn files(&self) -> BTreeMap<&str, SealedFile> {
        self.files_of(|_| true)
    }

    /// How far each file is sealed by some of the segments.
    pub(crate) fn files_of(&self, is_one: impl Fn(&Segment) -> bool) -> BTreeMap<&str, SealedFile> {
        let mut files = BTreeMap::<_, SealedFile>::new();
        for segment in self.list.iter().filter(|segment| is_one(segment)) {
            if let Place::Lines { file, from, to } = &segment.place {
                let sealed = files.entry(file.as_str()).or_default();
                if *from == 0 {
                    // After a prune, another file has its name.
                    *sealed = SealedFile::default();
                }
                sealed.end = sealed.end.max(*to);
                sealed.last = segment.last_leaf().map(|leaf| (leaf, *to)).or(sealed.last);
            }
        }
        files
    }

    /// The ranges of rows that are sealed, those without leaves too: sorted, and apart from each other.
    pub fn rows(&self) -> Vec<[i64; 2]> {
        let places = self.list.iter().map(|segment| &segment.place);
        let mut ranges: Vec<[i64; 2]> = places
            .filter_map(|place| if let Place::Rows { rows } = place { Some(rows) } else { None })
            .flatten()
            .copied()
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<[i64; 2]> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range[0] <= last[1].saturating_add(1) => last[1] = last[1].max(range[1]),
                _ => merged.push(range),
            }
        }
        merged
    }
}

impl<'s> IntoIterator for &'s Segments {
    type Item = &'s Segment;
    type IntoIter = std::slice::Iter<'s, Segment>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Segment {
    /// The index of its last leaf; none: it has no leaves.
    pub fn last_leaf(&self) -> Option<u64> {
        (self.index + self.count).checked_sub(1).filter(|_| self.count > 0)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.place {
            Place::Lines { file, .. } if names::day_of(file).is_none() => {
                Err(format!("file: {file:?} was found, accepted are names like tool_audit_2026-11-23.jsonl"))
            }
            Place::Lines { from, to, .. } if from > to => {
                Err(format!("to: {to} was found, accepted is {from} or more"))
            }
            Place::Rows { rows } if rows.iter().any(|[first, last]| first > last) => {
                Err("rows: accepted are ranges whose first is not above their last".into())
            }
            _ => Ok(()),
        }
    }
}

impl Place {
    /// The kind of record that has it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Lines { .. } => Kind::Files,
            Self::Rows { .. } => Kind::Table,
        }
    }

    /// The `id` of the row with this number, from 0, in the order of the leaves.
    pub fn row(&self, number: u64) -> Option<i64> {
        let Self::Rows { rows } = self else { return None };
        let mut left = number;
        for [first, last] in rows {
            let len = last.abs_diff(*first).saturating_add(1);
            if left < len {
                return first.checked_add_unsigned(left);
            }
            left -= len;
        }
        None
    }

    /// Adds another place that goes on where this one ends, if they may be one segment.
    fn extend(&mut self, next: &Self) -> bool {
        match (self, next) {
            (Self::Lines { file, from, to }, Self::Lines { file: of, from: next, to: end })
                if file == of && to == next && end - *from <= MAX_BYTES =>
            {
                *to = *end;
                true
            }
            (Self::Rows { rows }, Self::Rows { rows: next }) if rows.len() + next.len() <= MAX_RANGES => {
                for range in next {
                    match rows.last_mut() {
                        Some(last) if last[1].checked_add(1) == Some(range[0]) => last[1] = range[1],
                        _ => rows.push(*range),
                    }
                }
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(from: u64, to: u64) -> Place {
        Place::Lines { file: "tool_audit_2026-11-23.jsonl".into(), from, to }
    }

    #[test]
    fn segments_that_go_on_are_one() {
        let mut segments = Segments::default();
        segments.push(lines(0, 100), 2, None);
        segments.push(lines(100, 150), 1, None);
        segments.push(lines(150, 160), 0, Some(Gap::Unreadable));
        segments.push(lines(160, 200), 1, None);
        let text = String::from_utf8(segments.to_lines()).unwrap();
        assert_eq!(
            text,
            "{\"index\":0,\"count\":3,\"file\":\"tool_audit_2026-11-23.jsonl\",\"from\":0,\"to\":150}\n\
             {\"index\":3,\"count\":0,\"file\":\"tool_audit_2026-11-23.jsonl\",\"from\":150,\"to\":160,\"gap\":\"unreadable\"}\n\
             {\"index\":3,\"count\":1,\"file\":\"tool_audit_2026-11-23.jsonl\",\"from\":160,\"to\":200}\n"
        );
        assert_eq!(Segments::parse(text.as_bytes()).unwrap(), segments);
        assert_eq!(segments.of_leaf(2).map(|segment| segment.index), Some(0));
        assert_eq!(segments.of_leaf(3).map(|segment| segment.count), Some(1));
        assert_eq!(segments.of_leaf(4), None);
        let sealed = SealedFile { end: 200, last: Some((3, 200)) };
        assert_eq!(segments.files()["tool_audit_2026-11-23.jsonl"], sealed);
    }

    #[test]
    fn ranges_of_rows_keep_the_order_of_their_leaves() {
        let mut segments = Segments::default();
        segments.push(Place::Rows { rows: vec![[1, 100], [103, 110]] }, 108, None);
        segments.push(Place::Rows { rows: vec![[102, 102], [111, 111]] }, 2, None);
        let text = String::from_utf8(segments.to_lines()).unwrap();
        assert_eq!(text, "{\"index\":0,\"count\":110,\"rows\":[[1,100],[103,110],[102,102],[111,111]]}\n");
        assert_eq!(Segments::parse(text.as_bytes()).unwrap(), segments);
        assert_eq!(segments.rows(), [[1, 100], [102, 111]]);
    }

    #[test]
    fn what_is_no_segment_is_named() {
        for (line, named) in [
            (r#"{"index":1,"count":1,"rows":[[1,1]]}"#, "line 1: index: 1 was found"),
            (r#"{"index":0,"count":1,"file":"../x","from":0,"to":1}"#, "line 1: file: \"../x\""),
            (r#"{"index":0,"count":1,"rows":[[2,1]]}"#, "line 1: rows"),
            ("torn", "line 1: "),
        ] {
            let error = Segments::parse(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
