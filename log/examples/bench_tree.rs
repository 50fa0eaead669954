//! Prints how many leaf hashes a second a tree takes on one core: `cargo run --release -p audit-log --example
//! bench_tree`.

use audit_log::tiles::Edge;
use audit_log::tree::{CompactRange, Hash, TreeFull};
use std::time::Instant;

const LEAVES: usize = 4_000_000;

/// What a sealer adds at once.
const BATCH: usize = 4096;

fn main() -> Result<(), TreeFull> {
    let leaves: Vec<Hash> = (0..LEAVES as u64).map(|n| Hash::of_leaf(&n.to_be_bytes())).collect();

    let start = Instant::now();
    let mut range = CompactRange::new();
    range.extend(leaves.iter().copied())?;
    report("one by one (CompactRange)", start);

    let start = Instant::now();
    let mut edge = Edge::new();
    let mut tiles = 0;
    for batch in leaves.chunks(BATCH) {
        tiles += edge.append(batch)?.len();
    }
    report("in batches, with tiles (Edge)", start);

    assert_eq!(range.root(), edge.root());
    println!("{tiles} full tiles, root {}", edge.root());
    Ok(())
}

fn report(what: &str, start: Instant) {
    let rate = LEAVES as f64 / start.elapsed().as_secs_f64();
    println!("{what}: {:.2} million leaf hashes a second", rate / 1e6);
}
