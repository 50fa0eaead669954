//! Where a server is away, hangs, restarts or takes too long, a call ends in time, and the next one works.

use audit_fixtures::Entries as _;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use audit_host::{Database, Filter, PageRequest};
use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{ANSWER, Cluster, NOWHERE, Proxy, Stop, database_name, wait_for, wait_until};

use crate::{assert_unanswered, assert_unavailable, entry, open, seqs, with_table};

/// The timeout in tests that run into it.
const SHORT: Duration = Duration::from_millis(600);

/// How much later than its timeout a call may end on a busy machine.
const LATE: Duration = Duration::from_secs(5);

fn short(url: &str) -> Database {
    Database::new(url, SHORT, SHORT).unwrap()
}

/// Inserts into a database that answers. On a busy machine, an answer may come too late for the short timeout.
#[track_caller]
fn insert_soon(database: &Database, n: u64) {
    wait_for(|| database.insert_entries(vec![entry(n)]));
}

#[track_caller]
fn assert_in_time(asked: Instant) {
    let took = asked.elapsed();
    assert!(took >= SHORT && took < SHORT + LATE, "{took:?}");
}

#[test]
fn a_server_that_cannot_be_reached_is_unavailable() {
    let database = open(&format!("postgres://audit:secret@{NOWHERE}/audit"));
    let said = [NOWHERE, "Connection refused"];
    assert_unavailable(database.insert_entries(vec![entry(0)]), &said);
    assert_unavailable(database.select_entries(Filter::default(), PageRequest::default()), &said);
}

#[test]
fn a_name_is_told_once_it_leads_to_a_host_and_each_of_its_addresses_is_tried() {
    let (cluster, url, _) = with_table();
    // The server listens on 127.0.0.1 alone, and the name may lead to ::1 first.
    let database = open(&url.replace("@127.0.0.1:", "@localhost:"));
    assert_eq!(database.insert_entries(vec![entry(0)]), Ok(Vec::new()));
    let hosts = format!("@pass.word.invalid,localhost:{}/", cluster.port());
    let hosts = url.replace(&format!("@127.0.0.1:{}/", cluster.port()), &hosts);
    assert_eq!(open(&hosts).insert_entries(vec![entry(1)]), Ok(Vec::new()));

    let nowhere = open("postgres://audit:pa@ss.word.invalid:6432/audit");
    let said = ["(the host that the database URL names)", "write an @ in the password as %40"];
    assert_unavailable(nowhere.insert_entries(vec![entry(0)]), &said);
    assert_eq!(format!("{nowhere:?}").matches("word").count(), 0, "{nowhere:?}");
    let said = ["(another host that the database URL names, localhost:1): ", "Connection refused", "%40"];
    let both = open("postgres://audit@pass.word.invalid:6432,localhost:1/audit");
    assert_unavailable(both.insert_entries(vec![entry(0)]), &said);
}

#[test]
fn a_server_that_accepts_and_never_answers_costs_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for parameters in ["", "?sslmode=disable"] {
        let database = short(&format!("postgres://audit@127.0.0.1:{port}/audit{parameters}"));
        let server = format!("127.0.0.1:{port}");
        let said = ["does not answer within 600 ms", &server];
        let asked = Instant::now();
        assert_unavailable(database.insert_entries(vec![entry(0)]), &said);
        assert_in_time(asked);
        let asked = Instant::now();
        assert_unavailable(database.select_entries(Filter::default(), PageRequest::default()), &said);
        assert_in_time(asked);
    }
}

#[test]
fn one_of_several_hosts_that_answers_is_enough() {
    let url = Cluster::shared().database();
    let database = open(&url.replace("@127.0.0.1", &format!("@{NOWHERE},127.0.0.1")));
    assert_eq!(database.insert_entries(vec![entry(0)]), Ok(Vec::new()));
}

#[test]
fn a_host_that_never_answers_costs_only_its_share_of_the_time() {
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_, url, _) = with_table();
    let hosts = format!("@{},127.0.0.1", hung.local_addr().unwrap());
    let both = Duration::from_secs(4);
    let database = Database::new(&url.replace("@127.0.0.1", &hosts), both, both).unwrap();
    let asked = Instant::now();
    assert_eq!(database.insert_entries(vec![entry(0)]), Ok(Vec::new()));
    assert!(asked.elapsed() >= both / 2, "the first host was not asked");
    let asked = Instant::now();
    assert_eq!(database.insert_entries(vec![entry(1)]), Ok(Vec::new()));
    assert!(asked.elapsed() < both / 2, "the connection is not kept");
    // The URL can set the time of each host.
    let url = url.replace("@127.0.0.1", &hosts) + "?connect_timeout=1&target_session_attrs=read-write";
    assert_eq!(seqs(&Database::new(&url, both, both).unwrap()), [0, 1]);
}

