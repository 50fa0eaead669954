//! Where the time of a written event goes: natively, with the crates that the component is made of, and in the component.
//! The parts are differences between ways that each do one thing more. All ways take turns, and the figures are those of
//! the fastest round, in processor time of all threads, which other programs on the machine hardly change. `cargo xtask
//! bench` runs it, several times. With the path of another build of the component as its argument, it also times that.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use audit_fixtures::event;
use audit_format::event::Dated;
use audit_format::id::Ids;
use audit_format::read::{Sent, parse_sent};
use audit_format::time::Timestamp;
use audit_format::{leaf, line, sent};
use audit_host::{AuditStore, Component, Event, Instance, Options};
use uuid::Uuid;
use xtask::figures;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const EVENTS: usize = 50_000;

/// The size of the texts that are handed over, as `audit write` reads them.
const PIECE: usize = 64 * 1024;

/// How many events a batch of records has.
const BATCH: usize = 1_000;

const ROUNDS: usize = 5;

/// A line that is refused, and with it the whole text: what comes after it is not looked at, and what comes before it is
/// not hashed.
const ODD: &str = "{\"odd\":1}\n";

/// One way to do something with all events, and how many microseconds an event took at least.
struct Way<'a> {
    name: &'a str,
    /// How many ways above it is the one that does one thing less, if one does.
    beyond: Option<usize>,
    run: Box<dyn FnMut() -> Result<Spent> + 'a>,
    least: Spent,
}

/// Microseconds of an event.
#[derive(Clone, Copy)]
struct Spent {
    processor: f64,
    clock: f64,
}

impl Spent {
    fn least(self, other: Self) -> Self {
        Self { processor: self.processor.min(other.processor), clock: self.clock.min(other.clock) }
    }
}

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let events: Vec<Event> = (0..EVENTS as u64).map(event).collect();
    let pieces = pieces(&events)?;
    let own = Component::load(&Options::new().no_call_limit())?;
    let other = std::env::args_os().nth(1).map(fs::read).transpose()?;
    let other =
        other.map(|binary| Component::compile(&binary, &Options::new().no_call_limit())).transpose()?;

    let mut ways = native(&pieces, folder.path());
    ways.extend(through(&own, &events, &pieces, folder.path()));
    if let Some(other) = &other {
        ways.extend(through(other, &events, &pieces, folder.path()));
    }
    for _ in 0..ROUNDS {
        for way in &mut ways {
            way.least = way.least.least((way.run)()?);
        }
    }
    print(&ways);
    Ok(())
}

/// Prints what each way takes, and the part of it that is its own.
fn print(ways: &[Way<'_>]) {
    for (place, way) in ways.iter().enumerate() {
        let Spent { processor, clock } = way.least;
        let part = way.beyond.map_or(processor, |beyond| processor - ways[place - beyond].least.processor);
        figures::print(way.name, processor);
        figures::print(&format!("{} (the part)", way.name), part);
        figures::print(&format!("{} (clock)", way.name), clock);
    }
}

/// The events as lines of JSON, in texts of [`PIECE`] bytes or a little less.
fn pieces(events: &[Event]) -> Result<Vec<String>> {
    let mut pieces = vec![String::new()];
    for event in events {
        let line = serde_json::to_string(event)? + "\n";
        if pieces.last().is_some_and(|piece| piece.len() + line.len() > PIECE) {
            pieces.push(String::new());
        }
        pieces.last_mut().expect("there is one").push_str(&line);
    }
    Ok(pieces)
}

fn way<'a>(
    name: &'a str,
    beyond: impl Into<Option<usize>>,
    run: impl FnMut() -> Result<Spent> + 'a,
) -> Way<'a> {
    let least = Spent { processor: f64::INFINITY, clock: f64::INFINITY };
    Way { name, beyond: beyond.into(), run: Box::new(run), least }
}

/// How far the native loop goes.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Stage {
    Parse,
    Encode,
    Seal,
    Append,
}

/// How the native loop makes a line of what was sent.
#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    /// By way of an event, as any line can be encoded.
    General,
    /// As the component does it.
    Fastest,
}

/// What the component does, in a loop over the same crates.
fn native<'a>(pieces: &'a [String], folder: &'a Path) -> Vec<Way<'a>> {
    use Encoding::{Fastest, General};
    let path = folder.join("native.jsonl");
    let stage = |how, last| {
        let path = path.clone();
        move || {
            let mut file = File::create(&path)?;
            timed(|| pieces.iter().try_for_each(|piece| write(piece, how, last, &mut file)))
        }
    };
    vec![
        way("natively, in general: parse", None, stage(General, Stage::Parse)),
        way("natively, in general: and check, stamp, encode", 1, stage(General, Stage::Encode)),
        way("natively, in general: and hash", 1, stage(General, Stage::Seal)),
        way("natively, in general: and append", 1, stage(General, Stage::Append)),
        way("natively: parse, check, stamp, encode", None, stage(Fastest, Stage::Encode)),
        way("natively: and hash", 1, stage(Fastest, Stage::Seal)),
        way("natively: and append", 1, stage(Fastest, Stage::Append)),
    ]
}

