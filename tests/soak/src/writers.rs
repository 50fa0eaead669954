//! Those who write: `audit write`, processes with the library, and hooks. Many of them are killed.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use audit_fixtures::Writer;
use audit_testbed::{Rng, age_spools};
use serde_json::json;

use crate::handle;
use crate::ledger::{Told, event_of};
use crate::processes::Running;
use crate::record::Record;
use crate::site::Site;

/// How many events a second a process with the library writes on average.
const RATE: u64 = 60;

/// How many on a small disk.
const TIGHT_RATE: u64 = 20;

/// Begins the name of those who write through `audit hook`.
pub const HOOK: &str = "hook";

/// Runs `audit write`, again and again. Half of the processes are killed.
pub fn write(site: &Site, n: usize, mut rng: Rng) {
    let record = &site.records[n];
    let mut nth = 0;
    while !site.is_over() {
        let name = site.name("write");
        let told = write_once(site, record, nth, &name, &mut rng);
        site.ledger.note(n, name, told);
        site.count("runs of audit write", 1);
        nth += 1;
        site.sleep(Duration::from_millis(rng.u64(..300)));
    }
}

/// Writes one event, however long that takes.
pub fn write_first(site: &Site, record: &Record, name: &str) {
    let mut command = site.audit(record, record.backend(0), "write");
    let mut running = Running(command.stdin(Stdio::piped()).spawn().expect("the program runs"));
    let mut stdin = running.0.stdin.take().expect("it is piped");
    stdin.write_all(line(site, name, 0).as_bytes()).expect("the program reads");
    drop(stdin);
    let status = running.0.wait().expect("it is a child");
    assert!(status.success(), "the first event cannot be written: {status}");
}

/// One run of `audit write`. Returns what was said at its end.
fn write_once(site: &Site, record: &Record, nth: usize, name: &str, rng: &mut Rng) -> Told {
    let backend = record.backend(nth);
    let said = site.scratch().join(format!("{name}.said"));
    let mut command = site.audit(record, backend, "write --flush-interval-ms 200");
    if record.is_tight && !site.disk.is_mounted {
        command = limited(&command, rng.u32(1..200));
    }
    command.stdin(Stdio::piped()).stderr(File::create(&said).expect("the folder can be written"));
    let mut running = Running(command.spawn().expect("the program runs"));
    let mut sent = 0;
    for _ in 0..rng.u32(1..20) {
        let count = rng.u64(1..if record.is_tight { 20 } else { 60 });
        let lines: String = (sent..sent + count).map(|n| line(site, name, n)).collect();
        let stdin = running.0.stdin.as_mut().expect("it is piped");
        // The process may have ended, because the disk is full.
        if stdin.write_all(lines.as_bytes()).is_err() {
            break;
        }
        sent += count;
        site.sleep(Duration::from_millis(rng.u64(..150)));
    }
    let told = if rng.bool() && !site.is_over() {
        running.0.kill().expect("it is a child");
        site.count("killed writers", 1);
        Told::default()
    } else {
        let status = running.end(name);
        let text = fs::read_to_string(&said).expect("it can be read");
        let may_fail = record.is_tight || backend == "postgres";
        match status.code() {
            Some(0) => Told { acknowledged: sent, absent_from: Some(sent) },
            Some(2) if may_fail => {
                told(&text).unwrap_or_else(|| panic!("{name} does not say what is recorded: {text}"))
            }
            _ => panic!("{name}, {backend}, ended with {status}: {text}"),
        }
    };
    drop(running);
    fs::remove_file(said).expect("it is there");
    told
}

fn line(site: &Site, name: &str, n: u64) -> String {
    let event = event_of(name, n);
    let ts = site.clock.now().to_string();
    serde_json::to_string(&audit_host::Event { ts, ..event }).expect("an event is JSON") + "\n"
}

/// What messages say of lines: up to which one they are recorded, and from which one on they are not.
fn told(text: &str) -> Option<Told> {
    let from = |line: &str| {
        let (_, rest) = line.split_once("from line ")?;
        rest.split(|char: char| !char.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let first = text.lines().filter_map(from).min()?.checked_sub(1)?;
    let nothing = |line: &&str| {
        line.contains("nothing was written from")
            || (line.contains("the last") && line.contains("not recorded"))
    };
    let absent = text.lines().filter(nothing).filter_map(from).min();
    Some(Told { acknowledged: first, absent_from: absent.and_then(|line| line.checked_sub(1)) })
}

/// The command with a limit on the size of files, in kibibytes. A process that ignores the signal gets an error.
fn limited(inner: &Command, kibibytes: u32) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {kibibytes}; exec \"$0\" \"$@\"")]);
    command.arg(inner.get_program()).args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdout(Stdio::null());
    command
}

