//! Retention: what goes, what stays, and that no event is lost wherever a prune ends.

mod common;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use audit_evidence::events::{FindRow, parse};
use audit_evidence::hold::{Change, HeldFilter, HoldChange};
use audit_evidence::prove::{self, ProveError, Which};
use audit_evidence::prune::{Outcome, Policy, Prunable, PruneRows, Step, Trail, Why, prune};
use audit_evidence::verify::{Options, check_archives, verify};
use audit_evidence::{Error, Files, Folder, Log, RowPage, Rows, Table, archive, leaf, pruned, seal};
use audit_format::event::Event;
use audit_format::line::put_event;
use audit_format::names;
use audit_format::time::{Day, Timestamp};
use audit_log::tree::{Hash, Node, NodeReader as _};
use common::memory::{After, Fault, Memory};
use common::{MemoryTable, append, key, origin, own_line};
use proptest::prelude::*;
use tempfile::TempDir;

const MONDAY: &str = "tool_audit_2026-11-23.jsonl";
const TUESDAY: &str = "tool_audit_2026-11-24.jsonl";
const TODAY: &str = "tool_audit_2026-11-25.jsonl";
const NOW: &str = "2026-11-25T12:00:00.000000Z";

/// A record of one of both kinds, which copies share.
trait Site {
    type Record: Prunable;
    fn record(&self) -> Self::Record;
    fn add(&self, day: &str, line: &str);
    /// All events that are there.
    fn events(&self) -> Vec<Vec<u8>>;
    fn trail(&self) -> Box<dyn Trail>;
}

struct Folders(TempDir);

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<MemoryTable>>);

fn event_line(event: &Event<'_>) -> String {
    let (mut out, ts) = (Vec::new(), NOW.into());
    put_event(&Event { ts, ..event.clone() }, &mut out);
    String::from_utf8(out).unwrap()
}

struct Trails<F>(F);

impl<F: FnMut(String)> Trail for Trails<F> {
    fn record(&mut self, event: &Event<'_>) -> Result<(), String> {
        (self.0)(event_line(event));
        Ok(())
    }
}

impl Site for Folders {
    type Record = Files;

    fn record(&self) -> Files {
        Files::new(self.0.path())
    }

    fn add(&self, day: &str, line: &str) {
        append(&self.0.path().join(format!("tool_audit_{day}.jsonl")), format!("{line}\n"));
    }

    fn events(&self) -> Vec<Vec<u8>> {
        let mut names: Vec<PathBuf> =
            fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
        names.sort();
        let text: Vec<u8> = names.iter().flat_map(|path| fs::read(path).unwrap()).collect();
        text.split(|byte| *byte == b'\n').filter_map(leaf::body_of_line).collect()
    }

    fn trail(&self) -> Box<dyn Trail> {
        let path = self.0.path().join(TODAY);
        Box::new(Trails(move |line| append(&path, line + "\n")))
    }
}

impl Rows for Shared {
    fn rows(&mut self, ranges: &[[i64; 2]], most: u32) -> Result<RowPage, String> {
        self.0.borrow_mut().rows(ranges, most)
    }
}

impl FindRow for Shared {
    fn find(&mut self, event_id: uuid::Uuid) -> Result<Option<i64>, String> {
        self.0.borrow_mut().find(event_id)
    }
}

impl PruneRows for Shared {
    fn older(&mut self, before: Timestamp, after: i64, most: u32) -> Result<Vec<i64>, String> {
        let table = self.0.borrow();
        let rows = table.0.iter().filter(|(id, _)| **id > after);
        let is_older = |line: &String| {
            leaf::body_of_row(line)
                .and_then(|body| audit_evidence::events::time(&body))
                .is_some_and(|at| at < before)
        };
        Ok(rows.filter(|(_, line)| is_older(line)).map(|(id, _)| *id).take(most as usize).collect())
    }

    fn may_delete(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn delete(&mut self, ranges: &[[i64; 2]]) -> Result<(), String> {
        self.0
            .borrow_mut()
            .0
            .retain(|id, _| !ranges.iter().any(|[first, last]| (first..=last).contains(&id)));
        Ok(())
    }
}

impl Site for Shared {
    type Record = Table<Self>;

    fn record(&self) -> Table<Self> {
        Table::new(self.clone())
    }

