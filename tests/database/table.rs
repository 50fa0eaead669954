//! The table as PostgreSQL has it, without the store: what the tests compare with what was written.

use std::collections::{BTreeMap, BTreeSet};

use audit_host::{Entry, Event};
use audit_testbed::Cluster;
use sha2::{Digest, Sha256};

use crate::events::stored;

pub const TABLE: &str = "tool_audit_events";

const ROWS: &str = "
    SELECT to_char(ts AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), req_id, workspace_id, user_id, agent_id,
           tool, action, status, duration_ms, in_size, out_size, input_hash, graph_run_id, graph_node, job_id,
           event_id, chain, seq, hash
    FROM tool_audit_events ORDER BY id";

/// All rows, in the order in which they were inserted.
pub fn rows(cluster: &Cluster, url: &str) -> Vec<Entry> {
    cluster.sql(url, ROWS).into_iter().map(entry).collect()
}

pub fn count(cluster: &Cluster, url: &str) -> u64 {
    number(cluster, url, &format!("SELECT count(*) FROM {TABLE}"))
}

/// How many rows do not follow the one of their chain before them: for tables that are too large to be looked at.
pub fn out_of_order(cluster: &Cluster, url: &str) -> u64 {
    let sql = "SELECT count(*) FROM (
                   SELECT seq, row_number() OVER (PARTITION BY chain ORDER BY id) AS place FROM tool_audit_events
               ) rows WHERE seq <> place - 1";
    number(cluster, url, sql)
}

fn number(cluster: &Cluster, url: &str, sql: &str) -> u64 {
    let rows = cluster.sql(url, sql);
    rows[0][0].as_deref().and_then(|number| number.parse().ok()).expect("it is a number")
}

fn entry(row: Vec<Option<String>>) -> Entry {
    let mut columns = row.into_iter();
    let mut option = || columns.next().expect("there are nineteen columns");
    let mut text = || option().expect("it is not null");
    let number = |text: String| text.parse().expect("it is a number of 64 bits");
    Entry {
        event: Event {
            ts: text(),
            req_id: text(),
            workspace_id: text(),
            user_id: text(),
            agent_id: text(),
            tool: text(),
            action: text(),
            status: text(),
            duration_ms: number(text()),
            in_size: number(text()),
            out_size: number(text()),
            input_hash: text(),
            graph_run_id: option(),
            graph_node: option(),
            job_id: option(),
        },
        id: option().expect("it is not null"),
        chain: option().expect("it is not null"),
        seq: number(option().expect("it is not null")),
        hash: option().expect("it is not null"),
    }
}

/// Checks that each row has its leaf hash, and that each chain is there from its beginning, without a gap, once,
/// and in its order; those `missing` are passed over.
#[track_caller]
pub fn assert_sound(rows: &[Entry], missing: &[u64]) {
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "an entry is there twice");
    let mut chains: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows {
        let next = chains.entry(&row.chain).or_default();
        while missing.contains(next) {
            *next += 1;
        }
        assert_eq!(row.seq, *next, "the next of the chain {}", row.chain);
        *next += 1;
        assert_eq!(row.hash, leaf_hash(row), "{row:?}");
    }
}

/// Checks that the rows are those of the events: all of them, no others, each once, with every value.
#[track_caller]
pub fn assert_same<'e>(rows: &[Entry], events: impl IntoIterator<Item = &'e Event>) {
    let mut found: BTreeMap<&str, &Event> = BTreeMap::new();
    for row in rows {
        assert!(found.insert(&row.event.req_id, &row.event).is_none(), "{} is there twice", row.event.req_id);
    }
    let mut lost = Vec::new();
    for event in events {
        match found.remove(event.req_id.as_str()) {
            Some(row) => assert_eq!(*row, stored(event)),
            None => lost.push(&event.req_id),
        }
    }
    assert!(lost.is_empty(), "{} events are lost, such as {:?}", lost.len(), lost.first());
    assert!(found.is_empty(), "{} events were not accepted, such as {:?}", found.len(), found.keys().next());
}

/// RFC 6962, section 2.1: SHA-256(0x00 || body), from the columns alone.
fn leaf_hash(Entry { event, id, chain, seq, hash: _ }: &Entry) -> String {
    let text = |text: &str| serde_json::to_string(text).expect("a text is JSON");
    let option = |option: &Option<String>| option.as_deref().map_or("null".to_owned(), text);
    let fields = [
        ("ts", text(&event.ts)),
        ("req_id", text(&event.req_id)),
        ("workspace_id", text(&event.workspace_id)),
        ("user_id", text(&event.user_id)),
        ("agent_id", text(&event.agent_id)),
        ("tool", text(&event.tool)),
        ("action", text(&event.action)),
        ("status", text(&event.status)),
        ("duration_ms", event.duration_ms.to_string()),
        ("in_size", event.in_size.to_string()),
        ("out_size", event.out_size.to_string()),
        ("input_hash", text(&event.input_hash)),
        ("graph_run_id", option(&event.graph_run_id)),
        ("graph_node", option(&event.graph_node)),
        ("job_id", option(&event.job_id)),
        ("id", text(id)),
        ("chain", text(chain)),
        ("seq", seq.to_string()),
    ];
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let leaf = format!("\0{{{}}}", fields.join(","));
    Sha256::digest(leaf).iter().map(|byte| format!("{byte:02x}")).collect()
}
