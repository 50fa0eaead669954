//! Sealing daily files: what is sealed, what waits, what is declared, and what is said of files that were changed.

mod common;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use audit_evidence::leaf::{self, Line};
use audit_evidence::{Files, Gap, LockError, Log, LogFolder, Outcome, Place, Segments, Trouble};
use audit_log::tree::Hash;
use common::{append, check, line, seal_into, tree_of};
use proptest::prelude::*;
use tempfile::TempDir;

const MONDAY: &str = "tool_audit_2026-11-23.jsonl";
const TUESDAY: &str = "tool_audit_2026-11-24.jsonl";
const WEDNESDAY: &str = "tool_audit_2026-11-25.jsonl";

/// A record with its log in it.
struct Store(TempDir);

impl Store {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn append(&self, file: &str, text: impl AsRef<[u8]>) {
        append(&self.path().join(file), text);
    }

    fn lines(&self, file: &str, tool: &str, numbers: std::ops::Range<u64>) {
        let lines: String = numbers.map(|number| line(tool, number) + "\n").collect();
        self.append(file, lines);
    }

    fn seal(&self) -> Outcome {
        seal_into(&self.path().join("log"), &mut Files::new(self.path())).unwrap()
    }

    fn log(&self) -> Log<LogFolder> {
        Log::new(LogFolder::new(self.path().join("log")))
    }

    fn segments(&self) -> Segments {
        self.log().segments().unwrap()
    }

    /// The leaves, which are as many as the checkpoint has, and stand where the segments say.
    fn leaves(&self) -> Vec<Hash> {
        check(&self.log(), &mut Files::new(self.path()))
    }
}

fn hash(line: &str) -> Hash {
    match leaf::of_line(line.as_bytes()) {
        Line::Leaf(hash) => hash,
        other => panic!("{line}: {other:?}"),
    }
}

fn hashes(tool: &str, numbers: std::ops::Range<u64>) -> Vec<Hash> {
    numbers.map(|number| hash(&line(tool, number))).collect()
}

fn troubles(outcome: &Outcome) -> Vec<String> {
    outcome.troubles.iter().map(ToString::to_string).collect()
}

#[test]
fn events_are_leaves_in_the_order_of_days_and_bytes() {
    let store = Store::new();
    store.lines(TUESDAY, "b", 0..700);
    store.lines(MONDAY, "a", 0..3);
    store.append(WEDNESDAY, "");
    store.append("spool_01a21dfc-da9d-775e-9c12-b8a0e19beb0e_0.jsonl", line("spool", 0) + "\n");
    store.append("notes.jsonl", line("other", 0) + "\n");
    assert_eq!(store.seal().new, 703);
    let leaves = [hashes("a", 0..3), hashes("b", 0..700)].concat();
    assert_eq!(store.leaves(), leaves);
    assert_eq!(
        tree_of(&store.path().join("log")),
        "checkpoint\nlock\nsegments.jsonl\ntile/0/000\ntile/0/001\ntile/0/002.p/191\ntile/1/000.p/2"
    );
    // What comes later is behind what is sealed, of whatever day it is.
    store.lines(WEDNESDAY, "c", 0..2);
    store.lines(MONDAY, "a", 3..5);
    assert_eq!(store.seal().new, 4);
    assert_eq!(store.leaves(), [leaves, hashes("a", 3..5), hashes("c", 0..2)].concat());
    let again = store.seal();
    assert_eq!((again.new, again.troubles.len()), (0, 0));
}

#[test]
fn a_torn_last_line_waits_until_another_follows() {
    let store = Store::new();
    store.lines(MONDAY, "a", 0..1);
    store.append(MONDAY, "{\"ts\":\"2026-11-23T06:3");
    assert_eq!(store.seal().new, 1);
    store.append(MONDAY, "0:00Z\",\"tool\":\"late\"}\n{\"torn");
    let outcome = store.seal();
    assert_eq!((outcome.new, outcome.unreadable), (1, 0));
    // A store that finds a torn line begins a new one.
    store.append(MONDAY, "\n");
    store.lines(MONDAY, "a", 1..2);
    let outcome = store.seal();
    assert_eq!((outcome.new, outcome.unreadable), (1, 1));
    let whole = "{\"ts\":\"2026-11-23T06:30:00Z\",\"tool\":\"late\"}";
    assert_eq!(store.leaves(), [hash(&line("a", 0)), hash(whole), hash(&line("a", 1))]);
    let gaps: Vec<Place> = store
        .segments()
        .iter()
        .filter(|segment| segment.gap == Some(Gap::Unreadable))
        .map(|segment| segment.place.clone())
        .collect();
    let from = (line("a", 0) + "\n" + whole + "\n").len() as u64;
    assert_eq!(gaps, [Place::Lines { file: MONDAY.into(), from, to: from + 7 }]);
}

