//! What goes wrong outside of the component: writers are killed, lines are torn or come from other programs, disks are
//! full, folders are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use audit_fixtures::{
    Writer, acknowledge, assert_balanced, assert_leaf_hash, event, everything, open, read_all, req_ids, start,
};
use audit_host::{Backend, Error, Event, Filter, Options, Order, PageRequest};

const DIR: &str = "TEST_WRITER_DIR";
const NAME: &str = "TEST_WRITER_NAME";
const COUNT: &str = "TEST_WRITER_COUNT";
const BATCH: &str = "TEST_WRITER_BATCH";

/// Begins the line with which a writer process says why it stops.
const ERROR: &str = "ERROR ";

const TS: &str = "2026-11-23T12:00:00Z";

fn named(req_id: impl Into<String>) -> Event {
    Event { req_id: req_id.into(), ts: TS.into(), ..event(0) }
}

/// The daily file of [`TS`].
fn daily_file(folder: &Path) -> PathBuf {
    folder.join("tool_audit_2026-11-23.jsonl")
}

/// This is no test: the tests run it as a process of its own. It writes batches, and acknowledges each one that the
/// store has accepted.
#[test]
fn writer_process() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let number = |name: &str| std::env::var(name).expect(name).parse::<usize>().expect(name);
    let (name, count, batch) = (std::env::var(NAME).expect(NAME), number(COUNT), number(BATCH));
    let mut store = open(Backend::Jsonl, Path::new(&dir));
    let mut done = 0;
    while done < count {
        let events: Vec<_> = (done..count.min(done + batch)).map(|n| named(format!("{name}-{n}"))).collect();
        match store.write_batch(&events) {
            Ok(_) => done += events.len(),
            Err(error) => return println!("{ERROR}{error}"),
        }
        acknowledge(done as u64);
    }
}

/// The command of a process that writes `count` events.
fn writer(dir: &Path, name: &str, count: usize, batch: usize) -> Command {
    let mut command = Writer::command("writer_process");
    command.env(DIR, dir).env(NAME, name).env(COUNT, count.to_string()).env(BATCH, batch.to_string());
    command
}

#[test]
fn two_processes_that_append_to_one_file_lose_and_mix_no_line() {
    append_together([1, 7]);
    append_together([90, 1_000]);
}

fn append_together(batches: [usize; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let start = |batch| Writer::spawn(&mut writer(folder.path(), &format!("w{batch}"), 10_000, batch));
    for writer in batches.map(start) {
        let (acknowledged, others) = writer.end();
        assert_eq!(acknowledged, 10_000, "{others:?}");
    }
    let (entries, skipped) = everything(&mut open(Backend::Jsonl, folder.path()));
    assert_eq!((entries.len(), skipped), (20_000, 0));
    let mut chains: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for entry in &entries {
        chains.entry(&entry.chain).or_default().push((entry.seq, entry.event.req_id.as_str()));
    }
    assert_eq!(chains.len(), 2);
    for mut chain in chains.into_values() {
        chain.sort_unstable();
        let (name, _) = chain[0].1.split_once('-').unwrap();
        for (n, (seq, req_id)) in chain.iter().enumerate() {
            assert_eq!((*seq, *req_id), (n as u64, format!("{name}-{n}").as_str()));
        }
    }
    let file = fs::read_to_string(daily_file(folder.path())).unwrap();
    for line in file.lines().filter(|line| !line.is_empty()) {
        assert_leaf_hash(line);
    }
}

#[test]
fn what_was_acknowledged_before_a_kill_is_stored_once_and_the_file_can_be_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = BTreeSet::new();
    let mut survivors = 0;
    for round in 0..40_u64 {
        let batch = [1, 3, 40][round as usize % 3];
        let name = format!("r{round}");
        let writer = Writer::spawn(&mut writer(folder.path(), &name, 100_000, batch));
        // Every other round kills the process while it writes, however long its start takes. The others may kill it while
        // it starts.
        writer.wait_for(round % 2);
        std::thread::sleep(Duration::from_micros(round * 1_700));
        let count = writer.kill();
        expected.extend((0..count).map(|n| format!("{name}-{n}")));
        survivors += usize::from(count > 0);

        let mut store = open(Backend::Jsonl, folder.path());
        let after = format!("after-{round}");
        store.write_batch(&[named(&after)]).unwrap();
        expected.insert(after);
    }
    assert!(survivors > 10, "only {survivors} writers were killed in the middle of writing");
    let (entries, skipped) = everything(&mut open(Backend::Jsonl, folder.path()));
    let found = req_ids(&entries);
    let unique: BTreeSet<String> = found.iter().map(|id| id.to_string()).collect();
    assert_eq!(unique.len(), found.len(), "an event is stored twice");
    assert!(expected.is_subset(&unique), "lost: {:?}", expected.difference(&unique).next());
    assert!(skipped <= 40, "{skipped} torn lines");
}

