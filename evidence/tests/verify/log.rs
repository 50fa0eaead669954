//! Logs that were changed: tiles, checkpoints, signatures, and whole states that were put back.

use std::fs;
use std::path::{Path, PathBuf};

use audit_evidence::verify::FindingKind::*;
use audit_evidence::verify::{self, Holds, Options};
use audit_evidence::{Files, Log, LogFolder, seal};
use audit_log::checkpoint::SignedCheckpoint;
use audit_log::cosignature::{Cosigner, Time};
use audit_log::note::SigningKey;

use crate::sample::{Folder, NAME, found, key, own, rehashed, seal_with};

fn tiles(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.join("log/tile")];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files.sort();
    files
}

/// A record whose tree has several tiles and two levels.
fn large() -> Folder {
    let folder = Folder::new();
    folder.write(0, &(0..700).map(|seq| own(0, 1, seq)).collect::<Vec<_>>());
    folder.seal();
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn a_bit_of_a_tile_that_is_flipped_is_found_there_and_nowhere_else() {
    for folder in [Folder::sample(120), large()] {
        let all = tiles(folder.path());
        let is_needed = |path: &PathBuf| {
            // The checkpoint is of all leaves; tiles of earlier ones are of no use any more.
            let verdict_without = {
                let bytes = fs::read(path).unwrap();
                fs::remove_file(path).unwrap();
                let verdict = folder.verify();
                fs::write(path, bytes).unwrap();
                verdict
            };
            !verdict_without.findings.is_empty()
        };
        let needed: Vec<&PathBuf> = all.iter().filter(|path| is_needed(path)).collect();
        assert!(!needed.is_empty());
        for path in needed {
            let bytes = fs::read(path).unwrap();
            let name = path.strip_prefix(folder.path().join("log")).unwrap().display().to_string();
            for place in (0..bytes.len()).step_by(997) {
                let mut flipped = bytes.clone();
                flipped[place] ^= 1 << (place % 8);
                fs::write(path, &flipped).unwrap();
                let verdict = folder.verify();
                assert_eq!(found(&verdict), [(Changed, name.clone())], "{place}: {:#?}", verdict.findings);
                assert_eq!(verdict.counts.as_sealed, verdict.counts.sealed);
            }
            fs::remove_file(path).unwrap();
            assert_eq!(found(&folder.verify()), [(Missing, name.clone())]);
            fs::write(path, b"short").unwrap();
            assert_eq!(folder.verify().findings.len(), 1);
            fs::write(path, bytes).unwrap();
        }
        assert_eq!(found(&folder.verify()), []);
    }
}

#[test]
fn a_tile_and_a_line_that_were_changed_are_two_findings() {
    let folder = large();
    let tile = folder.path().join("log/tile/0/000");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[100] ^= 1;
    fs::write(&tile, bytes).unwrap();
    let mut lines = folder.lines(0);
    lines[200] = rehashed(&lines[200].replace("\"ok\"", "\"no\""));
    folder.write(0, &lines);
    let at = format!("{}:201", crate::sample::file(0));
    assert_eq!(found(&folder.verify()), [(Changed, "tile/0/000".into()), (Changed, at)]);
}

#[test]
fn a_record_and_tiles_that_were_changed_together_contradict_the_checkpoint() {
    let folder = large();
    let signed = fs::read(folder.path().join("log/checkpoint")).unwrap();
    let mut lines = folder.lines(0);
    lines[300] = rehashed(&lines[300].replace("\"ok\"", "\"no\""));
    folder.write(0, &lines);
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    folder.seal();
    // Who has no key can only put the old one back.
    fs::write(folder.path().join("log/checkpoint"), signed).unwrap();
    let verdict = folder.verify();
    assert_eq!(found(&verdict), [(Changed, "checkpoint".into())]);
    assert_eq!(verdict.unaltered.holds, Holds::No);
}

#[test]
fn a_checkpoint_that_another_key_has_signed_is_unsigned() {
    let folder = Folder::sample(120);
    let log = folder.path().join("log");
    let kept = SignedCheckpoint::parse(&fs::read(log.join("checkpoint")).unwrap()).unwrap();
    let other = SigningKey::from_seed(NAME.parse().unwrap(), &[8; 32]);
    fs::remove_dir_all(&log).unwrap();
    seal_with(&log, &mut Files::new(folder.path()), &other);
    let verdict = folder.verify();
    assert_eq!(found(&verdict), [(Unsigned, "checkpoint".into())]);
    // With the wrong key pinned it would be in order, if it were not for the one that was kept.
    let keys = [other.verifier(), key().verifier()];
    let against = [("kept".to_owned(), kept)];
    let verdict = folder.verify_with(&Options { keys: &keys, against: &against, ..Options::default() });
    assert_eq!(found(&verdict), [(Forked, "kept".into())]);
}

#[test]
fn a_signature_of_the_key_that_is_not_one_is_wrong() {
    let folder = Folder::sample(120);
    let path = folder.path().join("log/checkpoint");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.len() - 8;
    let mut wrong = text.clone();
    let other = if wrong.as_bytes()[at] == b'A' { "B" } else { "A" };
    wrong.replace_range(at..=at, other);
    fs::write(&path, wrong).unwrap();
    assert_eq!(found(&folder.verify()), [(WrongSignature, "checkpoint".into())]);
}

#[test]
fn without_a_pinned_key_nothing_is_proved() {
    let folder = Folder::sample(120);
    let verdict = folder.verify_with(&Options::default());
    assert_eq!(found(&verdict), []);
    assert_eq!((verdict.unaltered.holds, verdict.not_removed.holds), (Holds::NotProved, Holds::NotProved));
    assert!(
        verdict.not_checked.iter().any(|text| text.contains("no key is pinned")),
        "{:?}",
        verdict.not_checked
    );
}

#[test]
fn an_older_state_of_record_and_log_is_found_only_with_a_newer_checkpoint() {
    let folder = Folder::sample(120);
    let old = tempfile::tempdir().unwrap();
    copy(folder.path(), old.path());
    let mut lines = folder.lines(2);
    lines.extend((0..9).map(|seq| own(2, 50, seq)));
    folder.write(2, &lines);
    let newer = folder.seal();
    let before = SignedCheckpoint::parse(&fs::read(old.path().join("log/checkpoint")).unwrap()).unwrap();

    let keys = [key().verifier()];
    let check = |against: &[(String, SignedCheckpoint)]| {
        folder.verify_with(&Options { keys: &keys, against, ..Options::default() })
    };
    let (newer, before) = ([("newer".to_owned(), newer)], [("before".to_owned(), before)]);
    for kept in [&newer, &before] {
        let verdict = check(kept);
        assert_eq!(found(&verdict), []);
        assert_eq!(verdict.not_removed.holds, Holds::Yes);
        assert_eq!(
            verdict.not_checked.iter().any(|text| text.contains("its last 9 events")),
            kept == &before
        );
    }
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    copy(old.path(), folder.path());
    let verdict = check(&[]);
    assert_eq!(found(&verdict), []);
    assert_eq!(verdict.not_removed.holds, Holds::NotProved);
    assert!(verdict.not_checked.iter().any(|text| text.contains("older state")), "{:?}", verdict.not_checked);
    let verdict = check(&newer);
    assert_eq!(found(&verdict), [(RolledBack, "newer".into())]);
    assert_eq!(verdict.not_removed.holds, Holds::No);
}

#[test]
fn a_log_that_was_made_anew_is_forked() {
    let folder = large();
    let kept = SignedCheckpoint::parse(&fs::read(folder.path().join("log/checkpoint")).unwrap()).unwrap();
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    let mut lines = folder.lines(0);
    lines[5] = rehashed(&lines[5].replace("\"ok\"", "\"no\""));
    lines.extend((700..720).map(|seq| own(0, 1, seq)));
    folder.write(0, &lines);
    folder.seal();
    let keys = [key().verifier()];
    let against = [("kept".to_owned(), kept)];
    let verdict = folder.verify_with(&Options { keys: &keys, against: &against, ..Options::default() });
    assert_eq!(found(&verdict), [(Forked, "kept".into())]);
    assert_eq!(found(&folder.verify()), []);
}

#[test]
fn witnesses_count_where_their_keys_are_pinned() {
    let folder = Folder::sample(120);
    let path = folder.path().join("log/checkpoint");
    let mut signed = SignedCheckpoint::parse(&fs::read(&path).unwrap()).unwrap();
    let witness = Cosigner::from_seed("witness.example".parse().unwrap(), &[9; 32]);
    let stranger = Cosigner::from_seed("stranger.example".parse().unwrap(), &[10; 32]);
    let keys = [key().verifier()];
    let (one, both) = ([witness.verifier()], [witness.verifier(), stranger.verifier()]);
    signed.add(witness.cosign(Time::new(1_800_000_000).unwrap(), signed.unverified())).unwrap();
    fs::write(&path, signed.to_string()).unwrap();
    let verdict = folder.verify_with(&Options { keys: &keys, witnesses: &one, ..Options::default() });
    assert_eq!(found(&verdict), []);
    assert_eq!(verdict.checkpoint.cosigned_by[0].time, 1_800_000_000);
    assert_eq!(verdict.not_removed.holds, Holds::Yes);
    let verdict = folder.verify_with(&Options { keys: &keys, witnesses: &both, ..Options::default() });
    assert!(
        verdict.not_checked.iter().any(|text| text.contains("stranger.example")),
        "{:?}",
        verdict.not_checked
    );
    // A checkpoint with other leaves has no cosignature of its own.
    fs::remove_dir_all(folder.path().join("log")).unwrap();
    folder.seal();
    let mut again = SignedCheckpoint::parse(&fs::read(&path).unwrap()).unwrap();
    let wrong = witness.cosign(
        Time::new(5).unwrap(),
        &audit_log::checkpoint::Checkpoint::new(NAME.parse().unwrap(), 1, again.unverified().root()).unwrap(),
    );
    again.add(wrong).unwrap();
    fs::write(&path, again.to_string()).unwrap();
    let verdict = folder.verify_with(&Options { keys: &keys, witnesses: &one, ..Options::default() });
    assert_eq!(found(&verdict), [(WrongSignature, "checkpoint".into())]);
}

#[test]
fn days_before_the_first_that_is_asked_for_are_not_read() {
    let folder = Folder::sample(120);
    let mut lines = folder.lines(0);
    lines.remove(3);
    folder.write(0, &lines);
    let keys = [key().verifier()];
    let kept = [("kept".to_owned(), folder.log().checkpoint().unwrap().unwrap())];
    let options = Options { keys: &keys, against: &kept, since: Some("2026-11-24"), ..Options::default() };
    let verdict = folder.verify_with(&options);
    assert_eq!(found(&verdict), []);
    assert!(verdict.counts.not_looked_at > 30 && verdict.unaltered.holds == Holds::NotProved);
    assert_eq!(verdict.not_removed.holds, Holds::NotProved);
    let mut lines = folder.lines(1);
    lines.remove(3);
    folder.write(1, &lines);
    assert_eq!(found(&folder.verify_with(&options)).len(), 1);
}

#[test]
fn what_was_pruned_is_believed_where_a_sealed_event_says_so() {
    use sha2::Digest as _;
    let folder = Folder::sample(120);
    let first_day = folder.lines(0);
    let segments = folder.log().segments().unwrap();
    let declared: String = segments
        .iter()
        .filter(|segment| segment.count > 0)
        .filter(|segment| matches!(&segment.place, audit_evidence::Place::Lines { file, .. } if *file == crate::sample::file(0)))
        .map(|segment| {
            let (index, count) = (segment.index, segment.count);
            format!("{{\"ts\":\"2026-11-27T10:00:00.000000Z\",\"by\":\"ops\",\"size\":130,\"index\":{index},\"count\":{count},\"file\":\"{}\",\"from\":0,\"to\":1,\"archive\":null}}\n", crate::sample::file(0))
        })
        .collect();
    fs::remove_file(folder.file(0)).unwrap();
    assert_eq!(found(&folder.verify()), [(Missing, format!("{}:1", crate::sample::file(0)))]);
    fs::write(folder.path().join("log/pruned.jsonl"), &declared).unwrap();
    assert_eq!(found(&folder.verify()), [(Missing, format!("{}:1", crate::sample::file(0)))]);
    let hash: String = sha2::Sha256::digest(&declared).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut lines = folder.lines(2);
    lines.push(rehashed(
        &own(2, 60, 0)
            .replace("tool-0", "audit")
            .replace("\"call\"", "\"prune\"")
            .replace("28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f", &hash),
    ));
    folder.write(2, &lines);
    // What came later for that day is no other event in the place of one that was pruned.
    fs::write(folder.file(0), format!("{}\n", own(0, 70, 0))).unwrap();
    let verdict = folder.verify();
    assert_eq!(found(&verdict), [(Missing, format!("{}:1", crate::sample::file(0)))]);
    assert!(verdict.findings[0].detail.ends_with("the next seal does"), "{:?}", verdict.findings);
    assert_eq!(verdict.unaltered.holds, Holds::Yes);
    // It is not sealed yet, so anybody may have written it.
    assert_eq!(found(&folder.verify()).len(), 1);
    folder.seal();
    let verdict = folder.verify();
    assert_eq!(found(&verdict), []);
    let events = first_day.iter().filter(|line| line.ends_with('}')).count() as u64;
    assert_eq!(verdict.counts.pruned, events);
    // Whoever can write both may have pruned: so it is said who it was.
    let said = format!("whether {events} events were to be pruned: the log says that it was done by ops,");
    assert!(verdict.not_checked.iter().any(|text| text.starts_with(&said)), "{:?}", verdict.not_checked);
    // What comes later for that day stays unsealed, and is no finding.
    folder.write(0, &[own(0, 70, 0), own(0, 70, 1), own(0, 70, 2)]);
    let verdict = folder.verify();
    assert_eq!((found(&verdict), verdict.counts.unsealed), (vec![], 3));
    // More than was declared.
    let mut lines = folder.lines(1);
    lines.remove(2);
    folder.write(1, &lines);
    assert_eq!(found(&folder.verify()).len(), 1);
}

#[test]
fn another_log_of_the_same_key_is_told_apart() {
    let (folder, keys) = (Folder::sample(50), [key().verifier()]);
    let name = "example.com/other".parse().unwrap();
    let mut log = Log::new(LogFolder::for_sealing(folder.path().join("other")).unwrap());
    seal(&mut log, &mut Files::new(folder.path()), &name, &key()).unwrap();
    let verify = |origin| {
        let options = Options { keys: &keys, origin, ..Options::default() };
        verify::verify(&log, &mut Files::new(folder.path()), &options, &mut |_| {}).unwrap()
    };
    let verdict = verify(None);
    assert_eq!(found(&verdict), [(OtherLog, "checkpoint".into())]);
    assert_eq!(verdict.unaltered.holds, Holds::No);
    assert_eq!(found(&verify(Some(&name))), []);
    assert_eq!(found(&verify(Some(&NAME.parse().unwrap()))), [(OtherLog, "checkpoint".into())]);
}

#[test]
fn a_log_that_was_set_back_to_its_beginning_proves_nothing() {
    let folder = Folder::new();
    folder.seal();
    let verdict = folder.verify();
    assert_eq!((found(&verdict), verdict.not_removed.holds), (vec![], Holds::NotProved));
    assert_eq!(verdict.not_checked.len(), 1, "{:?}", verdict.not_checked);
    let kept = [("kept".to_owned(), folder.log().checkpoint().unwrap().unwrap())];
    let options = Options { keys: &[key().verifier()], against: &kept, ..Options::default() };
    assert_eq!(folder.verify_with(&options).not_removed.holds, Holds::Yes);
}