#[test]
fn what_is_no_event_is_declared_and_hides_no_event() {
    let store = Store::new();
    let long = "x".repeat(leaf::MAX_LINE + (3 << 20));
    let foreign = "\u{feff}{\"tool\": \"foreign\", \"ts\": 1763879400, \"more\": [1, 2]}\r\n";
    store.append(MONDAY, format!("garbage\n\n  \n{foreign}{{}}\n{long}\n\u{0}\n"));
    store.append(MONDAY, b"\xff\xfe\n");
    store.lines(MONDAY, "a", 0..2);
    store.append(MONDAY, &long);
    let outcome = store.seal();
    assert_eq!((outcome.new, outcome.unreadable), (3, 5));
    assert_eq!(store.leaves()[1..], hashes("a", 0..2));
    // The long line is declared once it has ended.
    store.append(MONDAY, "\n");
    assert_eq!(store.seal().unreadable, 1);
    assert_eq!(store.segments().files()[MONDAY].end, fs::metadata(store.path().join(MONDAY)).unwrap().len());
    assert_eq!(store.leaves().len(), 3);
}

#[test]
fn a_sealed_file_that_is_not_what_it_was_is_said_each_time_and_never_sealed_again() {
    let store = Store::new();
    for (file, tool) in [(MONDAY, "a"), (TUESDAY, "b"), (WEDNESDAY, "c")] {
        store.lines(file, tool, 0..10);
    }
    let sealed = store.seal().checkpoint;
    fs::remove_file(store.path().join(MONDAY)).unwrap();
    let path = store.path().join(TUESDAY);
    let length = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(40).unwrap();
    // Another file, which is longer.
    fs::remove_file(store.path().join(WEDNESDAY)).unwrap();
    store.lines(WEDNESDAY, "d", 0..20);
    for _ in 0..2 {
        let outcome = store.seal();
        assert_eq!(
            troubles(&outcome),
            [
                format!("{TUESDAY} has 40 bytes, of which {length} were sealed: it became shorter"),
                format!(
                    "{WEDNESDAY} has another event where its last sealed one was: it was replaced or changed"
                ),
                format!("{MONDAY} was sealed and is gone"),
            ]
        );
        assert!(outcome.troubles.iter().all(Trouble::is_of_sealed));
        assert_eq!((outcome.new, &outcome.checkpoint), (0, &sealed));
    }
    // What others have is sealed all the same.
    store.lines("tool_audit_2026-11-26.jsonl", "e", 0..5);
    let outcome = store.seal();
    assert_eq!((outcome.new, outcome.troubles.len()), (5, 3));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_does_not_hold_up_the_others() {
    let store = Store::new();
    fs::create_dir(store.path().join(MONDAY)).unwrap();
    std::os::unix::fs::symlink("nowhere", store.path().join(WEDNESDAY)).unwrap();
    store.lines(TUESDAY, "b", 0..2);
    let pipe = store.path().join("tool_audit_2026-11-26.jsonl");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let outcome = store.seal();
    assert_eq!((outcome.new, outcome.troubles.len()), (2, 3), "{:?}", outcome.troubles);
    assert!(!outcome.troubles.iter().any(Trouble::is_of_sealed));
}

#[test]
fn the_last_sealed_event_is_found_however_long_it_is() {
    let store = Store::new();
    let long = line(&"t".repeat(100_000), 0);
    store.append(MONDAY, format!("{long}\n"));
    store.seal();
    store.append(MONDAY, "garbage\n\n");
    assert_eq!((store.seal().unreadable, store.leaves()), (1, vec![hash(&long)]));
    store.lines(MONDAY, "a", 0..1);
    let outcome = store.seal();
    assert_eq!((outcome.new, outcome.troubles.len()), (1, 0));
}

#[test]
fn one_sealer_at_a_time_works() {
    let store = Store::new();
    store.lines(MONDAY, "a", 0..10);
    let held = LogFolder::for_sealing(store.path().join("log")).unwrap();
    let refused = LogFolder::for_sealing(store.path().join("log")).unwrap_err();
    assert!(matches!(refused, LockError::Held { holder: Some(_), .. }), "{refused}");
    drop(held);
    assert_eq!(store.seal().new, 10);
}

#[test]
fn writers_go_on_while_their_record_is_sealed() {
    /// How many seals find something while others write.
    const SEALS: u64 = 5;
    /// By how many lines the writers may be ahead of a seal.
    const AHEAD: u64 = 500;
    let store = Store::new();
    let (seals, writing) = (AtomicU64::new(0), AtomicU64::new(3));
    let written: Vec<(&str, u64)> = thread::scope(|scope| {
        let writers = [(MONDAY, "a"), (MONDAY, "b"), (TUESDAY, "c")].map(|(file, tool)| {
            let (path, seals, writing) = (store.path().join(file), &seals, &writing);
            scope.spawn(move || {
                let mut number = 0;
                while seals.load(Ordering::Relaxed) < SEALS && number < SEALS * AHEAD {
                    // Sealing is slower than writing, which would otherwise never end.
                    if number < (seals.load(Ordering::Relaxed) + 1) * AHEAD {
                        append(&path, line(tool, number) + "\n");
                        number += 1;
                    } else {
                        thread::yield_now();
                    }
                }
                writing.fetch_sub(1, Ordering::Relaxed);
                (tool, number)
            })
        });
        while writing.load(Ordering::Relaxed) > 0 {
            let outcome = store.seal();
            assert_eq!((troubles(&outcome), outcome.unreadable), (vec![], 0));
            seals.fetch_add(u64::from(outcome.new > 0), Ordering::Relaxed);
        }
        writers.map(|writer| writer.join().unwrap()).into()
    });
    store.seal();
    let leaves = store.leaves();
    assert_eq!(leaves.len() as u64, written.iter().map(|(_, number)| number).sum::<u64>());
    for (tool, number) in written {
        let all = hashes(tool, 0..number);
        let is_of_all: HashSet<Hash> = all.iter().copied().collect();
        let found: Vec<Hash> = leaves.iter().copied().filter(|leaf| is_of_all.contains(leaf)).collect();
        assert_eq!(found, all, "{tool}");
    }
}

/// What is appended to a file: a part of a line, too.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..100_u64).prop_map(|number| (line("p", number) + "\n").into_bytes()),
        (0..100_u64, 1..50_usize).prop_map(|(number, len)| line("p", number).as_bytes()[..len].to_vec()),
        Just(b"\n".to_vec()),
        Just(b"{\"ts\":\"2026-11-23T06:30:00Z\",\"tool\":\"\xff\"}\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_a_record_grows_each_event_is_sealed_once(
        steps in proptest::collection::vec((0..3_usize, text(), proptest::bool::weighted(0.3)), 1..40)
    ) {
        let store = Store::new();
        let files = [MONDAY, TUESDAY, WEDNESDAY];
        for (file, text, seals) in &steps {
            store.append(files[*file], text);
            if *seals {
                prop_assert!(store.seal().troubles.is_empty());
            }
        }
        files.iter().for_each(|file| store.append(file, "\n"));
        prop_assert!(store.seal().troubles.is_empty());
        let leaves = store.leaves();
        let mut all = Vec::new();
        for file in files {
            let bytes = fs::read(store.path().join(file)).unwrap();
            let lines = bytes.split(|byte| *byte == b'\n').map(leaf::of_line);
            let events: Vec<Hash> =
                lines.filter_map(|line| if let Line::Leaf(hash) = line { Some(hash) } else { None }).collect();
            let ends = store.segments().files()[file].end;
            prop_assert_eq!(ends, bytes.len() as u64);
            all.extend(events);
        }
        let (mut sealed, mut there) = (leaves, all);
        sealed.sort_unstable();
        there.sort_unstable();
        prop_assert_eq!(sealed, there);
    }
}

