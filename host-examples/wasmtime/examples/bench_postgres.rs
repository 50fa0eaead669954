//! How many rows a second reach a PostgreSQL through the component, beside the same rows by COPY and by a prepared
//! INSERT of one row, and how long `write` takes while the database hangs. It starts a server of its own, in which a
//! commit waits for the disk. It is one round, of which `cargo xtask bench-postgres` runs several.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use audit_fixtures::{database_options, database_with_table, event};
use audit_host::{AuditStore, Component, Event, Filter, Instance, Options, Order};
use audit_testbed::postgres::types::ToSql;
use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{Cluster, Rows};
use xtask::figures;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const ROWS: usize = 100_000;

/// How many events wait for the database before they are sent. Where more of them wait, more are sent at once.
const BATCHES: [u64; 3] = [50, 500, 5_000];

/// How many rows have a transaction of their own where they are copied in parts.
const COPIED: usize = 500;

/// How many rows the prepared INSERT stores. Each of them costs a commit.
const SINGLE_ROWS: usize = 10_000;

/// The columns that a writer fills, and their types.
const COLUMNS: &str = "
    SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = 'tool_audit_events'::regclass AND attnum > 0 AND attname <> 'id' ORDER BY attnum";

fn main() -> Result {
    let cluster = Cluster::start();
    cluster.set("fsync", "on");
    let component = Component::load(&Options::new())?;
    let events: Vec<Event> = (0..ROWS as u64).map(event).collect();

    let mut source = Source::default();
    for batch in BATCHES {
        let url = database_with_table(&cluster);
        let time = component_takes(&component, &url, batch, &events)?;
        show(&format!("component, batches of {batch}"), ROWS, time);
        if source.rows.is_empty() {
            source = Source::of(&cluster, &url);
        }
    }
    show("COPY, one transaction", ROWS, copy(&mut connect(&cluster)?, &source, ROWS)?);
    let each = format!("COPY, {COPIED} rows in each");
    show(&each, ROWS, copy(&mut connect(&cluster)?, &source, COPIED)?);
    insert(&mut connect(&cluster)?, &source)?;
    hang(&component)
}

/// Prints how many rows a second that was.
fn show(what: &str, rows: usize, time: Duration) {
    figures::print(what, rows as f64 / time.as_secs_f64());
}

/// How long the component takes for the events.
fn component_takes(component: &Component, url: &str, batch: u64, events: &[Event]) -> Result<Duration> {
    let options = Options::new().backend("postgres").batch_size(batch).database_url(url);
    let mut store = Instance::start(component, &options)?;
    // The first event opens the connection.
    store.write(&event(0))?;
    store.flush()?;
    let started = Instant::now();
    for events in events.chunks(5_000) {
        store.write_batch(events)?;
    }
    store.flush()?;
    Ok(started.elapsed())
}

/// The rows as a database has them, for the ways without a component.
#[derive(Default)]
struct Source {
    /// The names of the columns, and their types.
    columns: Vec<[String; 2]>,
    rows: Rows,
}

impl Source {
    fn of(cluster: &Cluster, url: &str) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let columns = cluster.sql(url, COLUMNS).iter().map(|row| [0, 1].map(|n| text(&row[n]))).collect();
        let mut source = Self { columns, rows: Rows::new() };
        let mut rows =
            cluster.sql(url, &format!("SELECT {} FROM tool_audit_events ORDER BY id", source.names()));
        // Without the event that opened the connection.
        source.rows = rows.split_off(1);
        source
    }

    fn names(&self) -> String {
        self.columns.iter().map(|[name, _]| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// A connection to a database with the table and its indexes, as the host makes them.
fn connect(cluster: &Cluster) -> Result<Client> {
    Ok(Client::connect(&database_with_table(cluster), NoTls)?)
}

/// How long COPY takes, with so many rows in each transaction.
fn copy(client: &mut Client, source: &Source, each: usize) -> Result<Duration> {
    let started = Instant::now();
    let mut line = String::new();
    for rows in source.rows.chunks(each) {
        let mut writer =
            client.copy_in(&format!("COPY tool_audit_events ({}) FROM STDIN", source.names()))?;
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
    }
    Ok(started.elapsed())
}

fn insert(client: &mut Client, source: &Source) -> Result {
    let value = |(n, [_, kind]): (usize, &[String; 2])| format!("${}::text::{kind}", n + 1);
    let values = source.columns.iter().enumerate().map(value).collect::<Vec<_>>().join(", ");
    let insert = format!("INSERT INTO tool_audit_events ({}) VALUES ({values})", source.names());
    let statement = client.prepare(&insert)?;
    let started = Instant::now();
    for row in &source.rows[..SINGLE_ROWS] {
        let values: Vec<_> = row.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        client.execute(&statement, &values)?;
    }
    show("prepared INSERT, a row each", SINGLE_ROWS, started.elapsed());
    Ok(())
}

/// Writes 20 000 events a second while the database hangs, for longer than its timeout.
fn hang(component: &Component) -> Result {
    const EVENTS: usize = 120_000;
    let (cluster, folder) = (Cluster::start(), tempfile::tempdir()?);
    let options = database_options("auto", folder.path(), cluster.database());
    let store = AuditStore::open_with(component, options)?;
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
        let event = event(n as u64);
        let before = Instant::now();
        handle.write(event);
        times.push(before.elapsed());
    }
    let status = handle.status()?;
    cluster.resume();
    store.flush()?;
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    for (which, share) in [("median", 0.5), ("99.9 of 100", 0.999), ("longest", 1.0)] {
        figures::print(&format!("hang, {which}"), at(share).as_secs_f64() * 1e6);
    }
    let counts = status.counts;
    let all = store.entries(Filter::default(), Order::OldestFirst).count();
    let expected = 1_000 + EVENTS - counts.dropped.queue_full as usize;
    if all != expected {
        return Err(format!("{all} events are read after the database has come back, not {expected}").into());
    }
    store.close()?;
    Ok(())
}