    fn add(&self, _: &str, line: &str) {
        let mut table = self.0.borrow_mut();
        let id = table.0.last_key_value().map_or(1, |(id, _)| id + 1);
        table.0.insert(id, line.to_owned());
    }

    fn events(&self) -> Vec<Vec<u8>> {
        self.0.borrow().0.values().filter_map(|line| leaf::body_of_row(line)).collect()
    }

    fn trail(&self) -> Box<dyn Trail> {
        let table = self.clone();
        Box::new(Trails(move |line: String| table.add("", &line)))
    }
}

/// Three days, sealed together and one after the other.
fn fill(site: &impl Site, disk: &Memory) {
    for number in 0..6 {
        site.add("2026-11-23", &own_line("2026-11-23", number));
        site.add("2026-11-24", &own_line("2026-11-24", 100 + number));
        if number == 3 {
            seal_all(site, disk).unwrap();
        }
    }
    site.add("2026-11-25", &own_line("2026-11-25", 200));
    seal_all(site, disk).unwrap();
}

fn seal_all(site: &impl Site, disk: &Memory) -> Result<Vec<String>, Error> {
    let outcome = seal(&mut Log::new(disk.clone()), &mut site.record(), &origin(), &key())?;
    Ok(outcome.troubles.iter().map(ToString::to_string).collect())
}

fn policy(before: &str, archive: Option<&Path>) -> Policy {
    Policy {
        before: Day::parse(before).unwrap(),
        now: Timestamp::parse(NOW).unwrap(),
        by: "ops".into(),
        archive: archive.map(Path::to_owned),
        dry_run: false,
    }
}

fn prune_all(site: &impl Site, disk: &Memory, policy: &Policy) -> Result<Outcome, Error> {
    prune(&mut Log::new(disk.clone()), &mut site.record(), &mut *site.trail(), policy, &mut |_| Ok(()))
}

fn archived(folder: &Path) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for (_, path) in archive::of_folder(folder).unwrap() {
        let mut text = Vec::new();
        archive::open(&path).unwrap().read_to_end(&mut text).unwrap();
        bodies.extend(text.split(|byte| *byte == b'\n').filter_map(leaf::body_of_line));
    }
    bodies
}

/// Checks that each leaf of the log is an event that is there, or is declared pruned and confirmed by a sealed event.
fn is_explained(site: &impl Site, disk: &Memory, what: &str) {
    let log = Log::new(disk.clone());
    let head = log.checkpoint().unwrap().unwrap();
    let size = head.unverified().size();
    let mut tree = log.tree(size);
    let leaves: Vec<Hash> = (0..size).map(|index| tree.node(Node { level: 0, index }).unwrap()).collect();
    let sealed: HashSet<Hash> = leaves.iter().copied().collect();
    let bodies = site.events();
    let there: HashSet<Hash> = bodies.iter().map(|body| Hash::of_leaf(body)).collect();
    let confirming = bodies.iter().filter(|body| sealed.contains(&Hash::of_leaf(body)));
    let hashes =
        confirming.filter_map(|body| pruned::confirms(&parse(body)?.event).map(str::to_owned)).collect();
    let confirmed = log.pruned().unwrap().confirmed_by(&hashes);
    for (index, leaf) in (0..).zip(&leaves) {
        let gone = confirmed.of_leaf(index).is_some();
        assert!(there.contains(leaf) || gone, "{what}: leaf {index} is neither there nor declared");
    }
}

fn days(outcome: &Outcome) -> Vec<(String, u64)> {
    outcome.parts.iter().map(|(part, _)| (part.day.to_string(), part.events())).collect()
}

