//! Times sealing: `cargo run --release -p audit-evidence --example bench_seal -- [EVENTS]` (a million by default). It writes a
//! record into the temporary folder, hashes its lines in a plain loop, seals it, and seals a hundred more.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read as _, Write as _};
use std::path::Path;
use std::time::Instant;

use audit_evidence::{Files, Log, LogFolder, seal};
use audit_log::note::SigningKey;
use audit_log::tree::Hash;
use memchr::memchr_iter;

/// What a line ends with behind its body.
const TAIL: usize = ",\"hash\":\"\"}".len() + 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let events: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |events| events.parse())?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tool_audit_2026-11-27.jsonl");
    write(&file, 0..events)?;
    let bytes = fs::metadata(&file)?.len();
    println!("{events} events of {} bytes", bytes / events);

    let begun = (Instant::now(), processor());
    hash(&file)?;
    let plain = processor() - begun.1;
    println!("plain loop    {:7.3} s, of the processor {plain:.2} s", begun.0.elapsed().as_secs_f64());

    let begun = (Instant::now(), processor());
    let new = seal_once(folder.path())?;
    let sealed = processor() - begun.1;
    println!("first seal    {:7.3} s, of the processor {sealed:.2} s", begun.0.elapsed().as_secs_f64());
    println!(
        "              {:.0} events a second of the processor, {:.2} of the loop",
        new as f64 / sealed,
        plain / sealed
    );

    for more in 0..3 {
        write(&file, events + 100 * more..events + 100 * (more + 1))?;
        let begun = Instant::now();
        let new = seal_once(folder.path())?;
        println!("{new} more      {:7.2} ms", begun.elapsed().as_secs_f64() * 1000.0);
    }
    let begun = Instant::now();
    seal_once(folder.path())?;
    println!("nothing new   {:7.2} ms", begun.elapsed().as_secs_f64() * 1000.0);
    println!("log           {:7.2} bytes an event", size(&folder.path().join("log"))? as f64 / events as f64);
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    }
    Ok(())
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

fn write(file: &Path, numbers: std::ops::Range<u64>) -> std::io::Result<()> {
    let mut out = BufWriter::new(OpenOptions::new().append(true).create(true).open(file)?);
    for n in numbers {
        let (micros, hash) = (n % 1_000_000, "0".repeat(64));
        writeln!(
            out,
            "{{\"ts\":\"2026-11-27T17:10:40.{micros:06}Z\",\"req_id\":\"req-{n:08}\",\"workspace_id\":\"shop\",\"user_id\":\"\",\
             \"agent_id\":\"planner\",\"tool\":\"search\",\"action\":\"query\",\"status\":\"ok\",\"duration_ms\":45,\"in_size\":120,\
             \"out_size\":4800,\"input_hash\":\"28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f\",\
             \"graph_run_id\":\"run-7\",\"graph_node\":null,\"job_id\":null,\"id\":\"01a21dfc-da9d-775e-9c12-{n:012x}\",\
             \"chain\":\"01a21dfc-da9d-775e-9c12-b8a0e19beb0e\",\"seq\":{n},\"hash\":\"{hash}\"}}"
        )?;
    }
    out.flush()
}

/// What sealing cannot be faster than on one core.
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

fn seal_once(record: &Path) -> Result<u64, Box<dyn std::error::Error>> {
    let key = SigningKey::from_seed("example.com/audit".parse()?, &[7; 32]);
    let mut log = Log::new(LogFolder::for_sealing(record.join("log"))?);
    Ok(seal(&mut log, &mut Files::new(record), &"example.com/audit".parse()?, &key)?.new)
}

fn size(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.metadata()? {
            metadata if metadata.is_dir() => size(&entry.path())?,
            metadata => metadata.len(),
        };
    }
    Ok(bytes)
}
