//! What the benchmarks share: a record, the plain loop that they are compared with, and what they took.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::path::Path;

use audit_log::tree::Hash;
use memchr::memchr_iter;

/// What a line ends with behind its body.
const TAIL: usize = ",\"hash\":\"\"}".len() + 64;

/// How many lines are written at once.
const BATCH: usize = 10_000;

/// Appends the events with these numbers to a file, as a store writes them.
pub fn write(file: &Path, mut numbers: Range<u64>) -> io::Result<()> {
    let mut out = OpenOptions::new().append(true).create(true).open(file)?;
    let zeros = "0".repeat(64);
    while !numbers.is_empty() {
        let (mut batch, mut lines) = (Vec::new(), Vec::new());
        for n in numbers.by_ref().take(BATCH) {
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
    Ok(())
}

/// Hashes the lines of a file: what sealing and checking cannot be faster than on one core.
pub fn hash(path: &Path) -> io::Result<u64> {
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

/// The time that this process has taken of the processor, in seconds: it does not depend on what else runs.
pub fn processor() -> f64 {
    /// Of each second, as Linux counts it.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let (_, fields) = stat.rsplit_once(") ").unwrap_or_default();
    let ticks =
        |place| fields.split(' ').nth(place).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS
}

/// The most memory that this process has had.
pub fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().to_owned()
}
