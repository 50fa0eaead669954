//! What it takes to read, encode, hash and look through lines: `cargo bench -p audit-format`.

use std::hint::black_box;

use audit_format::event::{Dated, Event};
use audit_format::line;
use audit_format::query::{Filter, PageRequest, Query};
use audit_format::read::{parse_sent, parse_stored};
use audit_format::time::Timestamp;
use audit_format::{event::Field, leaf};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use uuid::Uuid;

/// A line as another program sends it, and one that has to be read the slow way.
const SENT: &str = r#"{"ts": "2026-11-23T06:30:00.123456Z", "req_id": "req-00000007", "workspace_id": "ws-7", "user_id": "user-42", "agent_id": "planner", "tool": "search", "action": "call", "status": "ok", "duration_ms": 45, "in_size": 120, "out_size": 4800, "input_hash": "28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f", "graph_run_id": null, "graph_node": null, "job_id": null}"#;
const ODD: &str = r#"{"ts": "2026-11-23T07:30:00+01:00", "tool": "se\u0061rch", "status": "\"quoted\"", "duration_ms": 45.0, "attributes": {"model": "large"}}"#;

/// How many lines are hashed at once, as the store does for a batch.
const LINES: usize = 64;

fn encoded(text: &str, out: &mut Vec<u8>) {
    let (id, chain) = (Uuid::from_u128(7 << 64 | 1), Uuid::from_u128(7 << 64));
    let mut event = dated(parse_sent(text).unwrap().event);
    line::encode(&mut event, id, chain, 7, out);
}

fn dated(event: Event<'_>) -> Dated<'_> {
    Dated::new(event, Timestamp::clamped(0)).unwrap()
}

fn codec(criterion: &mut Criterion) {
    let mut stored = Vec::new();
    encoded(SENT, &mut stored);
    let stored = String::from_utf8(stored).unwrap();

    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    for (name, text) in [("plain", SENT), ("odd", ODD)] {
        group.bench_function(format!("parse what was sent, {name}"), |b| {
            b.iter(|| parse_sent(black_box(text)))
        });
    }
    group.bench_function("parse what is stored", |b| b.iter(|| parse_stored(black_box(&stored))));
    for (name, text) in [("plain", SENT), ("odd", ODD)] {
        let event = parse_sent(text).unwrap().event;
        let mut out = Vec::new();
        group.bench_function(format!("check and encode, {name}"), |b| {
            b.iter(|| {
                out.clear();
                let mut event = dated(black_box(&event).clone());
                line::encode(&mut event, Uuid::from_u128(1), Uuid::from_u128(2), 7, &mut out);
            });
        });
    }
    group.finish();
}

fn hash(criterion: &mut Criterion) {
    let (mut bytes, mut lines) = (Vec::new(), Vec::new());
    for _ in 0..LINES {
        let start = bytes.len();
        encoded(SENT, &mut bytes);
        lines.push(start..bytes.len());
    }
    let mut group = criterion.benchmark_group("hash");
    group.throughput(Throughput::Elements(LINES as u64));
    group.bench_function("leaf hashes of 64 lines", |b| {
        b.iter(|| leaf::seal(black_box(&mut bytes), lines.iter().cloned()));
    });
    group.finish();
}

fn matching(criterion: &mut Criterion) {
    let mut stored = Vec::new();
    encoded(SENT, &mut stored);
    let filter = |tool: &str| Filter { texts: [(Field::Tool, tool.into())].into(), ..Filter::default() };
    let mut group = criterion.benchmark_group("match");
    group.throughput(Throughput::Bytes(stored.len() as u64));
    for (name, tool) in [("a line of another tool", "deploy"), ("a line of the tool", "search")] {
        let query = Query::new(filter(tool), &PageRequest::default()).unwrap();
        group.bench_function(name, |b| b.iter(|| query.may_match(black_box(&stored))));
    }
    group.finish();
}

criterion_group!(benches, codec, hash, matching);
criterion_main!(benches);