fn old_days_go(site: &impl Site) {
    let (disk, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    fill(site, &disk);
    let all = site.events();
    let policy = policy("2026-11-25", Some(folder.path()));
    let dry = prune_all(site, &disk, &Policy { dry_run: true, ..policy.clone() }).unwrap();
    let expected = [("2026-11-23".to_owned(), 6), ("2026-11-24".to_owned(), 6)];
    assert_eq!((days(&dry), site.events()), (expected.to_vec(), all.clone()));
    let outcome = prune_all(site, &disk, &policy).unwrap();
    assert_eq!((days(&outcome), outcome.stays), (expected.to_vec(), vec![]));
    assert_eq!(seal_all(site, &disk).unwrap(), [] as [&str; 0]);
    is_explained(site, &disk, "once");
    // What went is in the archives, the rest is there, and two events say so.
    let mut kept = [archived(folder.path()), site.events()].concat();
    kept.retain(|body| parse(body).unwrap().event.tool != "audit");
    let (kept, all): (HashSet<_>, HashSet<_>) = (kept.into_iter().collect(), all.into_iter().collect());
    assert_eq!(kept, all);
    assert_eq!(site.events().len(), 3);
    let again = prune_all(site, &disk, &policy).unwrap();
    assert_eq!(again, Outcome::default());
    // Events of these days that come later are sealed, and go the next time, beside the first archive.
    site.add("2026-11-23", &own_line("2026-11-23", 7));
    assert_eq!(seal_all(site, &disk).unwrap(), [] as [&str; 0]);
    is_explained(site, &disk, "late");
    let outcome = prune_all(site, &disk, &policy).unwrap();
    assert_eq!(days(&outcome), [("2026-11-23".to_owned(), 1)]);
    assert_eq!(seal_all(site, &disk).unwrap(), [] as [&str; 0]);
    is_explained(site, &disk, "late and pruned");
    assert_eq!(archived(folder.path()).len(), 13);
    // An event that was pruned cannot be proved, and that is said.
    let log = Log::new(disk.clone());
    let error = prove::event(&log, &mut site.record(), Which::Index(0)).unwrap_err();
    assert!(
        matches!(&error, ProveError::Pruned { index: 0, .. }) && error.to_string().contains(".zst"),
        "{error}"
    );
}

#[test]
fn old_files_go_into_archives_and_the_rest_still_verifies() {
    old_days_go(&Folders(tempfile::tempdir().unwrap()));
}

#[test]
fn old_rows_go_into_archives_and_the_rest_still_verifies() {
    old_days_go(&Shared::default());
}

#[test]
fn an_archive_that_was_changed_is_found_and_one_that_is_not_there_is_said() {
    let (site, disk, folder) =
        (Folders(tempfile::tempdir().unwrap()), Memory::default(), tempfile::tempdir().unwrap());
    fill(&site, &disk);
    prune_all(&site, &disk, &policy("2026-11-25", Some(folder.path()))).unwrap();
    seal_all(&site, &disk).unwrap();
    let check = || {
        let log = Log::new(disk.clone());
        let options = Options { keys: &[key().verifier()], ..Options::default() };
        let mut verdict = verify(&log, &mut site.record(), &options, &mut |_| {}).unwrap();
        // The numbers of these lines have gaps.
        let before = (verdict.findings.len(), verdict.not_checked.len());
        check_archives(&log, folder.path(), &mut verdict).unwrap();
        let found = verdict.findings.split_off(before.0).iter().map(ToString::to_string).collect::<Vec<_>>();
        (found, verdict.not_checked.split_off(before.1))
    };
    assert_eq!(check(), (vec![], vec![]));
    let day = |day| Day::parse(day).unwrap();
    let [monday, tuesday] =
        ["2026-11-23", "2026-11-24"].map(|name| folder.path().join(archive::name(day(name), None)));
    let mut text = String::new();
    archive::open(&monday).unwrap().read_to_string(&mut text).unwrap();
    let pack = |text: &str| fs::write(&monday, zstd::encode_all(text.as_bytes(), 3).unwrap()).unwrap();
    pack(&text.replace("\"seq\":2", "\"seq\":9"));
    fs::remove_file(&tuesday).unwrap();
    let (found, not_checked) = check();
    let name = "tool_audit_2026-11-23.jsonl.zst";
    assert_eq!(found, [format!("{name}: changed (leaf 2): it has another event there than was sealed")]);
    assert!(not_checked[0].starts_with("tool_audit_2026-11-24.jsonl.zst: it is not in "), "{not_checked:?}");
    pack(text.split_once('\n').unwrap().1);
    assert!(check().0[0].contains("(leaf 0): it has another event"));
    pack(&text[..text.trim_end().rfind('\n').unwrap() + 1]);
    assert!(check().0[0].contains("it ends before this event"), "{:?}", check());
    pack(&(text.clone() + &own_line("2026-11-23", 90) + "\n"));
    assert!(check().0[0].contains("it has more events than were pruned"));
    fs::write(&monday, "no archive").unwrap();
    assert!(check().1[0].contains("it cannot be read"));
}

/// Ends a prune before each of its changes in turn, and at each call of the log's folder.
fn a_prune_may_end_anywhere<S: Site>(new: impl Fn() -> S) {
    let mut ends = 0;
    let mut run = |what: &str, step: Option<usize>, fault: Option<(usize, Fault, After)>| {
        let (site, disk, folder) = (new(), Memory::default(), tempfile::tempdir().unwrap());
        fill(&site, &disk);
        let all: HashSet<Vec<u8>> = site.events().into_iter().collect();
        let policy = policy("2026-11-25", Some(folder.path()));
        let mut steps = 0;
        let mut on_step = |_: &Step| {
            steps += 1;
            if Some(steps) == step { Err(Error::Database("the process has ended".into())) } else { Ok(()) }
        };
        if let Some((call, fault, _)) = fault {
            disk.fail_at(call, fault);
        }
        let mut log = Log::new(disk.clone());
        let ended = prune(&mut log, &mut site.record(), &mut *site.trail(), &policy, &mut on_step).is_err();
        if let Some((.., after)) = fault {
            disk.go_on(after);
        }
        let check = |what: &str| {
            let kept: HashSet<_> = [archived(folder.path()), site.events()].concat().into_iter().collect();
            assert!(all.is_subset(&kept), "{what}: an event is lost");
        };
        check(what);
        // A seal comes first, or the next prune.
        if ends % 2 == 0 {
            assert_eq!(seal_all(&site, &disk).unwrap(), [] as [&str; 0], "{what}");
            is_explained(&site, &disk, what);
        }
        let outcome = prune_all(&site, &disk, &policy).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(outcome.stays, [], "{what}");
        check(what);
        assert_eq!(seal_all(&site, &disk).unwrap(), [] as [&str; 0], "{what}");
        is_explained(&site, &disk, what);
        let rest = site.events().iter().filter(|body| parse(body).unwrap().event.tool != "audit").count();
        assert_eq!(rest, 1, "{what}: all that is old is gone in the end");
        ends += 1;
        ended
    };
    for step in 1.. {
        if !run(&format!("step {step}"), Some(step), None) {
            assert!(step > 8, "a prune makes more than {step} changes");
            break;
        }
    }
    for (fault, after) in
        [(Fault::Fails, After::Process), (Fault::Ends, After::Process), (Fault::Ends, After::PowerCut)]
    {
        for call in 0.. {
            if !run(&format!("{fault:?} at call {call}, {after:?}"), None, Some((call, fault, after))) {
                break;
            }
        }
    }
}

#[test]
fn a_prune_of_files_may_end_anywhere() {
    a_prune_may_end_anywhere(|| Folders(tempfile::tempdir().unwrap()));
}

#[test]
fn a_prune_of_rows_may_end_anywhere() {
    a_prune_may_end_anywhere(Shared::default);
}

fn hold(disk: &Memory, id: &str, workspace: &str) {
    let mut log = Log::new(disk.clone());
    let mut holds = log.holds().unwrap();
    let fields = BTreeMap::from([("workspace_id".into(), workspace.into())]);
    let filter = Some(HeldFilter { fields, ..HeldFilter::default() });
    let (ts, by, reason) = (NOW.into(), "counsel".into(), "inquiry".into());
    holds.apply(HoldChange { ts, by, change: Change::Add, id: id.into(), reason, filter }).unwrap();
    log.put_holds(&holds).unwrap();
}

#[test]
fn a_file_with_a_held_event_stays_whole() {
    let (site, disk) = (Folders(tempfile::tempdir().unwrap()), Memory::default());
    fill(&site, &disk);
    site.add("2026-11-22", &own_line("2026-11-22", 300));
    seal_all(&site, &disk).unwrap();
    // Numbers that are divisible by three have it, as 300 has; Tuesday's begin with 100.
    hold(&disk, "case-7", "w1");
    let outcome = prune_all(&site, &disk, &policy("2026-11-25", None)).unwrap();
    assert_eq!(days(&outcome), [("2026-11-22".to_owned(), 1)]);
    let held = Why::Held { hold: "case-7".into(), reason: "inquiry".into() };
    assert_eq!(
        outcome.stays.iter().map(|stays| (stays.what.as_str(), &stays.why)).collect::<Vec<_>>(),
        [(MONDAY, &held), (TUESDAY, &held)]
    );
    assert!(outcome.stays[0].to_string().contains("case-7 holds events of it (inquiry)"));
    seal_all(&site, &disk).unwrap();
    is_explained(&site, &disk, "held");
}

#[test]
fn the_index_of_a_day_goes_with_its_file() {
    let (site, disk) = (Folders(tempfile::tempdir().unwrap()), Memory::default());
    fill(&site, &disk);
    let index = |day| site.0.path().join(names::index(Day::parse(day).unwrap()));
    let days = ["2026-11-23", "2026-11-24", "2026-11-25"];
    days.iter().for_each(|day| fs::write(index(day), "a cache").unwrap());
    prune_all(&site, &disk, &policy("2026-11-24", None)).unwrap();
    assert_eq!(days.map(|day| index(day).exists()), [false, true, true]);
    assert!(!site.0.path().join(MONDAY).exists());
}

#[test]
fn held_rows_stay_and_the_others_of_their_day_go() {
    let (site, disk) = (Shared::default(), Memory::default());
    fill(&site, &disk);
    hold(&disk, "case-7", "w1");
    let outcome = prune_all(&site, &disk, &policy("2026-11-25", None)).unwrap();
    assert_eq!(days(&outcome), [("2026-11-23".to_owned(), 4), ("2026-11-24".to_owned(), 4)]);
    assert_eq!(outcome.stays[0].what, "4 rows");
    let left = site.events();
    let workspace = |body: &Vec<u8>| parse(body).unwrap().event.workspace_id.into_owned();
    assert_eq!(left.iter().filter(|body| workspace(body) == "w1").count(), 4);
    assert_eq!(seal_all(&site, &disk).unwrap(), [] as [&str; 0]);
    is_explained(&site, &disk, "held");
}

#[test]
fn what_is_not_sealed_or_not_what_was_sealed_stays() {
    let (site, disk) = (Folders(tempfile::tempdir().unwrap()), Memory::default());
    assert!(matches!(prune_all(&site, &disk, &policy("2026-11-25", None)), Err(Error::NothingSealed)));
    fill(&site, &disk);
    site.add("2026-11-23", &own_line("2026-11-23", 50));
    let path = site.0.path().join(TUESDAY);
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"seq\":103", "\"seq\":104")).unwrap();
    site.add("2026-11-20", &own_line("2026-11-20", 51));
    let before = common::tree_of(site.0.path());
    let outcome = prune_all(&site, &disk, &policy("2027-01-01", None)).unwrap();
    assert_eq!(days(&outcome), []);
    let why: Vec<(&str, &Why)> =
        outcome.stays.iter().map(|stays| (stays.what.as_str(), &stays.why)).collect();
    let unsealed = "tool_audit_2026-11-20.jsonl";
    assert_eq!(why, [(unsealed, &Why::Unsealed), (MONDAY, &Why::Unsealed), (TUESDAY, &Why::Changed)]);
    assert_eq!(common::tree_of(site.0.path()), before);
}

