//! How many rows a second reach a PostgreSQL through the component, beside the same rows by COPY and by a prepared
//! INSERT of one row; and how long `write` takes while the database hangs. It starts a server of its own, with its
//! default settings: a commit waits for the disk.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use audit_host::{AuditStore, Component, Entry, Event, Filter, Instance, Options, Order, PageRequest};
use audit_testbed::Cluster;
use audit_testbed::postgres::{Client, NoTls};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const ROWS: usize = 100_000;

/// Each of these costs a commit.
const SINGLE_ROWS: usize = 10_000;

const COLUMNS: &str = "ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size, \
                       out_size, input_hash, graph_run_id, graph_node, job_id, event_id, chain, seq, hash";

fn main() -> Result {
    let cluster = Cluster::start();
    cluster.set("fsync", "on");
    let component = Component::load(&Options::new())?;
    let events: Vec<Event> = (0..ROWS).map(event).collect();

    println!("{ROWS} rows into PostgreSQL ({} of them by the prepared INSERT)", SINGLE_ROWS);
    let mut entries = Vec::new();
    for batch in [50, 500, 5_000] {
        let url = cluster.database();
        let options = Options::new().backend("postgres").batch_size(batch).database_url(&url);
        let mut store = Instance::start(&component, &options)?;
        // The table is made, and the connection.
        store.write(&event(0))?;
        store.flush()?;
        let started = Instant::now();
        for events in events.chunks(5_000) {
            store.write_batch(events)?;
        }
        store.flush()?;
        show(&format!("component, batches of {batch}"), ROWS, started);
        entries = store.read(&Filter::default(), &PageRequest::default())?.entries;
        store.close()?;
    }
    let texts: Vec<[Option<String>; 19]> =
        entries.iter().cycle().take(ROWS).enumerate().map(columns).collect();
    copy(&cluster, &component, &texts)?;
    insert(&cluster, &component, &texts)?;
    hang(&component)
}

fn event(n: usize) -> Event {
    Event {
        ts: format!("2026-11-23T{:02}:{:02}:{:02}.000000Z", n / 3_600 % 24, n / 60 % 60, n % 60),
        req_id: format!("req-{n:08}"),
        workspace_id: "workspace-7".into(),
        user_id: format!("user-{}", n % 50),
        agent_id: ["planner", "coder", "critic", "ops"][n % 4].into(),
        tool: ["search", "shell", "sql", "browser", "files"][n % 5].into(),
        action: "query".into(),
        status: "ok".into(),
        duration_ms: n as u64 % 1_000,
        in_size: 120,
        out_size: 4_800,
        input_hash: format!("{n:064x}"),
        graph_run_id: Some(format!("run-{}", n / 100)),
        ..Event::default()
    }
}

fn show(what: &str, rows: usize, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!("  {what:<28} {:>8.0} rows/s  {seconds:.2} s", rows as f64 / seconds);
}

/// The row as text, under an id of its own.
fn columns((n, entry): (usize, &Entry)) -> [Option<String>; 19] {
    let event = &entry.event;
    let id = format!("{:08x}{}", n, &entry.id[8..]);
    [
        Some(event.ts.clone()),
        Some(event.req_id.clone()),
        Some(event.workspace_id.clone()),
        Some(event.user_id.clone()),
        Some(event.agent_id.clone()),
        Some(event.tool.clone()),
        Some(event.action.clone()),
        Some(event.status.clone()),
        Some(event.duration_ms.to_string()),
        Some(event.in_size.to_string()),
        Some(event.out_size.to_string()),
        Some(event.input_hash.clone()),
        event.graph_run_id.clone(),
        event.graph_node.clone(),
        event.job_id.clone(),
        Some(id),
        Some(entry.chain.clone()),
        Some(entry.seq.to_string()),
        Some(entry.hash.clone()),
    ]
}

/// A database with the table and its indexes, as the component makes them.
fn prepared(cluster: &Cluster, component: &Component) -> Result<Client> {
    let url = cluster.database();
    let mut store = Instance::start(component, &Options::new().backend("postgres").database_url(&url))?;
    store.write(&event(0))?;
    store.close()?;
    Ok(Client::connect(&url, NoTls)?)
}

fn copy(cluster: &Cluster, component: &Component, rows: &[[Option<String>; 19]]) -> Result {
    let mut client = prepared(cluster, component)?;
    let started = Instant::now();
    let mut writer = client.copy_in(&format!("COPY tool_audit_events ({COLUMNS}) FROM STDIN"))?;
    let mut line = String::new();
    for row in rows {
        line.clear();
        for (n, value) in row.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\t" };
            write!(line, "{separator}{}", value.as_deref().unwrap_or("\\N"))?;
        }
        line.push('\n');
        writer.write_all(line.as_bytes())?;
    }
    writer.finish()?;
    show("COPY, one transaction", rows.len(), started);
    Ok(())
}

fn insert(cluster: &Cluster, component: &Component, rows: &[[Option<String>; 19]]) -> Result {
    let mut client = prepared(cluster, component)?;
    let kinds = ["timestamptz"; 1]
        .into_iter()
        .chain(["text"; 7])
        .chain(["numeric"; 3])
        .chain(["text"; 4])
        .chain(["uuid", "uuid", "numeric", "text"]);
    let values: Vec<String> =
        kinds.enumerate().map(|(n, kind)| format!("${}::text::{kind}", n + 1)).collect();
    let statement = client
        .prepare(&format!("INSERT INTO tool_audit_events ({COLUMNS}) VALUES ({})", values.join(", ")))?;
    let started = Instant::now();
    for row in &rows[..SINGLE_ROWS] {
        let values: Vec<_> =
            row.iter().map(|value| value as &(dyn audit_testbed::postgres::types::ToSql + Sync)).collect();
        client.execute(&statement, &values)?;
    }
    show("prepared INSERT, a row each", SINGLE_ROWS, started);
    Ok(())
}

/// Writes 20 000 events a second for longer than the database may take.
fn hang(component: &Component) -> Result {
    const EVENTS: usize = 120_000;
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir()?);
    let options = Options::new().backend("auto").dir(folder.path()).database_url(cluster.database());
    let store = AuditStore::open_with(component, options.warnings(|_| {}))?;
    store.write_batch((0..1_000).map(event).collect())?;
    store.flush()?;
    cluster.pause();
    let handle = store.handle();
    let started = Instant::now();
    let mut times = Vec::with_capacity(EVENTS);
    for n in 0..EVENTS {
        let due = started + Duration::from_micros(50) * n as u32;
        while Instant::now() < due {
            std::thread::yield_now();
        }
        let event = event(n);
        let before = Instant::now();
        handle.write(event);
        times.push(before.elapsed());
    }
    let wrote = started.elapsed();
    let status = handle.status()?;
    cluster.resume();
    store.flush()?;
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{EVENTS} events in {:.1} s while the database hangs (timeout 2 s)", wrote.as_secs_f64());
    println!(
        "  write: median {:?}, p99 {:?}, p99.9 {:?}, longest {:?}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    let counts = status.counts;
    println!("  spooled {}, refused {}", counts.spooled, counts.dropped.queue_full);
    let all = store.entries(Filter::default(), Order::OldestFirst).count();
    println!("  {all} events are read after it has come back");
    store.close()?;
    Ok(())
}