#[test]
fn another_implementation_reads_the_log() {
    struct Theirs(std::path::PathBuf);

    impl tlog_tiles::TileReader for Theirs {
        fn height(&self) -> u8 {
            8
        }

        fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
            // Their paths begin with the height of tiles, which C2SP leaves out.
            let path = |tile: &tlog_tiles::Tile| self.0.join(tile.path().replacen("tile/8/", "tile/", 1));
            Ok(tiles.iter().map(|tile| fs::read(path(tile)).unwrap()).collect())
        }

        fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
    }

    let store = Store::new();
    for end in [100, 300, 66_000] {
        let from = store.segments().size();
        store.lines(MONDAY, "a", from..end);
        store.seal();
        let bytes = fs::read(store.path().join("log/checkpoint")).unwrap();
        let verifier = signed_note::StandardVerifier::new(&common::key().verifier().to_string()).unwrap();
        let note = signed_note::Note::from_bytes(&bytes).unwrap();
        note.verify(&signed_note::VerifierList::new(vec![Box::new(verifier)])).unwrap();
        let head = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        assert_eq!(head.size(), end);

        let theirs = Theirs(store.path().join("log"));
        let reader = tlog_tiles::TileHashReader::new(end, *head.hash(), &theirs);
        assert_eq!(tlog_tiles::tree_hash(end, &reader).unwrap(), *head.hash());
        for index in [0, end / 2, end - 1] {
            let proof = tlog_tiles::prove_record(end, index, &reader).unwrap();
            let leaf = tlog_tiles::Hash(hash(&line("a", index)).0);
            tlog_tiles::check_record(&proof, end, *head.hash(), index, leaf).unwrap();
        }
    }
}

#[test]
fn a_log_elsewhere_can_be_of_a_record_that_is_only_read() {
    let (store, log) = (Store::new(), tempfile::tempdir().unwrap());
    store.lines(MONDAY, "a", 0..10);
    let changed = || fs::metadata(store.path()).unwrap().modified().unwrap();
    let before = (tree_of(store.path()), changed());
    seal_into(&log.path().join("deep/log"), &mut Files::new(store.path())).unwrap();
    assert_eq!(before, (tree_of(store.path()), changed()));
}
