//! A table that another program made and wrote to, before the store had one: it is upgraded, and read with the rest.

use audit_format::time::Timestamp;
use audit_host::{Entry, Event, Filter, Options, Order, PageRequest};
use audit_testbed::{Cluster, Rng};

use crate::client::{ANSWER, BACKENDS, Client, NEVER, Way};
use crate::events::{event, stored};
use crate::table::{TABLE, count};

const DDL: &str = "
    CREATE TABLE tool_audit_events (
        id BIGSERIAL PRIMARY KEY,
        ts TIMESTAMPTZ NOT NULL,
        req_id TEXT NOT NULL,
        workspace_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        tool TEXT NOT NULL,
        action TEXT NOT NULL,
        status TEXT NOT NULL,
        duration_ms INT NOT NULL,
        in_size INT NOT NULL,
        out_size INT NOT NULL,
        input_hash TEXT NOT NULL,
        graph_run_id TEXT,
        graph_node TEXT,
        job_id TEXT
    );
    CREATE INDEX ON tool_audit_events (ts);
    CREATE INDEX ON tool_audit_events (tool, ts);
    CREATE INDEX ON tool_audit_events (agent_id, ts);
    CREATE INDEX ON tool_audit_events (workspace_id, ts)";

/// What both writers share, so that old and new rows meet at one `ts`, and under one filter.
fn sample(rng: &mut Rng, n: u32) -> Event {
    Event {
        ts: format!("2026-11-23T12:00:{:02}.5Z", n % 7),
        tool: ["shell", "検索"][n as usize % 2].into(),
        duration_ms: 5,
        in_size: u64::from(n),
        out_size: i32::MAX as u64,
        ..event(rng, format!("{n:03}"))
    }
}

fn insert(cluster: &Cluster, url: &str, event: &Event) {
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let option = |value: &Option<String>| value.as_deref().map_or("NULL".into(), text);
    let texts = [
        &event.ts,
        &event.req_id,
        &event.workspace_id,
        &event.user_id,
        &event.agent_id,
        &event.tool,
        &event.action,
        &event.status,
    ];
    let numbers = [event.duration_ms, event.in_size, event.out_size].map(|number| number.to_string());
    let options = [&event.graph_run_id, &event.graph_node, &event.job_id].map(option);
    let values =
        [&texts.map(|value| text(value))[..], &numbers, &[text(&event.input_hash)], &options].concat();
    let columns = "ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size, out_size, \
                   input_hash, graph_run_id, graph_node, job_id";
    cluster.execute(url, &format!("INSERT INTO {TABLE} ({columns}) VALUES ({})", values.join(", ")));
}

#[test]
fn an_original_table_is_upgraded_and_its_rows_are_read_with_the_new_ones() {
    for backend in BACKENDS {
        for way in [Way::Instance, Way::Store] {
            run(backend, way);
        }
    }
}

fn run(backend: &str, way: Way) {
    let mut rng = Rng::with_seed(7);
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = cluster.database();
    cluster.execute(&url, DDL);
    let old: Vec<Event> = (0..20).map(|n| sample(&mut rng, n)).collect();
    old.iter().for_each(|event| insert(cluster, &url, event));

    let options = Options::new().backend(backend).dir(folder.path()).database_url(&url);
    let options = options.flush_interval(NEVER).batch_size(10).database_timeout(ANSWER).warnings(|_| ());
    let mut client = Client::open(way, options);
    let huge = Event { in_size: u64::MAX, ..sample(&mut rng, 100) };
    let new: Vec<Event> = (20..59).map(|n| sample(&mut rng, n)).chain([huge]).collect();
    client.write_batch(&new).unwrap();
    client.flush().unwrap();
    assert_eq!((client.status().counts.stored, count(cluster, &url)), (40, 60));

    // The table may be read, and takes nothing: these are in the spool, or in memory.
    cluster.refuse_writes(&url, TABLE);
    let waiting: Vec<Event> = (60..80).map(|n| sample(&mut rng, n)).collect();
    client.write_batch(&waiting).unwrap();
    let counts = client.status().counts;
    assert_eq!(counts.spooled + counts.pending, 20, "{backend}");
    assert_eq!(counts.spooled, if backend == "auto" { 20 } else { 0 });
    let mut expected = Vec::new();
    for (group, events) in [&old[..], &new, &waiting].into_iter().enumerate() {
        expected.extend(events.iter().map(|event| (stored(event), group > 0)));
    }
    // By `ts`; then those of the other writer by their position, then by `id`, which is as they were written.
    expected.sort_by_key(|(event, own)| (Timestamp::parse(&event.ts).unwrap().micros(), *own));
    assert_reads(&mut client, &expected);

    cluster.accept_writes(&url, TABLE);
    client.settle();
    assert_reads(&mut client, &expected);
    assert_eq!(count(cluster, &url), 80);
}

fn assert_reads(client: &mut Client, expected: &[(Event, bool)]) {
    let some = |text: &str| Some(text.to_owned());
    let filters = [
        Filter::default(),
        Filter { tool: some("検索"), ..Filter::default() },
        Filter { tool: some("shell"), from_ts: some("2026-11-23T12:00:02.500000Z"), ..Filter::default() },
        Filter { to_ts: some("2026-11-23T12:00:03.500000Z"), agent_id: some("planner"), ..Filter::default() },
        Filter { graph_node: some("ok"), ..Filter::default() },
        Filter { from_ts: some("2026-11-24"), ..Filter::default() },
    ];
    for filter in &filters {
        let matches =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        let mut wanted: Vec<&(Event, bool)> = expected.iter().collect();
        wanted.retain(|(event, _)| {
            filter.from_ts.as_deref().is_none_or(|from| event.ts.as_str() >= from)
                && filter.to_ts.as_deref().is_none_or(|to| event.ts.as_str() <= to)
                && matches(&filter.tool, &event.tool)
                && matches(&filter.agent_id, &event.agent_id)
                && (filter.graph_node.is_none() || filter.graph_node == event.graph_node)
        });
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for limit in [0, 1, 7] {
                let found = read_all(client, filter, order, limit);
                assert_eq!(found.len(), wanted.len(), "{filter:?}, {order:?}, {limit}");
                for (entry, (event, own)) in found.iter().zip(&wanted) {
                    assert_eq!(
                        (&entry.event, !entry.id.is_empty()),
                        (event, *own),
                        "{filter:?}, {order:?}, {limit}"
                    );
                }
            }
            wanted.reverse();
        }
    }
}

/// Everything that matches, page by page.
pub fn read_all(client: &mut Client, filter: &Filter, order: Order, limit: u32) -> Vec<Entry> {
    let mut request = PageRequest { order, limit, cursor: None };
    let mut entries = Vec::new();
    loop {
        let page = match client {
            Client::Instance(instance) => instance.read(filter, &request),
            Client::Store(store) => store.read(filter, request.clone()),
        };
        let page = page.expect("a read succeeds");
        assert_eq!(page.skipped, 0);
        entries.extend(page.entries);
        request.cursor = page.next;
        if request.cursor.is_none() {
            return entries;
        }
    }
}