/// Writes the lines of a piece, as far as `last`.
fn write(piece: &str, how: Encoding, last: Stage, file: &mut File) -> Result<()> {
    let now = Timestamp::from(SystemTime::now());
    let mut ids = Ids::default();
    let (mut out, mut ranges) = (Vec::new(), Vec::new());
    for (seq, text) in (0..).zip(piece.lines()) {
        let (start, id) = (out.len(), ids.next(now, || 0));
        if how == Encoding::Fastest {
            sent::encode(text, now, id, Uuid::nil(), seq, &mut out)?;
        } else {
            let sent: Sent<'_> = std::hint::black_box(parse_sent(text)?);
            if last >= Stage::Encode {
                line::encode(&mut Dated::new(sent, now)?, id, Uuid::nil(), seq, &mut out);
            }
        }
        ranges.push(start..out.len());
    }
    if last >= Stage::Seal {
        leaf::seal(&mut out, ranges.into_iter());
    }
    if last >= Stage::Append {
        file.write_all(&out)?;
    }
    std::hint::black_box(out);
    Ok(())
}

/// The ways through the component.
fn through<'a>(
    component: &'a Component,
    events: &'a [Event],
    pieces: &'a [String],
    folder: &'a Path,
) -> Vec<Way<'a>> {
    // An empty folder for each round.
    let start = move |backend: &str| -> Result<Instance> {
        let record = folder.join("audit");
        let _ = fs::remove_dir_all(&record);
        let options = Options::new().backend(backend).dir(record).no_call_limit();
        Ok(Instance::start(component, &options)?)
    };
    let refused: Vec<String> = pieces.iter().map(|piece| format!("{ODD}{piece}")).collect();
    let invalid: Vec<String> = pieces.iter().map(|piece| format!("{piece}{ODD}")).collect();
    let all_refused = |instance: &mut Instance, texts: &[String]| {
        let accepted = texts.iter().any(|text| instance.write_jsonl(text).is_ok());
        if accepted { Err("an unknown field was accepted".into()) } else { Ok(()) }
    };
    vec![
        way("write-jsonl: hand over, find the lines", None, move || {
            let mut instance = start("null")?;
            timed(|| all_refused(&mut instance, &refused))
        }),
        way("write-jsonl: and parse, check, stamp, encode", 1, move || {
            let mut instance = start("null")?;
            timed(|| all_refused(&mut instance, &invalid))
        }),
        way("write-jsonl: and hash", 1, move || {
            let mut instance = start("null")?;
            timed(|| Ok(pieces.iter().try_for_each(|text| instance.write_jsonl(text).map(drop))?))
        }),
        way("write-jsonl: and append", 1, move || {
            let mut instance = start("jsonl")?;
            timed(|| Ok(pieces.iter().try_for_each(|text| instance.write_jsonl(text).map(drop))?))
        }),
        way("write-batch: all but append", None, move || {
            let mut instance = start("null")?;
            timed(|| Ok(events.chunks(BATCH).try_for_each(|batch| instance.write_batch(batch).map(drop))?))
        }),
        way("write-batch: and append", 1, move || {
            let mut instance = start("jsonl")?;
            timed(|| Ok(events.chunks(BATCH).try_for_each(|batch| instance.write_batch(batch).map(drop))?))
        }),
        way("write, one by one", None, move || {
            let mut instance = start("jsonl")?;
            timed(|| Ok(events.iter().try_for_each(|event| instance.write(event))?))
        }),
        way("Handle::write, until all is in the file", None, move || handle(component, events, folder)),
    ]
}

/// Writes all events through the queue, and waits until they are in the file.
fn handle(component: &Component, events: &[Event], folder: &Path) -> Result<Spent> {
    let record = folder.join("audit");
    let _ = fs::remove_dir_all(&record);
    let options = Options::new().backend("jsonl").dir(record).no_call_limit().queue(EVENTS + 1, 1 << 30);
    let store = AuditStore::open_with(component, options)?;
    let events = events.to_vec();
    timed(|| {
        events.into_iter().for_each(|event| store.write(event));
        let counts = store.close()?.counts;
        let all = counts.stored == EVENTS as u64;
        if all { Ok(()) } else { Err(format!("not every event is stored: {counts:?}").into()) }
    })
}

/// How many microseconds the work takes, for each event.
fn timed(work: impl FnOnce() -> Result<()>) -> Result<Spent> {
    let (began, processor) = (Instant::now(), processor_time());
    work()?;
    let of_an_event = |time: Duration| time.as_secs_f64() * 1e6 / EVENTS as f64;
    Ok(Spent { processor: of_an_event(processor_time() - processor), clock: of_an_event(began.elapsed()) })
}

/// The processor time of all threads so far.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to `time` alone.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