/// Starts a process that writes through the library.
fn start(site: &Site, record: &Record, backend: &str, name: &str) -> (Writer, u32) {
    let mut command = (site.handle)();
    let rate = if record.is_tight { TIGHT_RATE } else { RATE };
    command.env(handle::NAME, name).env(handle::DIR, &record.folder).env(handle::BACKEND, backend);
    command.env(handle::RATE, rate.to_string()).env(crate::clock::VARIABLE, site.clock.text());
    if let Some([url, _]) = &record.urls {
        command.env(handle::URL, url);
    }
    let writer = Writer::spawn(&mut command);
    let id = writer.id();
    (writer, id)
}

/// Runs processes that write through the library. Most of them are killed.
pub fn handles(site: &Site, n: usize, mut rng: Rng) {
    let record = &site.records[n];
    let mut nth = 0;
    while !site.is_over() {
        let name = site.name("handle");
        let (writer, _) = start(site, record, record.backend(nth), &name);
        site.sleep(Duration::from_millis(rng.u64(100..8_000)));
        let acknowledged = if rng.u32(..4) > 0 && !site.is_over() {
            site.count("killed writers", 1);
            writer.kill()
        } else {
            end(site, writer)
        };
        site.ledger.note(n, name, Told { acknowledged, absent_from: None });
        site.count("processes with the library", 1);
        nth += 1;
        if record.urls.is_some() && rng.u32(..3) == 0 {
            // As if a minute had gone by since those that were killed have written.
            age_spools(&record.folder);
        }
    }
}

/// A process that writes through the library from the beginning of the run to its end.
pub fn steady(site: &Site, n: usize, _: Rng) {
    let record = &site.records[n];
    let name = site.name("steady");
    let (writer, id) = start(site, record, record.backend(0), &name);
    site.memory.add(format!("the steady handle of {}", record.name), id);
    while !site.is_over() {
        site.sleep(Duration::from_millis(500));
    }
    let acknowledged = end(site, writer);
    site.memory.remove(id);
    site.ledger.note(n, name, Told { acknowledged, absent_from: Some(acknowledged) });
}

/// Lets a process end in order. Returns how many of its events may not be lost.
fn end(site: &Site, writer: Writer) -> u64 {
    let (acknowledged, others) = writer.end();
    let longest = others.iter().find_map(|line| line.split_once(handle::LONGEST)?.1.parse().ok());
    site.longest.fetch_max(longest.unwrap_or(0), Ordering::Relaxed);
    acknowledged
}

/// Runs `audit hook`, as an agent does. Some of the processes are killed.
pub fn hooks(site: &Site, n: usize, mut rng: Rng) {
    let record = &site.records[n];
    while !site.is_over() {
        let name = site.name(HOOK);
        let mut command = site.audit(record, record.backend(0), "hook claude --starts --fail-closed");
        command.stdin(Stdio::piped());
        let mut running = Running(command.spawn().expect("the program runs"));
        let call = json!({
            "session_id": "soak", "cwd": "/", "hook_event_name": "PreToolUse", "tool_name": "Bash",
            "tool_use_id": format!("{name}-0"), "tool_input": {"command": name},
        });
        let _ = running.0.stdin.as_mut().expect("it is piped").write_all(call.to_string().as_bytes());
        let acknowledged = if rng.u32(..5) == 0 {
            site.sleep(Duration::from_millis(rng.u64(..60)));
            let _ = running.0.kill();
            site.count("killed hooks", 1);
            0
        } else {
            let status = running.end(&name);
            assert!(status.success() || record.is_tight, "{name}, {}, ended with {status}", record.name);
            u64::from(status.success())
        };
        drop(running);
        site.ledger.note(n, name, Told { acknowledged, absent_from: None });
        site.count("hooks", 1);
        site.sleep(Duration::from_millis(rng.u64(50..600)));
    }
}
