//! Which URL and timeout count, and how invalid ones are reported.

use std::sync::Mutex;

use super::*;
use crate::options::Options;

fn from(variables: &[(&'static str, &str)]) -> DatabaseOptions {
    DatabaseOptions::from_env(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    })
}

fn with(variables: &[(&'static str, &str)]) -> Options {
    Options { database: from(variables), ..Options::new() }
}

/// The database that a store would get, and the warnings.
fn opened(options: Options) -> (Result<Option<Database>, Error>, Vec<String>) {
    let warned = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&warned);
    let options = options.warnings(move |line| sink.lock().unwrap().push(line.to_owned()));
    let opened = options.database();
    drop(options);
    (opened, warned.lock().unwrap().clone())
}

#[test]
fn the_first_variable_with_a_url_counts() {
    let url = |variables: &[_]| from(variables).url.map(|url| url.text);
    assert_eq!(url(&[]), None);
    assert_eq!(url(&[("POSTGRES_DSN", "b")]).as_deref(), Some("b"));
    assert_eq!(url(&[("POSTGRES_DSN", "b"), ("DATABASE_URL", "a")]).as_deref(), Some("a"));
}

#[test]
fn only_backends_that_need_a_database_open_one() {
    for (backend, opens) in [("jsonl", false), ("null", false), ("postgres", true), ("auto", true)] {
        let (database, warned) = opened(Options::new().database_url("postgres://h").backend(backend));
        assert_eq!((database.unwrap().is_some(), warned.len()), (opens, 0), "{backend}");
    }
    assert!(opened(Options::new().database_url("postgres://h")).0.unwrap().is_none());
    assert!(opened(Options::new().backend("postgres")).0.unwrap().is_none());
    // A URL that is not used is not checked.
    assert!(opened(Options::new().database_url("mysql://h")).0.unwrap().is_none());
}

#[test]
fn an_invalid_url_is_an_error_as_an_option_and_a_warning_in_the_environment() {
    let (database, warned) = opened(Options::new().database_url("mysql://hidden").backend("auto"));
    assert!(matches!(database, Err(Error::Config(_))));
    assert!(warned.is_empty());
    let (database, warned) = opened(with(&[("POSTGRES_DSN", "mysql://hidden")]).backend("auto"));
    assert!(database.unwrap().is_none());
    assert!(matches!(&warned[..], [line] if line.contains("POSTGRES_DSN") && !line.contains("hidden")));
}

#[test]
fn an_invalid_timeout_is_an_error_as_an_option_and_a_warning_in_the_environment() {
    assert!(matches!(Options::new().database_timeout(Duration::ZERO).check(), Err(Error::Config(_))));
    assert!(matches!(Options::new().database_read_timeout(Duration::ZERO).check(), Err(Error::Config(_))));
    for (value, timeout, warnings) in
        [("250", 250, 0), ("0", 2000, 1), ("soon", 2000, 1), ("3600001", 2000, 1), ("-1", 2000, 1)]
    {
        let variables = [("DATABASE_URL", "postgres://h"), (TIMEOUT_VARIABLE, value)];
        assert_eq!(from(&variables).timeout, Duration::from_millis(timeout), "{value}");
        let (database, warned) = opened(with(&variables).backend("postgres"));
        assert_eq!((database.unwrap().is_some(), warned.len()), (true, warnings), "{warned:?}");
    }
}

#[test]
fn without_a_valid_url_the_backend_postgres_has_a_folder() {
    assert!(Options::new().backend("postgres").folder().is_some());
    assert!(Options::new().backend("postgres").database_url("mysql://h").folder().is_some());
    assert!(Options::new().backend("postgres").database_url("postgres://h").folder().is_none());
    assert!(Options::new().backend("auto").database_url("postgres://h").folder().is_some());
}

#[test]
fn clones_share_the_connections_until_an_option_of_the_database_changes() {
    let options = Options::new().backend("postgres").database_url("postgres://h");
    let shares = |other: &Options| Arc::ptr_eq(&options.database.opened, &other.database.opened);
    assert!(shares(&options.clone()));
    assert!(!shares(&options.clone().database_url("postgres://g")));
    assert!(!shares(&options.clone().database_timeout(Duration::from_secs(1))));
}

#[test]
fn the_url_is_neither_shown_nor_passed_to_the_component() {
    let options = with(&[("DATABASE_URL", "postgres://u:hidden@h/d")]).backend("postgres");
    assert!(options.database().unwrap().is_some());
    assert!(!format!("{options:?}").contains("hidden"), "{options:?}");
    assert!(options.guest_environment().iter().all(|(_, value)| !value.contains("hidden")));
    assert!(options.guest_environment().iter().all(|(name, _)| *name != "DATABASE_URL"));
}
