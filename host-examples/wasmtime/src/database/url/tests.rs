//! Which URLs are accepted, and that errors show no part of a password.

use std::fs;

use audit_sql::failure::Names;
use tokio_postgres::config::SslMode;

use super::*;
use crate::{Database, Error};

fn parse(url: &str) -> Target {
    Target::parse(url, &Libpq::default(), Duration::from_secs(2))
        .unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn rejected(url: &str) -> String {
    match Database::new(url, Database::TIMEOUT, Database::READ_TIMEOUT) {
        Err(Error::Config(text)) => text,
        answer => panic!("{url}: {answer:?}"),
    }
}

#[test]
fn a_url_and_key_value_pairs_are_parsed_alike() {
    for url in [
        "postgres://u:p%40%20s@h:6432/d?sslmode=disable&application_name=x%26y",
        "postgresql://u:p%40%20s@h:6432/d?application_name=x%26y&sslmode=disable",
        "  postgres://h:6432/d?user=u&password=p%40%20s&application_name=x%26y&ssl%6Dode=disable\n",
        "host=h port=6432 dbname=d user=u password='p@ s' application_name = x&y sslmode=disable",
        r"sslmode='disable' host='h' port=6432 dbname=d user=u password=p@\ s application_name='x\&y'",
    ] {
        let Target { config, servers, .. } = parse(url);
        assert_eq!(config.get_user(), Some("u"), "{url}");
        assert_eq!(config.get_password(), Some(&b"p@ s"[..]), "{url}");
        assert_eq!(config.get_dbname(), Some("d"), "{url}");
        assert_eq!(config.get_application_name(), Some("x&y"), "{url}");
        assert_eq!(config.get_ssl_mode(), SslMode::Disable, "{url}");
        servers.find(0);
        assert_eq!(servers.names().server, "h:6432", "{url}");
    }
}

#[test]
fn parameters_of_libpq_that_ask_for_what_is_done_anyway_are_accepted() {
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
        assert!(rejected(&url).contains("an unknown parameter"), "{url}");
    }
}

#[test]
fn characters_with_a_meaning_in_pairs_can_be_escaped() {
    let config = parse(r"host=h password='it\'s \\ a = b' user=u").config;
    assert_eq!(config.get_password(), Some(&br"it's \ a = b"[..]));
}

#[test]
fn parameters_that_are_not_given_have_defaults() {
    let Target { config, servers, .. } = parse("postgres://u@h");
    assert_eq!(config.get_application_name(), Some("audit-store"));
    assert_eq!(config.get_ssl_mode(), SslMode::Prefer);
    assert_eq!(config.get_keepalives_idle(), KEEPALIVE);
    assert_eq!(config.get_connect_timeout(), None);
    servers.find(0);
    assert_eq!(servers.names().server, "h:5432");
    assert_eq!(servers.names().database, "database \"u\"");
}

#[test]
fn several_hosts_share_the_timeout() {
    let Target { config, servers, .. } = parse("postgres://a,b:1,[::1]:2/d");
    assert_eq!(
        servers.names().server,
        "another host that the database URL names, another host that the database URL names, [::1]:2"
    );
    (0..3).for_each(|n| servers.find(n));
    assert_eq!(servers.names().server, "a:5432, b:1, [::1]:2");
    assert_eq!(config.get_connect_timeout(), Some(&(Duration::from_secs(2) / 3)));
    let given = parse("postgres://a,b/d?connect_timeout=7").config;
    assert_eq!(given.get_connect_timeout(), Some(&Duration::from_secs(7)));
}

#[cfg(unix)]
#[test]
fn a_socket_is_not_encrypted() {
    let Target { config, servers, .. } = parse("postgres:///d?host=/tmp&sslmode=require");
    assert_eq!(config.get_ssl_mode(), SslMode::Disable);
    assert_eq!(servers.names().server, "/tmp/.s.PGSQL.5432");
}

#[test]
fn errors_name_the_problem_and_show_no_password() {
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
        ("postgres://u:hidden", "invalid value for port"),
        ("postgres://u:hidden@h:many/d", "invalid value for port"),
        ("postgres://u:hidden@h/d?hidden=1", "an unknown parameter"),
        ("postgres://u:hidden@h/d?sslmode=hidden", "invalid value for sslmode"),
        (
            "postgres://u:hidden@h/d?target_session_attrs=primary",
            "invalid value for target_session_attrs; accepted are any, read-write and read-only",
        ),
        (
            "postgres://u:hidden@h/d?sslmode=verify-ca&sslrootcert=/nowhere/x.pem",
            "/nowhere/x.pem cannot be read",
        ),
        (&none, "has no certificate"),
        ("postgres://u:hidden@h/d?sslcert=/nowhere/x.pem", "sslcert and sslkey"),
        ("postgres://u:hidden@a,b/d?port=1,2,3", "hosts (2) and of ports (5)"),
        ("postgres://u:hidden@a,b/d?hostaddr=127.0.0.1", "hosts (2) and of values of hostaddr (1)"),
        ("host=h user=u password=my hidden", "cannot be read"),
        ("host=h user=u password=my hidden=1", "an unknown parameter"),
        ("host=h user=u password='hidden", "cannot be read"),
    ] {
        let text = rejected(url);
        assert!(text.contains(said), "{url}: {text}");
        for secret in ["hidden", "hid@", "den@", "den?", "my "] {
            assert!(!text.contains(secret), "{url}: {text}");
        }
    }
}

#[test]
fn timeouts_below_a_millisecond_are_rejected() {
    for (timeout, read_timeout) in
        [(Duration::ZERO, Database::READ_TIMEOUT), (Database::TIMEOUT, Duration::ZERO)]
    {
        let answer = Database::new("postgres://h", timeout, read_timeout);
        assert!(matches!(&answer, Err(Error::Config(text)) if text.contains("1 ms or more")), "{answer:?}");
    }
}

#[test]
fn nothing_of_a_url_is_named_before_it_leads_to_a_host() {
    for url in [
        "postgres://u:hid@den/d",
        "postgres://hidden/den",
        "host=den,hid user=hidden",
        "postgres://u:hid@34/den",
        "postgres://u:hid@%2Fhid%2Fden/d",
        "host=/run?password=hidden",
    ] {
        let servers = parse(url).servers;
        if url.contains("34") {
            servers.find(0);
        }
        let Names { server, user, database } = servers.names();
        let said = format!("{server} {user} {database}");
        assert!(!said.contains("hid") && !said.contains("den") && !said.contains("34"), "{url}: {said}");
    }
    for (url, server) in [
        ("postgres://u@127.0.0.1/d", "127.0.0.1:5432"),
        ("postgres://u@localhost/d", "localhost:5432"),
        ("host=h hostaddr=127.0.0.2 user=u", "127.0.0.2:5432"),
    ] {
        assert_eq!(parse(url).servers.names().server, server);
    }
}

#[test]
fn debug_output_shows_only_the_server() {
    let open = |url| Database::new(url, Database::TIMEOUT, Database::READ_TIMEOUT).unwrap();
    for url in ["postgres://u:hidden@localhost/d", "host=localhost user=u password=hidden"] {
        assert_eq!(format!("{:?}", open(url)), r#"Database { server: "localhost:5432", .. }"#);
    }
}
