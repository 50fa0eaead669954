//! The promises of `Database`, on a PostgreSQL of the tests' own.
#![cfg(unix)]

mod insert;
mod roles;
mod schema;
mod select;
mod servers;
mod tls;

use std::time::Duration;

use audit_host::{Database, Entry, Event, Filter, Order, PageRequest};
use audit_testbed::Cluster;
use uuid::Uuid;

/// Long enough for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

fn open(url: &str) -> Database {
    Database::new(url, PATIENCE, PATIENCE).unwrap()
}

/// The URL of a database with the table, and its `Database`.
fn with_table() -> (&'static Cluster, String, Database) {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let database = open(&url);
    database.insert(vec![entry(0)]).unwrap();
    cluster.execute(&url, "TRUNCATE tool_audit_events RESTART IDENTITY");
    (cluster, url, database)
}

fn id(n: u128) -> String {
    Uuid::from_u128((7 << 76) + n).to_string()
}

/// An entry of one chain.
fn entry(n: u64) -> Entry {
    let event = Event {
        ts: format!("2026-11-23T06:30:00.{n:06}Z"),
        agent_id: "planner".into(),
        tool: "search".into(),
        duration_ms: n,
        job_id: Some("job".into()),
        ..Event::default()
    };
    Entry { event, id: id(n.into()), chain: id(1 << 64), seq: n, hash: format!("{n:064x}") }
}

fn tool(n: u64, tool: &str) -> Entry {
    let entry = entry(n);
    Entry { event: Event { tool: tool.into(), ..entry.event }, ..entry }
}

fn page(database: &Database, order: Order, limit: u32) -> Vec<Vec<Entry>> {
    let mut pages = Vec::new();
    let mut request = PageRequest { order, limit, cursor: None };
    loop {
        let page = database.select(Filter::default(), request.clone()).unwrap();
        pages.push(page.entries);
        assert!(pages.len() < 1000, "it does not end");
        request.cursor = page.next;
        if request.cursor.is_none() {
            return pages;
        }
    }
}

fn read(database: &Database) -> Vec<Entry> {
    page(database, Order::OldestFirst, 0).concat()
}

fn seqs(database: &Database) -> Vec<u64> {
    read(database).into_iter().map(|entry| entry.seq).collect()
}

/// The one value of an answer.
fn value(cluster: &Cluster, url: &str, sql: &str) -> String {
    cluster.sql(url, sql)[0][0].clone().unwrap_or_default()
}

/// `url` for another user.
fn as_user(url: &str, user: &str, password: &str) -> String {
    let (_, rest) = url.split_once('@').unwrap();
    format!("postgres://{user}:{password}@{rest}")
}
