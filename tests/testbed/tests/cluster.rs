//! What a cluster promises to the tests that use it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use audit_testbed::postgres::error::{DbError, SqlState};
use audit_testbed::postgres::{Client, NoTls};
use audit_testbed::{Cluster, DISK_FULL, PATIENCE, Stop};

fn count(cluster: &Cluster, url: &str) -> u64 {
    cluster.number(url, "SELECT count(*) FROM t")
}

#[test]
fn sql_answers_with_text() {
    let cluster = Cluster::shared();
    let rows = cluster.sql(&cluster.database(), "SELECT 1, 'a', NULL; SELECT true");
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(rows, [vec![text("1"), text("a"), None], vec![text("t")]]);
}

#[test]
fn each_database_is_apart_from_the_others() {
    let cluster = Cluster::shared();
    let (one, other) = (cluster.database(), cluster.database());
    cluster.execute(&one, "CREATE TABLE t ()");
    assert_eq!(cluster.sql(&other, "SELECT to_regclass('t')"), [[None]]);
}

#[test]
fn a_wrong_password_is_refused() {
    let cluster = Cluster::shared();
    let url = cluster.url("postgres").replace(cluster.password(), "wrong");
    let error = cluster.try_sql(&url, "SELECT 1").expect_err("the password is wrong");
    assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD));
}

#[test]
fn committed_rows_outlive_every_way_to_stop_the_server() {
    let cluster = Cluster::start();
    let url = cluster.database();
    cluster.execute(&url, "CREATE TABLE t (n int)");
    for (number, how) in [(1_u64, Stop::Fast), (2, Stop::Immediate), (3, Stop::Kill), (4, Stop::Kill)] {
        cluster.execute(&url, &format!("INSERT INTO t VALUES ({number})"));
        let mut client = Client::connect(&url, NoTls).expect("the server runs");
        client.batch_execute("BEGIN; INSERT INTO t VALUES (0)").expect("the server runs");
        cluster.stop(how);
        client.simple_query("SELECT 1").expect_err("its session has ended");
        cluster.try_sql(&url, "SELECT 1").expect_err("the server has stopped");
        cluster.launch();
        assert_eq!(count(&cluster, &url), number, "after {how:?}");
    }
}

#[test]
fn a_paused_server_keeps_its_clients_waiting() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let mut client = Client::connect(&url, NoTls).expect("the server runs");
    cluster.pause();
    let (sender, answers) = mpsc::channel();
    let open = sender.clone();
    thread::spawn(move || open.send(client.simple_query("SELECT 1").is_ok()));
    thread::spawn(move || sender.send(Client::connect(&url, NoTls).is_ok()));
    answers.recv_timeout(Duration::from_millis(500)).expect_err("the server is paused");
    cluster.resume();
    for _ in 0..2 {
        assert_eq!(answers.recv_timeout(PATIENCE), Ok(true));
    }
}

#[test]
fn a_paused_server_can_be_stopped() {
    for how in [Stop::Fast, Stop::Kill] {
        let cluster = Cluster::start();
        cluster.pause();
        cluster.stop(how);
        cluster.launch();
        cluster.sql(&cluster.url("postgres"), "SELECT 1");
    }
}

#[test]
fn writes_are_refused_until_they_are_accepted() {
    let cluster = Cluster::shared();
    let url = cluster.database();
    cluster.execute(&url, "CREATE TABLE t (n int)");
    for round in 1..=2_u64 {
        cluster.refuse_writes(&url, "t");
        let error = cluster.try_sql(&url, "INSERT INTO t VALUES (0)").expect_err("the disk is full");
        assert_eq!(error.code(), Some(&SqlState::DISK_FULL));
        assert_eq!(error.as_db_error().map(DbError::message), Some(DISK_FULL));
        cluster.accept_writes(&url, "t");
        cluster.execute(&url, "INSERT INTO t VALUES (1)");
        assert_eq!(count(cluster, &url), round);
    }
}

#[test]
fn a_setting_holds_at_once() {
    let cluster = Cluster::start();
    let url = cluster.database();
    cluster.execute(&url, "CREATE TABLE t (n int)");
    cluster.set("default_transaction_read_only", "on");
    let error = cluster.try_sql(&url, "INSERT INTO t VALUES (0)").expect_err("the session is read-only");
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    cluster.set("default_transaction_read_only", "off");
    cluster.execute(&url, "INSERT INTO t VALUES (1)");
}
