//! What is accepted, and that nothing of a password shows.

use std::fs;

use tokio_postgres::config::SslMode;

use super::*;
use crate::{Database, Error};

fn parse(url: &str) -> Target {
    Target::parse(url, Duration::from_secs(2)).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn refused(url: &str) -> String {
    match Database::new(url, Database::TIMEOUT, Database::READ_TIMEOUT) {
        Err(Error::Config(text)) => text,
        answer => panic!("{url}: {answer:?}"),
    }
}

#[test]
fn urls_and_pairs_say_the_same() {
    for url in [
        "postgres://u:p%40%20s@h:6432/d?sslmode=disable&application_name=x%26y",
        "postgresql://u:p%40%20s@h:6432/d?application_name=x%26y&sslmode=disable",
        "  postgres://h:6432/d?user=u&password=p%40%20s&application_name=x%26y&ssl%6Dode=disable\n",
        "host=h port=6432 dbname=d user=u password='p@ s' application_name = x&y sslmode=disable",
        r"sslmode='disable' host='h' port=6432 dbname=d user=u password=p@\ s application_name='x\&y'",
    ] {
        let Target { config, names, .. } = parse(url);
        assert_eq!(config.get_user(), Some("u"), "{url}");
        assert_eq!(config.get_password(), Some(&b"p@ s"[..]), "{url}");
        assert_eq!(config.get_dbname(), Some("d"), "{url}");
        assert_eq!(config.get_application_name(), Some("x&y"), "{url}");
        assert_eq!(config.get_ssl_mode(), SslMode::Disable, "{url}");
        assert_eq!(names.server, "h:6432", "{url}");
    }
}

#[test]
fn what_libpq_knows_and_is_so_anyway_is_accepted() {
    for (parameter, value) in
        [("client_encoding", "UTF8"), ("gssencmode", "disable"), ("sslcompression", "0"), ("sslsni", "1")]
    {
        for url in [
            format!("postgres://u@h/d?{parameter}={value}&connect_timeout=3"),
            format!("host=h user=u dbname=d {parameter}={value} connect_timeout=3"),
        ] {
            assert_eq!(parse(&url).config.get_connect_timeout(), Some(&Duration::from_secs(3)), "{url}");
        }
        let url = format!("postgres://u@h/d?{parameter}=require");
        assert!(refused(&url).contains("a parameter that is not known"), "{url}");
    }
}

#[test]
fn signs_that_pairs_need_survive() {
    let config = parse(r"host=h password='it\'s \\ a = b' user=u").config;
    assert_eq!(config.get_password(), Some(&br"it's \ a = b"[..]));
}

#[test]
fn what_is_not_said_has_a_default() {
    let Target { config, names, .. } = parse("postgres://u@h");
    assert_eq!(config.get_application_name(), Some("audit-store"));
    assert_eq!(config.get_ssl_mode(), SslMode::Prefer);
    assert_eq!(config.get_keepalives_idle(), KEEPALIVE);
    assert_eq!(config.get_connect_timeout(), None);
    assert_eq!((names.server.as_str(), names.database.as_str()), ("h:5432", "database \"u\""));
}

#[test]
fn several_hosts_share_the_time() {
    let Target { config, names, .. } = parse("postgres://a,b:1,[::1]:2/d");
    assert_eq!(names.server, "a:5432, b:1, [::1]:2");
    assert_eq!(config.get_connect_timeout(), Some(&(Duration::from_secs(2) / 3)));
    let given = parse("postgres://a,b/d?connect_timeout=7").config;
    assert_eq!(given.get_connect_timeout(), Some(&Duration::from_secs(7)));
}

#[cfg(unix)]
#[test]
fn a_socket_is_not_encrypted() {
    let Target { config, names, .. } = parse("postgres:///d?host=/run/postgresql&sslmode=require");
    assert_eq!(config.get_ssl_mode(), SslMode::Disable);
    assert_eq!(names.server, "/run/postgresql/.s.PGSQL.5432");
}

#[test]
fn what_is_wrong_is_named_and_no_password_shown() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "nothing").unwrap();
    let none = format!("postgres://u:hidden@h/d?sslmode=verify-ca&sslrootcert={}", empty.display());
    for (url, said) in [
        ("", "names no host"),
        ("hidden", "cannot be read"),
        ("mysql://u:hidden@h/d", "is not one of PostgreSQL"),
        ("postgresql+asyncpg://u:hidden@h/d", "is not one of PostgreSQL"),
        ("postgres:///d?user=u&password=hidden", "names no host"),
        ("postgres://u:hidden@/d", "names no host"),
        ("postgres://u:hid@den@h/d", "more than one @"),
        ("postgres://u:hid@den?x=1@h/d", "more than one @"),
        ("postgres://u:hidden", "wrong value for port"),
        ("postgres://u:hidden@h:many/d", "wrong value for port"),
        ("postgres://u:hidden@h/d?hidden=1", "a parameter that is not known"),
        ("postgres://u:hidden@h/d?sslmode=hidden", "wrong value for sslmode"),
        (
            "postgres://u:hidden@h/d?target_session_attrs=primary",
            "wrong value for target_session_attrs; accepted are any, read-write and read-only",
        ),
        (
            "postgres://u:hidden@h/d?sslmode=verify-ca&sslrootcert=/nowhere/x.pem",
            "/nowhere/x.pem cannot be read",
        ),
        (&none, "has no certificate"),
        ("postgres://u:hidden@h/d?sslcert=/nowhere/x.pem", "sslcert and sslkey"),
        ("postgres://u:hidden@a,b/d?port=1,2,3", "2 hosts and 5 ports"),
        ("postgres://u:hidden@a,b/d?hostaddr=127.0.0.1", "2 hosts and 1 values"),
        ("host=h user=u password=my hidden", "cannot be read"),
        ("host=h user=u password=my hidden=1", "a parameter that is not known"),
        ("host=h user=u password='hidden", "cannot be read"),
    ] {
        let text = refused(url);
        assert!(text.contains(said), "{url}: {text}");
        for secret in ["hidden", "hid@", "den@", "den?", "my "] {
            assert!(!text.contains(secret), "{url}: {text}");
        }
    }
}

#[test]
fn times_in_which_nothing_could_be_done_are_refused() {
    for (timeout, read_timeout) in
        [(Duration::ZERO, Database::READ_TIMEOUT), (Database::TIMEOUT, Duration::ZERO)]
    {
        let answer = Database::new("postgres://h", timeout, read_timeout);
        assert!(matches!(&answer, Err(Error::Config(text)) if text.contains("1 ms or more")), "{answer:?}");
    }
}

#[test]
fn what_shows_of_a_database_is_its_server() {
    let open = |url| Database::new(url, Database::TIMEOUT, Database::READ_TIMEOUT).unwrap();
    for url in ["postgres://u:hidden@h/d", "host=h user=u password=hidden"] {
        assert_eq!(format!("{:?}", open(url)), r#"Database { server: "h:5432", .. }"#);
    }
}
