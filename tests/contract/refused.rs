//! Batches with rows that the database refuses, while it fails at something else too: such as at keeping what is known of
//! them in `tool_audit_refused`.

use audit_fixtures::assert_balanced;
use audit_host::Error;
use audit_testbed::{Cluster, wait_for};
use serde_json::{Value, json};

use crate::hosts::{Host, Opening, Store};
use crate::{cases, new_table};

/// The tool of the events that the table refuses.
const REFUSED: &str = "refused";

/// Has the table fail as PL/pgSQL says that keeps what is known of refused events.
const KEEPING: &str = "
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN BODY; RETURN NEW; END $$;
    CREATE TRIGGER fail BEFORE INSERT ON tool_audit_refused FOR EACH ROW EXECUTE FUNCTION fail()";
const WORKS_AGAIN: &str = "DROP FUNCTION fail CASCADE";

/// Has `missing.sql` fail as PL/pgSQL says, where it finds a row.
const TELLING: &str = "
    CREATE FUNCTION tell() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
        IF current_query() LIKE '%batch.index%' THEN BODY; END IF;
        RETURN TRUE;
    END $$;
    ALTER TABLE tool_audit_events RENAME TO behind;
    CREATE VIEW tool_audit_events AS SELECT * FROM behind WHERE tell()";
const TELLS_AGAIN: &str = "
    DROP VIEW tool_audit_events;
    DROP FUNCTION tell;
    ALTER TABLE behind RENAME TO tool_audit_events";

/// Has the table fail as PL/pgSQL says where it gets an event of the tool `fails`.
const STORING: &str = "
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN BODY; RETURN NEW; END $$;
    CREATE TRIGGER fail BEFORE INSERT ON tool_audit_events FOR EACH ROW WHEN (NEW.tool = 'fails')
        EXECUTE FUNCTION fail()";

/// A refused event counts as dropped once the hole that it leaves in its chain is explained, and no row behind it is stored
/// before. Until then the call fails, and says what of the batch may be stored.
pub fn assert_refused(host: &Host) {
    let mut opener = (host.start)();
    let cluster = Cluster::shared();
    for &backend in host.backends.iter().filter(|backend| backend.needs_database()) {
        let url = cluster.database();
        for case in cases(include_str!("refused.json")) {
            let context = format!("{}, {backend:?}, {}", host.folder, case["name"]);
            let folder = tempfile::tempdir().unwrap();
            new_table(&url);
            let opening = Opening { backend, dir: folder.path(), database_url: Some(&url) };
            let mut store = opener.open(&opening);
            store.write_batch(&[json!({"req_id": "first"})]).unwrap();
            store.flush().unwrap();
            let fails = backend.name() == "postgres";
            run(&context, &case, &url, fails, &mut *store);
        }
    }
}

/// `fails`: a flush is an error while the database takes no events.
fn run(context: &str, case: &Value, url: &str, fails: bool, store: &mut dyn Store) {
    let cluster = Cluster::shared();
    match case["by"].as_str() {
        Some("constraint") => cluster.refuse_tool(url, REFUSED),
        _ => cluster.drop_tool(url, REFUSED),
    }
    let faults = [
        ("keeping", KEEPING, WORKS_AGAIN),
        ("telling", TELLING, TELLS_AGAIN),
        ("storing", STORING, WORKS_AGAIN),
    ];
    let (fault, end) = faults
        .into_iter()
        .find_map(|(name, begin, end)| Some((begin.replace("BODY", case[name].as_str()?), end)))
        .expect("a case has a fault");
    cluster.execute(url, &fault);
    let tools: Vec<&str> =
        case["tools"].as_array().unwrap().iter().map(|tool| tool.as_str().unwrap()).collect();
    let events: Vec<Value> =
        tools.iter().enumerate().map(|(n, tool)| json!({"req_id": n.to_string(), "tool": tool})).collect();
    let holes: Vec<usize> = (0..tools.len()).filter(|n| tools[*n] == REFUSED).collect();
    store.write_batch(&events).unwrap();
    let flushed = store.flush();
    let rows = || cluster.column(url, "SELECT req_id FROM tool_audit_events ORDER BY tool_audit_events.id");
    let explained = || cluster.column(url, "SELECT seq FROM tool_audit_refused ORDER BY seq");
    let counts = store.status().counts;
    assert_balanced(&counts);
    let stored = case["stored"].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
    let stored: Vec<&str> = std::iter::once("first").chain(stored).collect();
    assert_eq!(rows(), stored, "{context}, {flushed:?}");
    let known = case["explained"].as_array().into_iter().flatten().map(|seq| seq.as_str().unwrap());
    assert_eq!(explained(), known.collect::<Vec<_>>(), "{context}");
    let is_passing = case["error"].is_string();
    let dropped = if is_passing { 0 } else { holes.len() as u64 };
    assert_eq!(counts.dropped.unwritable, dropped, "{context}: {counts:?}, {flushed:?}");
    assert!(counts.stored <= rows().len() as u64, "{context}: {counts:?}");
    match (&flushed, case["error"].as_str().filter(|_| fails)) {
        (Ok(()), None) => {}
        (Err(Error::Unavailable(_)), Some("unavailable")) => {}
        (Err(Error::Unanswered(_)), Some("unanswered")) => {}
        (flushed, expected) => panic!("{context}: {flushed:?} and not {expected:?}"),
    }

    cluster.execute(url, end);
    let counts = wait_for(|| {
        let _ = store.flush();
        let counts = store.status().counts;
        let settled = counts.stored + counts.dropped.unwritable == counts.received;
        if settled { Ok(counts) } else { Err(format!("{context}: {counts:?}")) }
    });
    let left = (0..tools.len()).filter(|n| !holes.contains(n)).map(|n| n.to_string());
    let left: Vec<String> = std::iter::once("first".into()).chain(left).collect();
    assert_eq!(rows(), left, "{context}");
    let whole = 1 + tools.len() as u64;
    let lost = holes.len() as u64;
    assert_eq!(
        (counts.received, counts.stored, counts.dropped.unwritable),
        (whole, whole - lost, lost),
        "{context}"
    );
    let seqs: Vec<String> = holes.iter().filter(|_| is_passing).map(|n| (n + 1).to_string()).collect();
    assert_eq!(explained(), seqs, "{context}");
}