#[test]
fn a_file_size_limit_keeps_the_first_events_of_a_batch_and_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let inner = writer(folder.path(), "full", 100_000, 40);
    // The limit is in blocks of 1024 bytes. A process that ignores the signal gets EFBIG.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\""]);
    limited.arg(inner.get_program()).args(inner.get_args());
    limited.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (count, others) = Writer::spawn(&mut limited).end();
    let error = others.iter().find_map(|line| line.split_once(ERROR)).expect("the limit is reached").1;
    let file = daily_file(folder.path());
    assert!(error.contains(&file.display().to_string()) && error.contains("limit on file sizes"), "{error}");
    let mut store = open(Backend::Jsonl, folder.path());
    let (entries, skipped) = everything(&mut store);
    let stored = error
        .split("the first ")
        .nth(1)
        .map_or(0, |text| text.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(1));
    assert_eq!(entries.len() as u64, count + stored, "{error}");
    assert!(skipped <= 1);
    store.write_batch(&[named("after")]).unwrap();
    assert_eq!(everything(&mut store).0.len() as u64, count + stored + 1);
}

fn is_access(error: &Error, path: &Path) -> bool {
    matches!(error, Error::Access(text) if text.contains(&path.display().to_string()))
}

/// Checks that a store cannot write, and whether it can read. `write` only counts the event as lost. The other calls
/// return an access error with the path.
fn assert_refuses(options: &Options, path: &Path, reads: bool) {
    let mut store = start(options);
    store.write(&named("a")).unwrap();
    let error = store.write_batch(&[named("b"), named("c")]).unwrap_err();
    assert!(is_access(&error, path), "{error}");
    let read = store.read(&Filter::default(), &PageRequest::default());
    assert!(if reads { read.is_ok() } else { is_access(&read.unwrap_err(), path) });
    let counts = store.status().unwrap().counts;
    assert_eq!((counts.dropped.unwritable, counts.rejected, counts.stored), (1, 2, 0));
    assert!(store.status().unwrap().last_error.is_some());
    assert_balanced(&counts);
}

#[test]
fn a_folder_that_does_not_exist_is_created() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a/b/c");
    open(Backend::Jsonl, &dir).write_batch(&[named("a")]).unwrap();
    assert!(daily_file(&dir).is_file());
}

#[test]
fn a_folder_that_is_missing_read_only_or_a_file_is_an_access_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let quiet = || Options::new().warnings(|_| ());
    assert_refuses(&quiet().dir(&file), &file, false);
    assert_refuses(&quiet().dir(folder.path()).read_only(true), folder.path(), true);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let missing = folder.path().join("missing");
    assert_refuses(&quiet().dir(&missing).read_only(true), &missing, false);
    assert!(!missing.exists());
}

#[test]
fn each_reason_for_a_warning_is_given_once_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let (sink, lines) = std::sync::mpsc::channel();
    let options = Options::new().dir(folder.path()).read_only(true);
    let mut store = start(&options.warnings(move |line| sink.send(line.to_string()).unwrap()));
    for _ in 0..5 {
        store.write(&named("a")).unwrap();
        store.write(&Event { ts: "never".into(), ..Event::default() }).unwrap();
    }
    let lines: Vec<_> = lines.try_iter().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains("cannot append to") && lines[1].contains("ts: it is no timestamp"),
        "{lines:?}"
    );
}

