//! The files beside a log, and the leaves of lines.

use audit_evidence::Segments;
use audit_evidence::hold::Holds;
use audit_evidence::leaf::{Line, body_of_line, line_of_body, of_line, of_row};
use audit_evidence::pruned::Pruned;

/// The files `segments.jsonl`, `pruned.jsonl` and `holds.jsonl`.
///
/// What is read of one is what is read of its own lines. Segments follow each other, and each leaf is found in its own.
pub fn segments(input: &[u8]) {
    match Segments::parse(input) {
        Ok(segments) => {
            assert_eq!(Segments::parse(&segments.to_lines()).as_ref().ok(), Some(&segments));
            assert_eq!(segments.iter().map(|segment| segment.count).sum::<u64>(), segments.size());
            for segment in segments.iter().filter(|segment| segment.count > 0) {
                for index in [segment.index, segment.index + (segment.count - 1)] {
                    assert_eq!(segments.of_leaf(index), Some(segment));
                }
            }
            assert_eq!(segments.of_leaf(segments.size()), None);
            let _ = (segments.files(), segments.rows());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(pruned) = Pruned::parse(input) {
        let again = Pruned::parse(&pruned.to_lines());
        assert!(again.is_ok_and(|again| again == pruned && again.hash() == pruned.hash()));
        let hashes = [pruned.hash()].into();
        assert_eq!(pruned.confirmed_by(&hashes), pruned, "a file is not confirmed by its own hash");
        assert!(pruned.confirmed_by(&Default::default()).is_empty());
    }
    if let Ok(holds) = Holds::parse(input) {
        let again = Holds::parse(&holds.to_lines()).expect("its own lines");
        assert_eq!((again.changes(), again.active().count()), (holds.changes(), holds.active().count()));
        assert!(holds.active().all(|hold| hold.id != holds.free_id()));
    }
}

/// A line of the record.
///
/// Its leaf is the hash of its body, from which a line is made with the same leaf; a line with a newline, and with white space
/// around it, is the same one.
pub fn leaves(input: &[u8]) {
    let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let leaf = of_line(line);
    assert_eq!(of_line(&[line, b"\n"].concat()), leaf);
    assert_eq!(of_line(&[b" ", line.trim_ascii(), b"\r\n"].concat()), leaf);
    let body = body_of_line(line);
    match leaf {
        Line::Leaf(hash) => {
            let body = body.expect("an event has a body");
            assert_eq!(audit_log::tree::Hash::of_leaf(&body), hash, "the leaf is not that of its body");
            let again = line_of_body(&body).map(|again| of_line(again.as_bytes()));
            assert_eq!(
                again,
                std::str::from_utf8(&body).ok().map(|_| leaf),
                "a line is made of a body with another leaf"
            );
        }
        Line::Blank | Line::Unreadable => assert!(body.is_none(), "what has no leaf has a body"),
    }
    if let Ok(text) = std::str::from_utf8(line) {
        // A row of the table is given as a line by its statements: what is no event there is none here.
        assert!(
            matches!(of_row(text), Line::Leaf(_))
                || !matches!(leaf, Line::Leaf(_))
                || text.trim_ascii() != text
        );
    }
}
