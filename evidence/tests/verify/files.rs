//! Daily files of which each line is changed in each way.

use std::fs;

use audit_evidence::verify::FindingKind::{self, *};

use crate::sample::{DAYS, Folder, file, foreign, found, own, rehashed};

/// How many events the record has, apart from those of another writer.
const SIZE: u64 = 100;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Own,
    Foreign,
    /// No event.
    Other,
}

fn what(line: &str) -> What {
    match line {
        _ if line.contains("\"chain\"") => What::Own,
        _ if line.contains("other") => What::Foreign,
        _ => What::Other,
    }
}

/// Changes each line of each file in some way, and checks what is found. `change` returns what is expected.
fn each_line(change: impl Fn(&mut Vec<String>, usize, bool) -> Option<Vec<(FindingKind, usize)>>) {
    let folder = Folder::sample(SIZE);
    assert_eq!(found(&folder.verify()), []);
    for day in 0..DAYS.len() {
        let lines = folder.lines(day);
        let last = lines.iter().rposition(|line| what(line) != What::Other).unwrap();
        for number in 0..lines.len() {
            let mut changed = lines.clone();
            let Some(expected) = change(&mut changed, number, number == last) else { continue };
            folder.write(day, &changed);
            let verdict = folder.verify();
            let found = found(&verdict);
            assert_eq!(found.len(), expected.len(), "line {}: {:#?}", number + 1, verdict.findings);
            for ((kind, place), (expected, at)) in found.iter().zip(expected) {
                // Between an event and what is missing there may be lines that are none.
                let is_gone = matches!(kind, Missing | Truncated);
                let first =
                    lines[..at].iter().rposition(|line| what(line) != What::Other).map_or(0, |last| last + 1);
                let first = if is_gone { first } else { at };
                let is_there = (first..=at).any(|at| *place == format!("{}:{}", file(day), at + 1));
                assert!(*kind == expected && is_there, "line {}: {:#?}", number + 1, verdict.findings);
            }
        }
        folder.write(day, &lines);
    }
    assert_eq!(found(&folder.verify()), []);
}

#[test]
fn a_line_that_is_removed_is_missing() {
    each_line(|lines, number, is_last| {
        let kind = if is_last { Truncated } else { Missing };
        let removed = lines.remove(number);
        Some(if what(&removed) == What::Other { vec![] } else { vec![(kind, number)] })
    });
}

#[test]
fn each_field_that_is_changed_is_found() {
    let changes: [(&str, &str); 20] = [
        ("T06:", "T07:"),
        ("\"req_id\":\"", "\"req_id\":\"x"),
        ("\"workspace_id\":\"w", "\"workspace_id\":\"v"),
        ("\"user_id\":\"u", "\"user_id\":\""),
        ("\"agent_id\":\"p", "\"agent_id\":\"P"),
        ("\"tool\":\"tool", "\"tool\":\"fool"),
        ("\"action\":\"call", "\"action\":\"ball"),
        ("\"status\":\"ok", "\"status\":\"no"),
        ("\"duration_ms\":", "\"duration_ms\":1"),
        ("\"in_size\":10", "\"in_size\":11"),
        ("\"out_size\":", "\"out_size\":1"),
        ("\"input_hash\":\"28", "\"input_hash\":\"29"),
        ("\"graph_run_id\":\"g", "\"graph_run_id\":\"h"),
        ("\"graph_node\":null", "\"graph_node\":\"n\""),
        ("\"job_id\":null", "\"job_id\":\"\""),
        ("\"source\":\"test", "\"source\":\"best"),
        ("\"id\":\"0", "\"id\":\"1"),
        ("\"chain\":\"0", "\"chain\":\"1"),
        ("\"seq\":", "\"seq\":1"),
        ("\"hash\":\"", "\"hash\":\"e"),
    ];
    for (place, (from, to)) in changes.into_iter().enumerate() {
        each_line(|lines, number, _| {
            // Every other one as somebody would do it who knows how hashes are made.
            let rehashes = (place + number) % 2 == 0 && from != "\"hash\":\"";
            if what(&lines[number]) != What::Own {
                return None;
            }
            {
                let mut changed = lines[number].replacen(from, to, 1);
                if from == "\"hash\":\"" {
                    // As long as before.
                    changed = changed.replacen("\"}", "", 1);
                    changed.pop();
                    changed.push_str("\"}");
                }
                assert_ne!(changed, lines[number], "{from}");
                lines[number] = if rehashes { rehashed(&changed) } else { changed };
            }
            Some(vec![(Changed, number)])
        });
    }
}