#[test]
fn lines_of_other_programs_are_read_and_garbage_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("tool_audit_2026-11-21.jsonl", b"");
    write("tool_audit_2026-11-22.jsonl", b"not json\n{\"ts\":\"2026-11-22T10:00:00Z\",\"req_id\":\"torn");
    write(
        "tool_audit_2026-11-23.jsonl",
        concat!(
            "{\"ts\": \"2026-11-23T10:00:00+00:00\", \"req_id\": \"python\", \"workspace_id\": null, ",
            "\"user_id\": \"u\", \"agent_id\": \"a\", \"tool\": \"caf\\u00e9\", \"action\": \"\", \"status\": ",
            "\"ok\", \"duration_ms\": 5, \"input_chars\": 6, \"output_size_bytes\": 7, \"input_hash\": \"\", ",
            "\"graph_run_id\": null, \"graph_node\": null, \"job_id\": null}\r\n",
            "  {\"extra\":[{}],\"req_id\":\"other order\",\"ts\":\"2026-11-22T23:59:59-01:00\"}\n\n",
            "{\"req_id\":\"no ts\"}\n[]\n",
            "{\"ts\":\"2026-11-23T09:00:00Z\",\"req_id\":\"no newline\"}",
        )
        .as_bytes(),
    );
    write("tool_audit_2026-11-23.jsonl.bak", b"{\"ts\":\"2026-11-23T10:00:00Z\"}\n");
    write("spool.jsonl", b"{\"ts\":\"2026-11-23T10:00:00Z\"}\n");
    fs::create_dir(folder.path().join("tool_audit_2026-11-24.jsonl")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("tool_audit_2026-11-25.jsonl")).unwrap();

    let mut store = start(&Options::new().dir(folder.path()).warnings(|_| ()));
    let (entries, skipped) = everything(&mut store);
    assert_eq!(req_ids(&entries), ["other order", "no newline", "python"]);
    assert_eq!(skipped, if cfg!(unix) { 6 } else { 5 });
    let python = &entries[2];
    assert_eq!(
        (python.event.ts.as_str(), python.event.tool.as_str()),
        ("2026-11-23T10:00:00.000000Z", "café")
    );
    assert_eq!((python.event.in_size, python.event.out_size, python.id.as_str()), (6, 7, ""));
    let only = Filter { tool: Some("café".into()), ..Filter::default() };
    assert_eq!(req_ids(&read_all(&mut store, &only, Order::NewestFirst, 1).0), ["python"]);

    store.write_batch(&[named("ours")]).unwrap();
    for refused in ["2026-11-24T12:00:00Z", "2026-11-25T12:00:00Z"] {
        let error = store.write_batch(&[Event { ts: refused.into(), ..Event::default() }]).unwrap_err();
        assert!(is_access(&error, folder.path()), "{error}");
    }
    assert_eq!(req_ids(&everything(&mut store).0), ["other order", "no newline", "python", "ours"]);
    let lines = store.read_jsonl(&only, &PageRequest::default()).unwrap().lines;
    assert!(
        lines.starts_with("{\"ts\":\"2026-11-23T10:00:00.000000Z\",\"req_id\":\"python\"")
            && !lines.contains("\"id\"")
    );
}

#[test]
fn a_torn_line_of_another_process_costs_that_line_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(Backend::Jsonl, folder.path());
    for round in 0..3 {
        store.write_batch(&[named(format!("{round}"))]).unwrap();
        let path = daily_file(folder.path());
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"{\"ts\":\"2026-11-23T12:00:00.0").unwrap();
    }
    let (entries, skipped) = everything(&mut store);
    assert_eq!((req_ids(&entries), skipped), (vec!["0", "1", "2"], 3));
}

#[test]
fn cursors_give_each_entry_from_before_the_first_page_once_while_others_write() {
    for kind in [Backend::Memory, Backend::Jsonl] {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let folder = tempfile::tempdir().unwrap();
            let mut store = open(kind, folder.path());
            let at = |n: u32| format!("2026-11-{:02}T12:00:00Z", 10 + n % 7);
            for n in 0..100 {
                store.write(&Event { req_id: format!("before-{n}"), ts: at(n), ..Event::default() }).unwrap();
            }
            let mut request = PageRequest { order, limit: 9, cursor: None };
            let mut found = Vec::new();
            let mut n = 0;
            loop {
                let page = store.read(&Filter::default(), &request).unwrap();
                found.extend(page.entries.into_iter().map(|entry| entry.event.req_id));
                for _ in 0..5 {
                    n += 1;
                    store
                        .write(&Event { req_id: format!("while-{n}"), ts: at(n), ..Event::default() })
                        .unwrap();
                }
                request.cursor = page.next;
                if request.cursor.is_none() || n > 2_000 {
                    break;
                }
            }
            let mut before: Vec<_> = found.iter().filter(|id| id.starts_with("before")).collect();
            before.sort();
            before.dedup();
            assert_eq!(before.len(), 100);
            let all = found.len();
            found.sort();
            found.dedup();
            assert_eq!(found.len(), all, "an entry was read twice");
        }
    }
}
