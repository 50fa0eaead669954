//! A table that the original program has made and filled is upgraded, and its rows are read with the new ones.

use audit_fixtures::{database_options, random_event, stored};
use audit_format::event::Field;
use audit_format::time::Timestamp;
use audit_host::{Event, Filter, Order};
use audit_testbed::{ANSWER, Cluster, DATABASE_BACKENDS, NEVER, ORIGINAL_TABLE, Rng, TABLE};

use crate::client::{Client, WAYS, Way};

/// An event as both programs write them: old and new rows have the same times, and match the same filters.
fn sample(rng: &mut Rng, n: u32) -> Event {
    Event {
        ts: format!("2026-11-23T12:00:{:02}.5Z", n % 7),
        tool: ["shell", "検索"][n as usize % 2].into(),
        duration_ms: 5,
        in_size: u64::from(n),
        out_size: i32::MAX as u64,
        ..random_event(rng, format!("{n:03}"))
    }
}

/// Inserts events as the original program does.
fn insert(cluster: &Cluster, url: &str, events: &[Event]) {
    let columns = Field::NAMES.join(", ");
    let json = serde_json::to_string(events).unwrap().replace('\'', "''");
    let rows = format!("json_populate_recordset(NULL::{TABLE}, '{json}')");
    cluster.execute(url, &format!("INSERT INTO {TABLE} ({columns}) SELECT {columns} FROM {rows}"));
}

#[test]
fn the_original_table_is_upgraded_and_its_rows_are_read_with_the_new_ones() {
    for backend in DATABASE_BACKENDS {
        for way in WAYS {
            run(backend, way);
        }
    }
}

fn run(backend: &str, way: Way) {
    let mut rng = Rng::with_seed(7);
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = cluster.database();
    cluster.execute(&url, ORIGINAL_TABLE);
    let old = (0..20).map(|n| Event { attributes: Vec::new(), ..sample(&mut rng, n) });
    let old: Vec<Event> = old.collect();
    insert(cluster, &url, &old);

    let options = database_options(backend, folder.path(), &url);
    let options = options.flush_interval(NEVER).batch_size(10).database_timeout(ANSWER);
    let mut client = Client::open(way, options);
    let huge = Event { in_size: u64::MAX, ..sample(&mut rng, 100) };
    let new: Vec<Event> = (20..59).map(|n| sample(&mut rng, n)).chain([huge]).collect();
    client.write_batch(&new).unwrap();
    client.flush().unwrap();
    assert_eq!((client.status().counts.stored, cluster.stored(&url)), (40, 60));

    // While the table can be read but refuses writes, the new events are in the spool or in memory.
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
    // Entries are ordered by `ts`. Of one time, the rows of the original program come first, in their order, and then the
    // new ones in the order in which they were written.
    expected.sort_by_key(|(event, own)| (Timestamp::parse(&event.ts).unwrap().micros(), *own));
    assert_reads(&mut client, &expected);

    cluster.accept_writes(&url, TABLE);
    client.settle();
    assert_reads(&mut client, &expected);
    assert_eq!(cluster.stored(&url), 80);
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
                let found = client.read_all(filter, order, limit);
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
