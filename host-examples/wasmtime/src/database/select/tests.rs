//! The cost of a page does not depend on the size of the table.
#![cfg(unix)]

use std::time::Duration;

use audit_format::cursor::Position;
use audit_format::event::Field;
use audit_format::time::Timestamp;
use audit_testbed::Cluster;
use audit_testbed::postgres::{Client, NoTls};
use uuid::Uuid;

use super::*;
use crate::{Database, Order};

fn plan_of(client: &mut Client, sql: &str, selecting: &Selecting, whole: bool) -> String {
    let most = i64::from(selecting.limit) + 1;
    let mut values: Vec<(&(dyn ToSql + Sync), Type)> =
        selecting.filter.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
    if whole {
        values.extend([(&selecting.cursor as &(dyn ToSql + Sync), Type::TEXT), (&most, Type::INT8)]);
    }
    let rows = client.query_typed(sql, &values).unwrap();
    rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect()
}

fn plan(client: &mut Client, filter: &Filter, page: &PageRequest) -> String {
    let selecting = Selecting::new(filter, page).unwrap();
    let sql = format!("EXPLAIN (ANALYZE, BUFFERS OFF) {}", statements::select(selecting.order));
    plan_of(client, &sql, &selecting, true)
}

/// Asserts that the plan reads little more than the rows of the page, and not those before or after it.
#[track_caller]
fn assert_few_rows(plan: &str) {
    let actual = plan.split("actual time=").skip(1).filter_map(|node| node.split("rows=").nth(1));
    let removed = plan.split("Rows Removed by Filter: ").skip(1);
    for count in actual.chain(removed) {
        let digits = count.split(|sign: char| !sign.is_ascii_digit()).next();
        let count: u32 = digits.and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX);
        assert!(count < 200, "{plan}");
    }
}

#[test]
fn pages_are_found_by_an_index() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    let database = Database::new(&url, Duration::from_secs(20), Duration::from_secs(20)).unwrap();
    // The first row creates the table.
    database
        .import(format!("{{\"ts\":\"2026-11-22T00:00:00Z\",\"id\":\"{}\"}}\n", Uuid::from_u128(1)))
        .unwrap();
    cluster.execute(
        &url,
        "INSERT INTO tool_audit_events (ts, tool, agent_id, workspace_id, event_id, chain, seq, hash)
         SELECT timestamptz '2026-11-23Z' + n / 3 * interval '1 ms', 'tool ' || n % 1000,
                'agent ' || n % 1000, 'workspace ' || n % 1000,
                CASE WHEN n % 10 > 0 THEN gen_random_uuid() END, gen_random_uuid(), n, ''
         FROM generate_series(1, 60000) n;
         ANALYZE tool_audit_events",
    );
    let mut client = Client::connect(&url, NoTls).unwrap();
    // Plans show times in this zone. The default is that of the machine.
    client.batch_execute("SET TimeZone = 'UTC'").unwrap();
    let with = |field, text: &str| Filter { texts: vec![(field, text.to_owned())], ..Filter::default() };
    let filters = [
        (Filter::default(), "tool_audit_events_ts_idx"),
        (with(Field::Tool, "tool 7"), "tool_audit_events_tool_ts_idx"),
        (with(Field::AgentId, "agent 7"), "tool_audit_events_agent_id_ts_idx"),
        (with(Field::WorkspaceId, "workspace 7"), "tool_audit_events_workspace_id_ts_idx"),
    ];
    for (filter, index) in &filters {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let mut page = PageRequest { limit: 10, order, cursor: None };
            // The cursors lead to the middle of the table, behind an entry and behind a row of another
            // writer.
            for _ in 0..3 {
                let plan = plan(&mut client, filter, &page);
                assert!(plan.contains(index), "{plan}");
                assert_few_rows(&plan);
                let next = database.read(filter.clone(), page.clone()).unwrap().next.unwrap();
                page.cursor = Some(next);
            }
        }
    }
    let middle = Timestamp::parse("2026-11-23T00:00:10Z").unwrap();
    for id in [None, Some(Uuid::from_u128(1))] {
        for (order, bound) in [(Order::OldestFirst, "ts >="), (Order::NewestFirst, "ts <=")] {
            let key = Key { at: middle, id, position: Position { day: 0, offset: 30_000 } };
            let cursor = Some(key.to_row_cursor());
            let plan = plan(&mut client, &Filter::default(), &PageRequest { limit: 100, order, cursor });
            assert!(plan.contains("tool_audit_events_ts_idx") && plan.contains("Incremental Sort"), "{plan}");
            let condition = plan.lines().find(|line| line.contains("Index Cond")).unwrap();
            assert!(condition.contains(&format!("{bound} ('2026-11-23T00:00:10.000000Z'")), "{plan}");
            assert_few_rows(&plan);
        }
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let key = Key { at: middle, id: None, position: Position::default() };
        let (none, cursor) = (None::<String>, Some(key.to_row_cursor()));
        let values: [(&(dyn ToSql + Sync), Type); 4] =
            [(&none, Type::TEXT), (&none, Type::TEXT), (&cursor, Type::TEXT), (&100_i64, Type::INT8)];
        let sql = format!("EXPLAIN (ANALYZE, BUFFERS OFF) {}", statements::window(order.into()));
        let rows = client.query_typed(&sql, &values).unwrap();
        let plan: String = rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect();
        assert!(plan.contains("tool_audit_events_ts_idx"), "{plan}");
        assert_few_rows(&plan);
    }
    let whole = Selecting::new(&Filter::default(), &PageRequest::default()).unwrap();
    let plan = plan_of(&mut client, &format!("EXPLAIN {}", statements::COUNT_TIMELESS), &whole, false);
    assert!(!plan.contains("Seq Scan"), "{plan}");
}