#[test]
fn today_stays_whatever_is_asked_for() {
    let (site, disk) = (Folders(tempfile::tempdir().unwrap()), Memory::default());
    fill(&site, &disk);
    let outcome = prune_all(&site, &disk, &policy("2027-01-01", None)).unwrap();
    assert_eq!(days(&outcome).len(), 2);
    assert!(site.0.path().join(TODAY).exists());
}

#[test]
fn events_that_come_while_a_file_goes_are_kept() {
    let (site, disk) = (Folders(tempfile::tempdir().unwrap()), Memory::default());
    fill(&site, &disk);
    let path = site.0.path().join(MONDAY);
    // A writer that has the file open, and looks before each append whether it still has its name.
    let mut late = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut is_done = false;
    let mut step = |step: &Step| {
        if matches!(step, Step::Remove(_)) && !is_done {
            is_done = true;
            std::io::Write::write_all(&mut late, format!("{}\n", own_line("2026-11-23", 77)).as_bytes())
                .unwrap();
        }
        Ok(())
    };
    let policy = policy("2026-11-24", None);
    prune(&mut Log::new(disk.clone()), &mut site.record(), &mut *site.trail(), &policy, &mut step).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), own_line("2026-11-23", 77) + "\n");
    assert_eq!(seal_all(&site, &disk).unwrap(), [] as [&str; 0]);
    is_explained(&site, &disk, "late");
}

