//! Times sealing: `cargo run --release -p audit-evidence --example bench_seal -- [EVENTS]` (a million by default). It writes a
//! record into the temporary folder, hashes its lines in a plain loop, seals it, and seals a hundred more.

mod timed;

use std::fs;
use std::path::Path;
use std::time::Instant;

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
    println!("memory        {}", memory());
    Ok(())
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