#[test]
fn any_of_several_hosts_may_be_asked_first() {
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    hung.set_nonblocking(true).unwrap();
    let (cluster, url, _) = with_table();
    let hosts = format!("@127.0.0.1:{},{}/", cluster.port(), hung.local_addr().unwrap());
    let url = url.replace(&format!("@127.0.0.1:{}/", cluster.port()), &hosts);
    let database = |parameters| {
        let url = format!("{url}{parameters}");
        Database::new(&url, Duration::from_secs(4), ANSWER).unwrap()
    };
    assert_eq!(database("").insert_entries(vec![entry(0)]), Ok(Vec::new()));
    assert!(hung.accept().is_err(), "the second host was asked first");
    for n in 0.. {
        assert!(n < 100, "the second host is never asked first");
        assert_eq!(database("?load_balance_hosts=random").insert_entries(vec![entry(n)]), Ok(Vec::new()));
        if hung.accept().is_ok() {
            break;
        }
    }
}

#[test]
fn a_hung_connection_is_not_used_again() {
    let (cluster, url, _) = with_table();
    let proxy = Proxy::to(cluster.port());
    let database = short(&proxy.url(&url));
    insert_soon(&database, 0);
    let connections = "SELECT pid FROM pg_stat_activity
                       WHERE datname = current_database() AND application_name = 'audit-store' AND query LIKE '%INSERT INTO%'";
    let hung = cluster.value(&url, connections);
    proxy.hang();
    let asked = Instant::now();
    assert_unanswered(database.insert_entries(vec![entry(1)]), &["does not answer within 600 ms"]);
    assert_in_time(asked);
    proxy.pass();
    wait_until("the hung connection is closed", || !cluster.column(&url, connections).contains(&hung));
    insert_soon(&database, 2);
    let patient = open(&url);
    let read = seqs(&patient);
    assert!(read == [0, 2] || read == [0, 1, 2], "{read:?}");
    insert_soon(&database, 1);
    assert_eq!(seqs(&patient), [0, 1, 2]);
}

#[test]
fn a_lost_answer_is_asked_for_again_and_nothing_is_stored_twice() {
    let (cluster, url, _) = with_table();
    let proxy = Proxy::to(cluster.port());
    let database = open(&proxy.url(&url));
    database.insert_entries(vec![entry(0)]).unwrap();
    proxy.swallow_next(1);
    assert_eq!(database.insert_entries(vec![entry(1), entry(2)]), Ok(Vec::new()));
    assert_eq!(proxy.swallowed(), 1);
    assert_eq!(cluster.stored(&url), 3);
    proxy.swallow_next(2);
    assert_unanswered(database.insert_entries(vec![entry(3)]), &["connection"]);
    assert_eq!(database.insert_entries(vec![entry(3)]), Ok(Vec::new()));
    assert_eq!(seqs(&database), [0, 1, 2, 3]);
}

#[test]
fn a_restart_of_the_server_between_two_calls_is_no_failure() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let database = open(&url);
    for (n, how) in [Stop::Fast, Stop::Immediate, Stop::Kill].into_iter().enumerate() {
        let n = 10 * n as u64;
        assert_eq!(database.insert_entries(vec![entry(n)]), Ok(Vec::new()));
        let before = seqs(&database);
        cluster.stop(how);
        cluster.launch();
        assert_eq!(seqs(&database), before, "{how:?}");
        assert_eq!(database.insert_entries(vec![entry(n + 1)]), Ok(Vec::new()), "{how:?}");
    }
    cluster.stop(Stop::Fast);
    assert_unavailable(database.insert_entries(vec![entry(50)]), &["Connection refused"]);
    cluster.launch();
    assert_eq!(database.insert_entries(vec![entry(50)]), Ok(Vec::new()));
}

#[test]
fn a_call_succeeds_where_all_pooled_connections_were_cut() {
    let (cluster, url, _) = with_table();
    let proxy = Proxy::to(cluster.port());
    let database = open(&proxy.url(&url));
    thread::scope(|scope| {
        for n in 0..4 {
            let database = &database;
            scope.spawn(move || {
                database.insert_entries((0..50).map(|k| entry(n * 100 + k)).collect()).unwrap()
            });
        }
    });
    proxy.cut();
    assert_eq!(database.insert_entries(vec![entry(900)]), Ok(Vec::new()));
    assert_eq!(database.insert_entries(vec![entry(901)]), Ok(Vec::new()));
}

