//! What the store itself takes, compiled natively, on a disk in memory: writing batches, looking through a day, and reading
//! it in pages. `cargo bench -p audit-store`. In the component the same code is slower; `cargo xtask bench` measures that.

mod host;

use audit_format::cursor::Order;
use audit_format::event::{Event, Field};
use audit_format::query::{Filter, PageRequest};
use audit_store::sink::JsonLines;
use audit_store::store::Store;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use host::MemoryHost;

const EVENTS: u64 = 20_000;
const BATCH: usize = 1_000;

/// The events of a day. One in a thousand is of the tool `rare`.
fn events() -> Vec<Event<'static>> {
    let event = |n: u64| Event {
        ts: format!("2026-11-23T{:02}:{:02}:{:02}.000000Z", n / 3600, n / 60 % 60, n % 60).into(),
        req_id: format!("req-{n:08}").into(),
        workspace_id: format!("ws-{}", n % 50).into(),
        user_id: format!("user-{}", n % 500).into(),
        agent_id: format!("agent-{}", n % 5).into(),
        tool: if n % 1000 == 999 { "rare".into() } else { format!("tool-{}", n % 8).into() },
        action: "call".into(),
        status: "ok".into(),
        duration_ms: n % 5_000,
        in_size: n % 10_000,
        out_size: n,
        input_hash: format!("{n:064x}").into(),
        ..Event::default()
    };
    (0..EVENTS).map(event).collect()
}

fn store(events: &[Event<'static>]) -> Store<MemoryHost> {
    let mut store = Store::new(MemoryHost::default());
    for batch in events.chunks(BATCH) {
        store.write_batch(batch.to_vec()).expect("the disk takes it");
    }
    store
}

/// Reads all pages, and returns how many entries there are.
fn read(store: &mut Store<MemoryHost>, filter: &Filter, request: PageRequest) -> u32 {
    let (mut request, mut count) = (request, 0);
    loop {
        let mut lines = JsonLines::default();
        let end = store.read(filter.clone(), &request, &mut lines).expect("the disk gives it");
        count += lines.into_parts().1;
        match end.next {
            Some(next) => request.cursor = Some(next.to_cursor(request.order)),
            None => return count,
        }
    }
}

fn write(criterion: &mut Criterion) {
    let events = events();
    let lines: String = events[..BATCH].iter().fold(String::new(), |mut lines, event| {
        let mut line = Vec::new();
        audit_format::line::put_event(event, &mut line);
        lines.push_str(str::from_utf8(&line).expect("it is JSON"));
        lines.push('\n');
        lines
    });
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Elements(BATCH as u64));
    let empty = || Store::new(MemoryHost::default());
    group.bench_function("write a batch of 1000", |b| {
        let setup = || (empty(), events[..BATCH].to_vec());
        b.iter_batched(setup, |(mut store, events)| store.write_batch(events), BatchSize::LargeInput);
    });
    group.bench_function("write 1000 lines", |b| {
        b.iter_batched(empty, |mut store| store.write_jsonl(&lines), BatchSize::LargeInput);
    });
    group.finish();
}

fn page(criterion: &mut Criterion) {
    let mut store = store(&events());
    let of_tool = Filter { texts: [(Field::Tool, "rare".into())].into(), ..Filter::default() };
    let newest = PageRequest { order: Order::NewestFirst, limit: 100, cursor: None };
    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("scan for 1 of 1000", |b| {
        b.iter(|| assert_eq!(read(&mut store, &of_tool, PageRequest::default()), EVENTS as u32 / 1000));
    });
    group.bench_function("everything, in pages of 5000", |b| {
        let request = PageRequest { limit: 5_000, ..PageRequest::default() };
        b.iter(|| assert_eq!(read(&mut store, &Filter::default(), request.clone()), EVENTS as u32));
    });
    group.throughput(Throughput::Elements(100));
    group.bench_function("the newest 100", |b| {
        b.iter(|| {
            let mut lines = JsonLines::default();
            store.read(Filter::default(), &newest, &mut lines).expect("the disk gives it");
            assert_eq!(lines.into_parts().1, 100);
        });
    });
    group.finish();
}

criterion_group!(benches, write, page);
criterion_main!(benches);