#[test]
fn a_line_of_another_writer_that_is_changed_is_found() {
    each_line(|lines, number, _| {
        (what(&lines[number]) == What::Foreign).then(|| {
            lines[number] = lines[number].replace("other", "others");
            vec![(Changed, number)]
        })
    });
}

#[test]
fn a_line_that_is_no_event_any_more_is_changed() {
    each_line(|lines, number, _| {
        (what(&lines[number]) != What::Other).then(|| {
            let len = lines[number].len();
            lines[number] = "x".repeat(len);
            vec![(Changed, number)]
        })
    });
}

#[test]
fn neighbours_that_are_swapped_are_one_that_was_moved() {
    let folder = Folder::sample(SIZE);
    for day in 0..DAYS.len() {
        let lines = folder.lines(day);
        for number in 0..lines.len() - 1 {
            let mut changed = lines.clone();
            changed.swap(number, number + 1);
            folder.write(day, &changed);
            let both = changed[number..=number + 1].iter().all(|line| what(line) != What::Other);
            let verdict = folder.verify();
            let found = found(&verdict);
            // Either of both stands before or behind the other.
            let places = [1, 2].map(|more| format!("{}:{}", file(day), number + more));
            let is_right =
                |(kind, place): &(FindingKind, String)| *kind == Reordered && places.contains(place);
            assert!(found.len() == usize::from(both) && found.iter().all(is_right), "{found:?} {places:?}");
        }
        folder.write(day, &lines);
    }
}

#[test]
fn a_line_that_stands_there_twice_is_duplicated() {
    each_line(|lines, number, is_last| {
        let line = lines[number].clone();
        lines.insert(number, line.clone());
        // An equal line of another writer, behind all that is sealed, may be another event.
        let is_new = what(&line) == What::Foreign && is_last;
        Some(if what(&line) == What::Other || is_new { vec![] } else { vec![(Duplicated, number + 1)] })
    });
}

#[test]
fn a_sealed_line_that_is_appended_again_is_duplicated() {
    each_line(|lines, number, _| {
        let line = lines[number].clone();
        let end = lines.len();
        lines.push(line.clone());
        Some(if what(&line) == What::Own { vec![(Duplicated, end)] } else { vec![] })
    });
}

#[test]
fn a_line_that_was_never_sealed_is_inserted_among_those_that_were() {
    each_line(|lines, number, _| {
        let last = lines.iter().rposition(|line| what(line) != What::Other).unwrap();
        lines.insert(number, foreign(0, 1_000_000));
        Some(if number > last { vec![] } else { vec![(Inserted, number)] })
    });
}

#[test]
fn a_line_that_another_one_replaces_is_changed() {
    each_line(|lines, number, _| {
        (what(&lines[number]) != What::Other).then(|| {
            lines[number] = own(0, 77, 0);
            vec![(Changed, number)]
        })
    });
}

#[test]
fn a_line_that_a_copy_of_another_one_replaces_is_changed() {
    each_line(|lines, number, _| {
        let other = lines.iter().position(|line| what(line) == What::Own)?;
        (what(&lines[number]) != What::Other && number != other).then(|| {
            lines[number] = lines[other].clone();
            vec![(Changed, number)]
        })
    });
}

#[test]
fn a_tail_that_is_cut_is_one_finding() {
    each_line(|lines, number, _| {
        let had = lines[number..].iter().any(|line| what(line) != What::Other);
        lines.truncate(number);
        Some(if had { vec![(Truncated, number)] } else { vec![] })
    });
}

#[test]
fn a_tail_that_is_cut_in_the_middle_of_a_line_is_truncated() {
    let folder = Folder::sample(SIZE);
    let text = fs::read_to_string(folder.file(1)).unwrap();
    for end in (1..text.len() - 1).step_by(97) {
        fs::write(folder.file(1), &text[..end]).unwrap();
        let verdict = folder.verify();
        assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
        assert_eq!(verdict.findings[0].kind, Truncated);
    }
}

#[test]
fn a_line_in_the_file_of_another_day_is_reordered() {
    let folder = Folder::sample(SIZE);
    for (from, to) in [(0, 1), (1, 0), (2, 0), (0, 2)] {
        let (source, target) = (folder.lines(from), folder.lines(to));
        for number in 0..source.len() {
            let (mut changed, mut moved) = (source.clone(), target.clone());
            let line = changed.remove(number);
            for place in [0, target.len() / 2, target.len()] {
                moved.insert(place, line.clone());
                folder.write(from, &changed);
                folder.write(to, &moved);
                moved.remove(place);
                let expected = match what(&line) {
                    What::Other => vec![],
                    _ => vec![(Reordered, format!("{}:{}", file(to), place + 1))],
                };
                let verdict = folder.verify();
                assert_eq!(found(&verdict), expected, "{} {line} {place}", number + 1);
            }
        }
        folder.write(from, &source);
        folder.write(to, &target);
    }
}

