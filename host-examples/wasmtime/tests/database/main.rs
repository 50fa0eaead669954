//! What `Database` promises, on a PostgreSQL of the tests' own.
#![cfg(unix)]

mod arrivals;
mod copy;
mod indexes;
mod insert;
mod obstacles;
mod partitions;
mod poolers;
mod roles;
mod schema;
mod select;
mod servers;
mod sessions;
mod tls;
mod windows;

use std::fmt::Debug;

use audit_fixtures::{Entries as _, database_with_table, every_page};
use audit_host::{Database, Entry, Event, Filter, Order, PageRequest, SinkError};
use audit_testbed::{ANSWER, Cluster};
use uuid::Uuid;

fn open(url: &str) -> Database {
    Database::new(url, ANSWER, ANSWER).unwrap()
}

/// A database with the empty table: its URL, and its `Database`.
fn with_table() -> (&'static Cluster, String, Database) {
    let cluster = Cluster::shared();
    let url = database_with_table(cluster);
    let database = open(&url);
    (cluster, url, database)
}

/// A UUID, in the order of its number.
fn id(n: u128) -> String {
    Uuid::from_u128((7 << 76) + n).to_string()
}

/// The `n`-th entry of a chain.
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

/// The `n`-th entry of a chain, with another tool.
fn entry_of(tool: &str, n: u64) -> Entry {
    let entry = entry(n);
    Entry { event: Event { tool: tool.into(), ..entry.event }, ..entry }
}

/// An event that has another text in every field.
fn event_of_texts(ts: &str) -> Event {
    Event {
        ts: ts.into(),
        req_id: "r".into(),
        workspace_id: "w".into(),
        user_id: "u".into(),
        agent_id: "a".into(),
        tool: "t".into(),
        action: "x".into(),
        status: "ok".into(),
        input_hash: "h".into(),
        graph_run_id: Some("g".into()),
        graph_node: Some("n".into()),
        job_id: Some("j".into()),
        ..Event::default()
    }
}

/// All entries, in pages of this many entries.
fn pages(database: &Database, order: Order, limit: u32) -> Vec<Vec<Entry>> {
    let page = |request: &PageRequest| database.select_entries(Filter::default(), request.clone()).unwrap();
    every_page(order, limit, page).into_iter().map(|page| page.entries).collect()
}

fn read(database: &Database) -> Vec<Entry> {
    pages(database, Order::OldestFirst, 0).concat()
}

fn seqs(database: &Database) -> Vec<u64> {
    read(database).into_iter().map(|entry| entry.seq).collect()
}

/// The text of [`SinkError::Other`], which is one line. With this error the same call would fail again.
#[track_caller]
fn other_error<T: Debug>(answer: Result<T, SinkError>) -> String {
    match answer {
        Err(SinkError::Other(text)) => {
            assert!(!text.contains('\n'), "{text}");
            text
        }
        answer => panic!("{answer:?}"),
    }
}

/// Checks that the answer is [`SinkError::Unavailable`], whose text has these parts and is one line. With this error
/// nothing was stored, and the same call may succeed later.
#[track_caller]
fn assert_unavailable<T: Debug>(answer: Result<T, SinkError>, parts: &[&str]) {
    match answer {
        Err(SinkError::Unavailable(text)) => assert_says(&text, parts),
        answer => panic!("{answer:?}"),
    }
}

/// Checks that the answer is [`SinkError::Unanswered`], with such a text. With this error rows may be stored or not.
#[track_caller]
fn assert_unanswered<T: Debug>(answer: Result<T, SinkError>, parts: &[&str]) {
    match answer {
        Err(SinkError::Unanswered(text)) => assert_says(&text, parts),
        answer => panic!("{answer:?}"),
    }
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    assert!(!text.contains('\n') && parts.iter().all(|part| text.contains(part)), "{text}");
}
