//! Times a check: `cargo run --release -p audit-evidence --example bench_verify -- [EVENTS]` (a million by default). It writes
//! a record into the temporary folder, hashes its lines in a plain loop, seals it, and checks it.

use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use audit_evidence::verify::{self, Options};
use audit_evidence::{Files, Log, LogFolder, seal};
use audit_log::note::SigningKey;
use audit_log::tree::Hash;
use memchr::memchr_iter;

/// What a line ends with behind its body.
const TAIL: usize = ",\"hash\":\"\"}".len() + 64;

/// How many lines are written at once.
const BATCH: u64 = 10_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let events: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |events| events.parse())?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tool_audit_2026-11-27.jsonl");
    write(&file, events)?;
    let bytes = fs::metadata(&file)?.len();
    println!("{events} events of {} bytes", bytes / events);

    let begun = Instant::now();
    Command::new("sha256sum").arg(&file).output()?;
    println!("sha256sum     {:7.3} s", begun.elapsed().as_secs_f64());

    let begun = (Instant::now(), processor());
    hash(&file)?;
    let plain = processor() - begun.1;
    println!("plain loop    {:7.3} s, of the processor {plain:.2} s", begun.0.elapsed().as_secs_f64());

    let key = SigningKey::from_seed("example.com/audit".parse()?, &[7; 32]);
    let mut record = Files::new(folder.path());
    let mut log = Log::new(LogFolder::for_sealing(folder.path().join("log"))?);
    seal(&mut log, &mut record, &"example.com/audit".parse()?, &key)?;
    let before = memory();

    check(&log, &mut record, &key, events, bytes, plain)?;
    println!("memory        {} before the check, {} after it", before, memory());
    fs::remove_file(folder.path().join("log/segments.jsonl"))?;
    println!("without segments.jsonl:");
    check(&log, &mut record, &key, events, bytes, plain)?;
    println!("memory        {}", memory());
    Ok(())
}

fn check(
    log: &Log<LogFolder>,
    record: &mut Files,
    key: &SigningKey,
    events: u64,
    bytes: u64,
    plain: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let begun = (Instant::now(), processor());
    let options = Options { keys: &[key.verifier()], ..Options::default() };
    let verdict = verify::verify(log, record, &options, &mut |_| {})?;
    let taken = processor() - begun.1;
    assert!(verdict.is_clean() && verdict.counts.as_sealed == events, "{verdict:#?}");
    println!("check         {:7.3} s, of the processor {taken:.2} s", begun.0.elapsed().as_secs_f64());
    println!(
        "              {:.0} events and {:.0} MB a second of the processor, {:.2} of the loop",
        events as f64 / taken,
        bytes as f64 / taken / 1e6,
        plain / taken
    );
    Ok(())
}

/// The most memory that this process has had.
fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().to_owned()
}

/// The time that this process has taken of the processor, in seconds: it does not depend on what else runs.
fn processor() -> f64 {
    /// Of each second, as Linux counts it.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let (_, fields) = stat.rsplit_once(") ").unwrap_or_default();
    let ticks =
        |place| fields.split(' ').nth(place).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS
}

fn write(file: &Path, events: u64) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    let zeros = "0".repeat(64);
    for first in (0..events).step_by(BATCH as usize) {
        let (mut batch, mut lines) = (Vec::new(), Vec::new());
        for n in first..events.min(first + BATCH) {
            let (micros, begin) = (n % 1_000_000, batch.len());
            writeln!(
                batch,
                "{{\"ts\":\"2026-11-27T17:10:40.{micros:06}Z\",\"req_id\":\"req-{n:08}\",\"workspace_id\":\"shop\",\"user_id\":\"\",\
                 \"agent_id\":\"planner\",\"tool\":\"search\",\"action\":\"query\",\"status\":\"ok\",\"duration_ms\":45,\"in_size\":120,\
                 \"out_size\":4800,\"input_hash\":\"28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f\",\
                 \"graph_run_id\":\"run-7\",\"graph_node\":null,\"job_id\":null,\"id\":\"01a21dfc-da9d-775e-9c12-{n:012x}\",\
                 \"chain\":\"01a21dfc-da9d-775e-9c12-b8a0e19beb0e\",\"seq\":{n},\"hash\":\"{zeros}\"}}"
            )?;
            lines.push(begin..batch.len());
        }
        audit_format::leaf::seal(&mut batch, lines.into_iter());
        out.write_all(&batch)?;
    }
    out.flush()
}

/// What a check cannot be faster than on one core.
fn hash(path: &Path) -> std::io::Result<u64> {
    let (mut file, mut bytes, mut count) = (File::open(path)?, Vec::new(), 0);
    let mut last = Hash([0; 32]);
    while (&mut file).take(1 << 20).read_to_end(&mut bytes)? > 0 {
        let mut begin = 0;
        for newline in memchr_iter(b'\n', &bytes) {
            last = Hash::of_leaf(&bytes[begin..newline - TAIL]);
            begin = newline + 1;
            count += 1;
        }
        bytes.drain(..begin);
    }
    std::hint::black_box(last);
    Ok(count)
}