#[test]
fn a_file_that_is_gone_is_one_finding() {
    for day in 0..DAYS.len() {
        let folder = Folder::sample(SIZE);
        fs::remove_file(folder.file(day)).unwrap();
        let verdict = folder.verify();
        let counts: u64 = verdict.findings.iter().map(|finding| finding.count).sum();
        assert!(verdict.findings.iter().all(|finding| finding.kind == Missing), "{:#?}", verdict.findings);
        assert_eq!(found(&verdict).first().unwrap().1, format!("{}:1", file(day)));
        assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
        assert_eq!(counts, verdict.counts.sealed - verdict.counts.as_sealed);
    }
}

#[test]
fn files_that_have_changed_names_are_reordered() {
    let folder = Folder::sample(SIZE);
    let (one, other) = (folder.lines(0), folder.lines(1));
    folder.write(0, &other);
    folder.write(1, &one);
    let verdict = folder.verify();
    assert!(verdict.findings.iter().all(|finding| finding.kind == Reordered), "{:#?}", verdict.findings);
    assert!(verdict.findings.len() < 40, "{:#?}", verdict.findings);
}

#[test]
fn where_events_were_sealed_is_found_without_its_file() {
    let folder = Folder::sample(SIZE);
    let path = folder.path().join("log/segments.jsonl");
    let segments = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = segments.lines().collect();
    assert!(lines.len() > 8);
    let text = |lines: &[&str]| lines.join("\n") + "\n";
    let mut shifted = segments.clone();
    for number in (1..9).rev() {
        shifted = shifted.replace(&format!("\"to\":{number}"), &format!("\"to\":{}", number + 1));
    }
    let wrong = [
        String::new(),
        "torn".into(),
        text(&lines[..lines.len() / 2]),
        segments.replace(&file(0), "tool_audit_2026-10-01.jsonl"),
        segments
            .replace(&file(1), "x")
            .replace(&file(0), &file(1))
            .replace("\"x\"", &format!("\"{}\"", file(0))),
        segments.replace("\"from\":", "\"from\":1"),
        shifted,
        format!("{{\"index\":0,\"count\":{},\"file\":\"{}\",\"from\":0,\"to\":9}}\n", u64::MAX, file(0)),
    ];
    for wrong in wrong {
        fs::write(&path, &wrong).unwrap();
        let verdict = folder.verify();
        assert_eq!(found(&verdict), [], "{wrong}");
        assert_eq!(verdict.counts.as_sealed, verdict.counts.sealed, "{wrong}");
    }
    // Faults are found without it, too.
    fs::remove_file(&path).unwrap();
    for day in 0..DAYS.len() {
        let lines = folder.lines(day);
        for number in (1..lines.len() - 1).filter(|number| what(&lines[*number]) == What::Own) {
            let at = |number: usize| format!("{}:{}", file(day), number + 1);
            let mut removed = lines.clone();
            removed.remove(number);
            folder.write(day, &removed);
            let verdict = folder.verify();
            assert_eq!(verdict.findings.len(), 1, "{:#?}", verdict.findings);
            assert!(
                matches!(verdict.findings[0].kind, Missing | Truncated | Changed),
                "{:#?}",
                verdict.findings
            );
            let mut changed = lines.clone();
            changed[number] = rehashed(&changed[number].replace("\"ok\"", "\"no\""));
            folder.write(day, &changed);
            assert_eq!(found(&folder.verify()), [(Changed, at(number))], "{}", number + 1);
        }
        folder.write(day, &lines);
    }
}

#[test]
fn several_faults_are_told_apart() {
    let folder = Folder::sample(SIZE);
    let mut lines = folder.lines(1);
    let own: Vec<usize> = (0..lines.len()).filter(|number| what(&lines[*number]) == What::Own).collect();
    let (changed, removed, doubled) = (own[5], own[15], own[25]);
    lines[changed] = rehashed(&lines[changed].replace("\"ok\"", "\"no\""));
    lines.insert(doubled, lines[doubled].clone());
    lines.remove(removed);
    folder.write(1, &lines);
    let at = |number: usize| format!("{}:{}", file(1), number + 1);
    let found = found(&folder.verify());
    assert_eq!(found[..2], [(Changed, at(changed)), (Missing, at(removed))]);
    // Either of both that are the same.
    assert!(
        [doubled - 1, doubled].iter().any(|number| found[2..] == [(Duplicated, at(*number))]),
        "{found:?} {doubled}"
    );
}
