//! What calls leave behind on the server, and what they do where it has no session left: nothing piles up, and nothing is
//! lost.

use std::thread;
use std::time::Duration;

use audit_fixtures::Entries as _;
use audit_host::{Database, Filter, PageRequest, SinkError};
use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{ANSWER, Cluster, Proxy, Stop, database_name, wait_until};

use crate::{assert_unavailable, entry, open, seqs, with_table};

/// The timeout in tests that run into it.
const SHORT: Duration = Duration::from_millis(600);

const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'audit-store'";

/// A server with few sessions, on which each commit waits for a standby that does not exist once it is told to.
fn with_few_sessions() -> Cluster {
    let cluster = Cluster::start();
    for (name, value) in [("max_connections", "12"), ("wal_level", "replica"), ("max_wal_senders", "2")] {
        cluster.set(name, value);
    }
    cluster.stop(Stop::Fast);
    cluster.launch();
    cluster
}

fn hang_commits(cluster: &Cluster, hang: bool) {
    cluster.set("synchronous_standby_names", if hang { "nowhere" } else { "" });
}

#[test]
fn commits_that_hang_leave_no_sessions_behind_and_their_rows_are_in_doubt() {
    let cluster = with_few_sessions();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    cluster.tls(&certified.cert.pem(), &certified.signing_key.serialize_pem());
    for parameters in ["?sslmode=disable", "?sslmode=require"] {
        let url = cluster.database();
        open(&url).insert_entries(vec![entry(0)]).unwrap();
        hang_commits(&cluster, true);
        let in_doubt = (1..16).filter(|n| {
            // Each is a program of its own, as `audit exec` is.
            let database = Database::new(&format!("{url}{parameters}"), SHORT, SHORT).unwrap();
            match database.insert_entries(vec![entry(*n)]) {
                Err(SinkError::Unanswered(_)) => true,
                // On a busy machine, the time may be over before the rows are sent.
                Err(SinkError::Unavailable(text)) if text.contains("does not answer") => false,
                answer => panic!("{n}: {answer:?}"),
            }
        });
        assert!(in_doubt.count() > 5);
        wait_until("no session is left", || cluster.number(&url, SESSIONS) == 0);
        hang_commits(&cluster, false);
        let database = open(&url);
        assert_eq!(database.insert_entries((0..16).map(entry).collect()), Ok(Vec::new()));
        assert_eq!(seqs(&database), (0..16).collect::<Vec<_>>());
    }
}

#[test]
fn a_table_whose_creation_hangs_leaves_one_session_behind() {
    let cluster = with_few_sessions();
    let url = cluster.database();
    hang_commits(&cluster, true);
    for n in 0..16 {
        let database = Database::new(&url, SHORT, SHORT).unwrap();
        let answer = database.insert_entries(vec![entry(n)]);
        assert!(matches!(&answer, Err(SinkError::Unavailable(_))), "{n}: {answer:?}");
    }
    wait_until("one session is left", || cluster.number(&url, SESSIONS) <= 1);
    hang_commits(&cluster, false);
    wait_until("the table is there", || open(&url).insert_entries(vec![entry(0)]).is_ok());
    assert_eq!(seqs(&open(&url)), [0]);
}

#[test]
fn a_lost_answer_stays_in_doubt_whatever_goes_wrong_afterwards() {
    let (cluster, url, _) = with_table();
    let proxy = Proxy::to(cluster.port());
    let database = open(&proxy.url(&url));
    database.insert_entries(vec![entry(0)]).unwrap();
    // The first answer is lost, and the second try is refused.
    proxy.swallow_next(1);
    proxy.refuse();
    let answer = database.insert_entries(vec![entry(1)]);
    assert!(matches!(&answer, Err(SinkError::Unanswered(_))), "{answer:?}");
    assert_eq!(cluster.stored(&url), 2);
    assert_unavailable(database.insert_entries(vec![entry(2)]), &[]);
    assert_unavailable(database.select_entries(Filter::default(), PageRequest::default()), &[]);
}

/// Takes every session, also those of clients that have just gone.
fn take_all_sessions(url: &str) -> Vec<Client> {
    let mut taken: Vec<Client> = Vec::new();
    wait_until("all sessions are taken", || {
        let more: Vec<_> = std::iter::from_fn(|| Client::connect(url, NoTls).ok()).collect();
        let none_was_left = more.is_empty();
        taken.extend(more);
        let all = "SELECT count(*) FROM pg_stat_activity WHERE backend_type OPERATOR(pg_catalog.=) 'client backend'";
        none_was_left && taken[0].query_one(all, &[]).unwrap().get::<_, i64>(0) == taken.len() as i64
    });
    taken
}

#[test]
fn where_all_sessions_are_taken_a_call_waits_for_one_within_its_time() {
    let cluster = with_few_sessions();
    let url = cluster.database();
    open(&url).insert_entries(vec![entry(0)]).unwrap();
    let taken = take_all_sessions(&url);
    // On a busy machine, the time may be over before the server refuses.
    wait_until("a call is told why it waits", || {
        let impatient = Database::new(&url, SHORT, SHORT).unwrap();
        match impatient.insert_entries(vec![entry(1)]) {
            Err(SinkError::Unavailable(text)) => text.contains("too many clients already"),
            answer => panic!("{answer:?}"),
        }
    });
    thread::scope(|scope| {
        let calls: Vec<_> = (1..=30)
            .map(|n| {
                let url = &url;
                scope
                    .spawn(move || Database::new(url, ANSWER, ANSWER).unwrap().insert_entries(vec![entry(n)]))
            })
            .collect();
        thread::sleep(SHORT);
        drop(taken);
        for call in calls {
            assert_eq!(call.join().unwrap(), Ok(Vec::new()));
        }
    });
    assert_eq!(cluster.stored(&url), 31);
}

#[test]
fn the_first_events_of_many_programs_create_one_table_at_any_level_of_isolation() {
    let cluster = Cluster::shared();
    for level in ["repeatable read", "serializable"] {
        let url = cluster.database();
        let name = database_name(&url);
        cluster
            .execute(&url, &format!("ALTER DATABASE {name} SET default_transaction_isolation = '{level}'"));
        for round in 0..5 {
            thread::scope(|scope| {
                let calls: Vec<_> = (0..10)
                    .map(|n| {
                        let url = &url;
                        // Half of the programs have the same event.
                        scope.spawn(move || open(url).insert_entries(vec![entry(n / 2)]))
                    })
                    .collect();
                for call in calls {
                    assert_eq!(call.join().unwrap(), Ok(Vec::new()), "{level}");
                }
            });
            assert_eq!(seqs(&open(&url)), [0, 1, 2, 3, 4], "{level}, {round}");
            cluster.execute(&url, "DROP TABLE tool_audit_events, tool_audit_refused");
        }
    }
}
