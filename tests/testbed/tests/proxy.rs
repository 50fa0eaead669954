//! The proxy passes answers on, late, or not at all.

use std::io::Read;
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{Cluster, PATIENCE, Proxy};

const LATE: Duration = Duration::from_millis(200);

/// A database with a table, and its URL through a proxy.
fn table() -> (Proxy, String, String) {
    let cluster = Cluster::shared();
    let direct = cluster.database();
    cluster.execute(&direct, "CREATE TABLE t (n int)");
    let proxy = Proxy::to(cluster.port());
    let url = proxy.url(&direct);
    (proxy, direct, url)
}

fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).expect("the server runs")
}

fn stored(direct: &str) -> Vec<i32> {
    let numbers = Cluster::shared().column(direct, "SELECT n FROM t ORDER BY n");
    numbers.iter().map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn the_url_has_the_port_of_the_proxy() {
    let proxy = Proxy::to(1);
    let port = proxy.port();
    for (url, expected) in [
        ("postgres://a:b@127.0.0.1:1/c?d=e:f", format!("postgres://a:b@127.0.0.1:{port}/c?d=e:f")),
        ("postgres://[::1]:1?d=e", format!("postgres://[::1]:{port}?d=e")),
        ("postgres://a:1@h:1", format!("postgres://a:1@h:{port}")),
    ] {
        assert_eq!(proxy.url(url), expected);
    }
}

#[test]
fn everything_is_passed_on() {
    let (_proxy, _, url) = table();
    let mut client = connect(&url);
    let long = "x".repeat(1_000_000);
    assert_eq!(client.execute("INSERT INTO t VALUES ($1), (2)", &[&1]).expect("the proxy passes it on"), 2);
    assert_eq!(
        client.query_one("SELECT $1", &[&long]).expect("the proxy passes it on").get::<_, String>(0),
        long
    );
    assert_eq!(
        client
            .query("SELECT * FROM t, generate_series(1, 10000)", &[])
            .expect("the proxy passes it on")
            .len(),
        20_000
    );
    client.simple_query("SELECT 1/0").expect_err("the error is passed too");
    client.simple_query("SELECT 1").expect("the proxy passes it on");
}

#[test]
fn each_answer_can_be_late() {
    let (proxy, _, url) = table();
    let mut client = connect(&url);
    proxy.delay(LATE);
    let start = Instant::now();
    client.simple_query("SELECT * FROM generate_series(1, 10000)").expect("the proxy passes it on");
    client.simple_query("SELECT 1").expect("the proxy passes it on");
    // If each row of an answer came late, the two answers would take half an hour.
    assert!(start.elapsed() >= 2 * LATE && start.elapsed() < 100 * LATE, "{:?}", start.elapsed());
    proxy.pass();
    // On a busy machine some answers may be late anyway, but not all of them.
    let in_time = (0..100).any(|_| {
        let start = Instant::now();
        client.simple_query("SELECT 1").expect("the proxy passes it on");
        start.elapsed() < LATE
    });
    assert!(in_time);
}

#[test]
fn connections_are_cut_and_refused_until_they_pass() {
    let (proxy, _, url) = table();
    let mut client = connect(&url);
    proxy.cut();
    client.simple_query("SELECT 1").expect_err("the connection is cut");
    client = connect(&url);
    proxy.refuse();
    client.simple_query("SELECT 1").expect("the connection was open before");
    assert!(Client::connect(&url, NoTls).is_err());
    let mut refused = TcpStream::connect(("127.0.0.1", proxy.port())).expect("the port is open");
    assert_eq!(refused.read(&mut [0]).expect("the connection is closed in order"), 0);
    proxy.pass();
    connect(&url).simple_query("SELECT 1").expect("the proxy passes it on");
}

#[test]
fn connections_hang_until_they_pass() {
    let (proxy, direct, url) = table();
    let mut client = connect(&url);
    proxy.hang();
    let (sender, answers) = mpsc::channel();
    let open = sender.clone();
    thread::spawn(move || open.send(client.execute("INSERT INTO t VALUES (1)", &[]).is_ok()));
    thread::spawn(move || sender.send(Client::connect(&url, NoTls).is_ok()));
    answers.recv_timeout(LATE).expect_err("both hang");
    assert_eq!(stored(&direct), Vec::<i32>::new());
    proxy.pass();
    for _ in 0..2 {
        assert_eq!(answers.recv_timeout(PATIENCE), Ok(true));
    }
    assert_eq!(stored(&direct), [1]);
}

#[test]
fn hanging_connections_can_be_cut() {
    let (proxy, _, url) = table();
    let mut client = connect(&url);
    proxy.hang();
    let asking = thread::spawn(move || client.simple_query("SELECT 1").is_err());
    thread::sleep(LATE);
    proxy.cut();
    assert!(asking.join().expect("no panic"));
}

#[test]
fn each_second_acknowledgement_is_lost_but_no_row() {
    let (proxy, direct, url) = table();
    proxy.swallow_answers(2);
    let mut client = connect(&url);
    for number in 1..=6 {
        let answer = client.execute("INSERT INTO t VALUES ($1)", &[&number]);
        assert_eq!(answer.is_ok(), number % 2 == 1, "{answer:?}");
        if answer.is_err() {
            // The row is stored as soon as the client knows about the failure.
            assert_eq!(stored(&direct).len() as i32, number);
            client = connect(&url);
        }
        client.query("SELECT n FROM t", &[]).expect("other answers pass");
    }
    assert_eq!(stored(&direct), [1, 2, 3, 4, 5, 6]);
    assert_eq!(proxy.swallowed(), 3);
}

#[test]
fn acknowledgements_are_counted_over_all_connections() {
    let (proxy, direct, url) = table();
    proxy.swallow_answers(3);
    let mut clients = [connect(&url), connect(&url), connect(&url)];
    let answers = clients.each_mut().map(|client| client.simple_query("INSERT INTO t VALUES (1)").is_ok());
    assert_eq!(answers, [true, true, false]);
    assert_eq!(stored(&direct), [1, 1, 1]);
}

#[test]
fn only_the_next_acknowledgement_is_lost() {
    let (proxy, direct, url) = table();
    proxy.swallow_next(1);
    connect(&url).simple_query("INSERT INTO t VALUES (1)").expect_err("it is lost");
    connect(&url).simple_query("INSERT INTO t VALUES (2)").expect("only one is lost");
    assert_eq!(stored(&direct), [1, 2]);
    assert_eq!(proxy.swallowed(), 1);
}

#[test]
fn the_answer_to_commit_is_the_acknowledgement_of_a_transaction() {
    let (proxy, direct, url) = table();
    proxy.swallow_answers(1);
    let mut client = connect(&url);
    let mut transaction = client.transaction().expect("the proxy passes it on");
    transaction.execute("INSERT INTO t VALUES (1)", &[]).expect("nothing is committed yet");
    transaction.rollback().expect("no row is acknowledged");
    let mut transaction = client.transaction().expect("the proxy passes it on");
    transaction.execute("INSERT INTO t VALUES (2)", &[]).expect("nothing is committed yet");
    transaction.query("SELECT n FROM t", &[]).expect("nothing is committed yet");
    transaction.commit().expect_err("it is lost");
    assert_eq!(stored(&direct), [2]);
}

#[test]
fn a_refused_insert_has_no_acknowledgement_to_lose() {
    let (proxy, direct, url) = table();
    let cluster = Cluster::shared();
    cluster.execute(&direct, "ALTER TABLE t ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED");
    cluster.execute(&direct, "INSERT INTO t VALUES (1)");
    proxy.swallow_answers(1);
    let mut client = connect(&url);
    for refused in ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2); SELECT 1/0"] {
        let error = client.simple_query(refused).expect_err("it is refused");
        assert!(error.as_db_error().is_some(), "{error}");
    }
    assert_eq!(proxy.swallowed(), 0);
}

#[test]
fn a_server_that_stops_ends_the_connections() {
    let proxy = Proxy::to(1);
    assert!(Client::connect(&proxy.url("postgres://a@127.0.0.1:1/b"), NoTls).is_err());
}