#[test]
fn an_archive_of_something_else_is_not_overwritten() {
    let (site, disk, folder) =
        (Folders(tempfile::tempdir().unwrap()), Memory::default(), tempfile::tempdir().unwrap());
    fill(&site, &disk);
    let other = Folders(tempfile::tempdir().unwrap());
    other.add("2026-11-23", &own_line("2026-11-23", 99));
    let disk_of_other = Memory::default();
    seal_all(&other, &disk_of_other).unwrap();
    let policy = policy("2026-11-24", Some(folder.path()));
    prune_all(&other, &disk_of_other, &policy).unwrap();
    let before = site.events();
    assert!(matches!(prune_all(&site, &disk, &policy), Err(Error::OtherArchive { .. })));
    assert_eq!(site.events(), before);
    assert_eq!(archived(folder.path()).len(), 1);
    assert!(Folder::read(&disk, "pruned.jsonl").unwrap().is_none());
}

/// What happens to a record.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// An event of a day comes.
    Add(u32),
    Seal,
    /// All before a day goes, or what comes first of that: the prune ends at a step.
    Prune(u32, usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (20..26_u32).prop_map(Act::Add),
        2 => Just(Act::Seal),
        2 => (21..27_u32, prop_oneof![Just(usize::MAX), 1..12_usize]).prop_map(|(day, step)| Act::Prune(day, step)),
    ]
}

