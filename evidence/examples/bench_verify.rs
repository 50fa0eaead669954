//! Times a check: `cargo run --release -p audit-evidence --example bench_verify -- [EVENTS]` (a million by default). It writes
//! a record into the temporary folder, hashes its lines in a plain loop, seals it, and checks it.

mod timed;

use std::fs;
use std::process::Command;
use std::time::Instant;

use audit_evidence::verify::{self, Options};
use audit_evidence::{Files, Log, LogFolder, seal};
use audit_log::note::SigningKey;
use timed::{hash, memory, processor, write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let events: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |events| events.parse())?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tool_audit_2026-11-27.jsonl");
    write(&file, 0..events)?;
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
