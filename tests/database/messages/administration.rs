//! What the host does with a database for commands other than those that write to a store. What a fault has interrupted is
//! done again.

use std::fmt::Debug;

use audit_fixtures::{Entries, ImportRow, numbered};
use audit_host::{Database, Filter, SinkError};
use audit_testbed::wait_for;
use uuid::Uuid;

use super::place::{Place, Table};
use super::{Run, Scenario, Variant};

const ROWS: u64 = 30;

/// Rows of three days, as the original program leaves them.
const OLD_ROWS: &str = "
    INSERT INTO tool_audit_events (ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size,
        out_size, input_hash)
    SELECT now() - n % 3 * interval '1 day', n, '', '', '', 'old', '', 'ok', n, 0, 0, '' FROM generate_series(1, 30) AS n";

pub fn all() -> Vec<Scenario> {
    let all: [(&'static str, Run); 7] = [
        ("an import", import),
        ("a migration", migrate),
        ("partitioning", partition),
        ("building an index", index),
        ("removing rows", delete),
        ("questions about the table", ask),
        ("following what comes", follow),
    ];
    all.map(|(name, run)| Scenario { name, backend: "postgres", run }).into()
}

/// Calls until the call succeeds. After an error that says that nothing was done, `undone` checks that.
fn again<T>(
    place: &Place,
    mut call: impl FnMut() -> Result<T, SinkError>,
    mut undone: impl FnMut(&str),
) -> T {
    let mut in_doubt = false;
    wait_for(|| match call() {
        Ok(value) => Ok(value),
        Err(SinkError::Unavailable(text)) => {
            place.calm();
            if !in_doubt {
                undone(&text);
            }
            place.heal();
            Err(text)
        }
        Err(SinkError::Unanswered(text)) => {
            in_doubt = true;
            place.heal();
            Err(text)
        }
        Err(error) => panic!("{error:?}"),
    })
}

/// Asks until there is an answer. A question is never in doubt.
fn answer<T: Debug>(place: &Place, mut call: impl FnMut() -> Result<T, SinkError>) -> T {
    wait_for(|| match call() {
        Ok(value) => Ok(value),
        Err(SinkError::Unavailable(text)) => {
            place.heal();
            Err(text)
        }
        Err(error) => panic!("{error:?}"),
    })
}

fn filled(place: &Place) -> Database {
    place.table(Table::Original);
    place.sql(OLD_ROWS);
    place.database()
}

fn import(place: &Place, variant: &Variant) {
    place.table(if variant.killed { Table::None } else { Table::Usual });
    let row = |n| ImportRow::Foreign {
        event: numbered("import", n),
        key: Uuid::from_u128(1 << 64 | u128::from(n)),
    };
    let rows: Vec<ImportRow> = (0..ROWS).map(row).collect();
    let mut database = place.database();
    place.begin();
    again(
        place,
        || {
            if variant.killed {
                database = place.database();
            }
            let imported = database.import_rows(&rows)?;
            assert_eq!(imported.refused, []);
            Ok(())
        },
        |text| assert_eq!(place.count(), 0, "something is stored after all: {text}"),
    );
    assert_eq!(place.count(), ROWS);
    place.heal();
    let repeated = again(place, || database.import_rows(&rows), |_| {});
    assert_eq!((repeated.stored, repeated.refused, place.count()), (0, Vec::new(), ROWS));
}

fn migrate(place: &Place, _: &Variant) {
    let database = filled(place);
    place.begin();
    again(place, || database.migrate(), |_| {});
    place.heal();
    assert_eq!(again(place, || database.migrate(), |_| {}), Vec::<String>::new());
    assert_eq!((place.count(), answer(place, || database.obstacle())), (ROWS, None));
}

fn partition(place: &Place, _: &Variant) {
    let database = filled(place);
    place.begin();
    again(place, || database.partition(), |_| {});
    place.heal();
    assert_eq!(again(place, || database.partition(), |_| {}), Vec::<String>::new());
    assert_eq!((place.count(), answer(place, || database.obstacle())), (ROWS, None));
}

fn index(place: &Place, _: &Variant) {
    let database = filled(place);
    again(place, || database.migrate(), |_| {});
    place.begin();
    again(place, || database.add_indexes(&["user_id"]), |_| {});
    place.heal();
    assert_eq!(again(place, || database.add_indexes(&["user_id"]), |_| {}), Vec::<String>::new());
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!((place.count(), place.number(invalid)), (ROWS, 0));
}

fn delete(place: &Place, _: &Variant) {
    let database = filled(place);
    again(place, || database.migrate(), |_| {});
    place.begin();
    again(
        place,
        || database.delete(&[[1, 10], [21, 25]]),
        |text| assert_eq!(place.count(), ROWS, "rows were removed after all: {text}"),
    );
    assert_eq!(place.count(), ROWS - 15);
}

fn ask(place: &Place, _: &Variant) {
    let database = filled(place);
    again(place, || database.migrate(), |_| {});
    place.begin();
    assert_eq!(answer(place, || database.obstacle()), None);
    assert_eq!(answer(place, || database.size()).rows, Some(ROWS));
    let chain = Uuid::nil().to_string();
    assert_eq!(answer(place, || database.refused(&chain)), Vec::<u64>::new());
    assert_eq!(answer(place, || database.number_of(&chain)), None);
    assert!(answer(place, || database.may_delete()));
    assert_eq!(answer(place, || database.numbered(&[[3, 7]], 10)).rows.len(), 5);
}

fn follow(place: &Place, _: &Variant) {
    let database = filled(place);
    again(place, || database.migrate(), |_| {});
    place.begin();
    let mut since = answer(place, || database.arrivals());
    let mut found = Vec::new();
    for _ in 0..3 {
        place.sql(OLD_ROWS);
        wait_for(|| {
            let page = answer(place, || database.arrived(Filter::default(), &mut since));
            found.extend(page.lines.lines().map(str::to_owned));
            if (found.len() as u64).is_multiple_of(ROWS) && page.count > 0 {
                Ok(())
            } else {
                Err("some are missing")
            }
        });
    }
    assert_eq!(found.len() as u64, 3 * ROWS);
    let numbers: std::collections::BTreeSet<&String> = found.iter().collect();
    assert_eq!(numbers.len(), found.len(), "a row was found twice");
}