fn whatever_happens_no_event_is_lost(site: &impl Site, acts: &[Act]) {
    let (disk, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let mut all = HashSet::new();
    hold(&disk, "case-7", "w2");
    for (number, act) in (0..).zip(acts) {
        match act {
            Act::Add(day) => {
                let line = own_line(&format!("2026-11-{day}"), number);
                site.add(&format!("2026-11-{day}"), &line);
                all.insert(leaf::body_of_line(line.as_bytes()).unwrap());
            }
            Act::Seal => assert_eq!(seal_all(site, &disk).unwrap(), [] as [&str; 0]),
            Act::Prune(day, end) => {
                let mut steps = 0;
                let mut step = |_: &Step| {
                    steps += 1;
                    if steps >= *end { Err(Error::Database("the process has ended".into())) } else { Ok(()) }
                };
                let policy = policy(&format!("2026-11-{day}"), Some(folder.path()));
                let mut log = Log::new(disk.clone());
                let outcome = prune(&mut log, &mut site.record(), &mut *site.trail(), &policy, &mut step);
                let changed = |outcome: &Outcome| outcome.stays.iter().any(|stays| stays.why == Why::Changed);
                assert!(!outcome.is_ok_and(|outcome| changed(&outcome)));
            }
        }
        let kept: HashSet<_> = [archived(folder.path()), site.events()].concat().into_iter().collect();
        assert!(all.is_subset(&kept), "an event is lost by {act:?}, {number}");
    }
    assert_eq!(seal_all(site, &disk).unwrap(), [] as [&str; 0]);
    prune_all(site, &disk, &policy("2026-11-22", Some(folder.path()))).unwrap();
    assert_eq!(seal_all(site, &disk).unwrap(), [] as [&str; 0]);
    is_explained(site, &disk, "in the end");
    let is_held = |body: &Vec<u8>| parse(body).unwrap().event.workspace_id == "w2";
    let there: HashSet<_> = site.events().into_iter().collect();
    assert!(all.iter().filter(|body| is_held(body)).all(|body| there.contains(body)), "a held event went");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn whatever_happens_to_files_no_event_is_lost(acts in proptest::collection::vec(act(), 1..30)) {
        whatever_happens_no_event_is_lost(&Folders(tempfile::tempdir().unwrap()), &acts);
    }

    #[test]
    fn whatever_happens_to_rows_no_event_is_lost(acts in proptest::collection::vec(act(), 1..30)) {
        whatever_happens_no_event_is_lost(&Shared::default(), &acts);
    }
}