#[test]
fn a_paused_server_costs_the_timeout_and_goes_on_later() {
    let cluster = Cluster::start();
    let url = cluster.database();
    open(&url).insert_entries(vec![entry(0)]).unwrap();
    let database = short(&url);
    insert_soon(&database, 1);
    cluster.pause();
    let asked = Instant::now();
    assert_unanswered(database.insert_entries(vec![entry(2)]), &["does not answer"]);
    assert_in_time(asked);
    cluster.resume();
    insert_soon(&database, 2);
    assert_eq!(seqs(&open(&url)), [0, 1, 2]);
}

#[test]
fn a_statement_that_takes_too_long_is_given_up_by_both_sides() {
    let (cluster, url, database) = with_table();
    let mut other = Client::connect(&url, NoTls).unwrap();
    let mut lock = other.transaction().unwrap();
    lock.batch_execute("LOCK TABLE tool_audit_events").unwrap();
    let impatient = short(&url);
    let asked = Instant::now();
    assert_unavailable(impatient.insert_entries(vec![entry(0)]), &[]);
    assert_in_time(asked);
    let asked = Instant::now();
    assert_unavailable(impatient.select(Filter::default(), PageRequest::default()), &["lock"]);
    // A read waits for a lock in a part of its time.
    assert!(asked.elapsed() < SHORT + LATE);
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'tool_audit_events'::regclass";
    wait_until("the server has given up", || cluster.number(&url, waiting) == 0);
    lock.rollback().unwrap();
    assert!(seqs(&database).is_empty());
    insert_soon(&impatient, 0);
}

#[test]
fn each_half_of_a_refused_batch_has_its_own_time() {
    let (cluster, url, _) = with_table();
    cluster.slow_inserts(&url, 0.5);
    cluster.execute(&url, "ALTER TABLE tool_audit_events ADD CHECK (duration_ms <> 7)");
    let database = Database::new(&url, Duration::from_secs(3), ANSWER).unwrap();
    let asked = Instant::now();
    let rejected = database.insert_entries((0..8).map(entry).collect()).unwrap();
    assert_eq!(rejected.iter().map(|row| row.index).collect::<Vec<_>>(), [7]);
    // The host has sent seven statements.
    assert!(asked.elapsed() > Duration::from_millis(3500));
}

#[test]
fn a_read_has_a_time_of_its_own() {
    let (cluster, url, database) = with_table();
    database.insert_entries(vec![entry(0)]).unwrap();
    cluster.execute(
        &url,
        "ALTER TABLE tool_audit_events ENABLE ROW LEVEL SECURITY;
         CREATE FUNCTION slow() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN true; END $$;
         CREATE POLICY slow ON tool_audit_events USING (slow()) WITH CHECK (true)",
    );
    // The policy does not hold for the owner of the table.
    let (url, _) = cluster.role(&url, "GRANT SELECT ON tool_audit_events TO ROLE");
    let patient = Database::new(&url, Duration::from_millis(1500), ANSWER).unwrap();
    assert_eq!(seqs(&patient), [0]);
    let impatient = Database::new(&url, ANSWER, Duration::from_millis(500)).unwrap();
    let mut request = PageRequest::default();
    let given_up = loop {
        // As long as the windows can be smaller, a page without an entry leads to the next one.
        match impatient.select(Filter::default(), request.clone()) {
            Ok(page) => {
                assert_eq!(page.count, 0);
                request.cursor = Some(page.next.expect("the row was not looked at"));
            }
            given_up => break given_up,
        }
    };
    assert_unavailable(given_up, &["does not look through 50 rows"]);
}

#[test]
fn a_read_only_server_is_unavailable_to_writers() {
    let (cluster, url, database) = with_table();
    database.insert_entries(vec![entry(0)]).unwrap();
    let name = database_name(&url);
    cluster.execute(&url, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let other = open(&url);
    assert_eq!(seqs(&other), [0]);
    assert_unavailable(other.insert_entries(vec![entry(1)]), &["read-only"]);
    cluster.execute(
        &url,
        &format!(
            "SET transaction_read_only = off; ALTER DATABASE {name} RESET default_transaction_read_only"
        ),
    );
    assert_eq!(other.insert_entries(vec![entry(1)]), Ok(Vec::new()));
}

#[test]
fn calls_work_within_an_asynchronous_program() {
    let (_, url, _) = with_table();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let database = open(&url);
        assert_eq!(database.insert_entries(vec![entry(0)]), Ok(Vec::new()));
        assert_eq!(seqs(&database), [0]);
    });
}
