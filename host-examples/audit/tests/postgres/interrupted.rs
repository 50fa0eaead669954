//! `audit import` that is killed, and one that loses the database on the way.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::time::Duration;

use audit_testbed::Proxy;

use crate::common::{end_of, run, run_with_input, text, until};
use crate::{Site, last_line, lines};

const EVENTS: usize = 20_000;

/// A site with own lines, and as many of other writers.
fn filled() -> Site {
    let site = Site::new();
    assert!(run_with_input(site.audit(["write"]), lines(0..EVENTS / 2)).status.success());
    fs::write(site.place.events_dir().join("tool_audit_2026-01-01.jsonl"), lines(0..EVENTS / 2)).unwrap();
    site
}

fn start(site: &Site, proxy: &Proxy) -> Child {
    let mut import = site.audit(["import"]);
    import.env("DATABASE_URL", proxy.url(&site.url));
    import.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn assert_complete(site: &Site) {
    assert_eq!(site.stored(), EVENTS);
    let sums = site.sql(
        "SELECT string_agg(n || ' ' || own, ', ') FROM (SELECT count(DISTINCT tool) AS n, \
                         chain IS NOT NULL AS own FROM tool_audit_events GROUP BY own ORDER BY own) x",
    );
    assert_eq!(sums, [format!("{0} false, {0} true", EVENTS / 2)]);
}

#[test]
fn an_import_that_is_killed_is_complete_when_it_is_repeated() {
    let site = filled();
    let proxy = Proxy::to(site.cluster.port());
    for least in [1, EVENTS / 4, EVENTS * 3 / 4] {
        proxy.delay(Duration::from_millis(200));
        let mut import = start(&site, &proxy);
        until(|| site.stored() >= least);
        import.kill().unwrap();
        let output = end_of(import);
        assert_eq!(output.status.code(), None, "it was killed on its way: {output:?}");
        assert!((least..EVENTS).contains(&site.stored()));
    }
    let output = run(site.audit(["import"]));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_complete(&site);
    let output = run(site.audit(["import"]));
    assert_eq!(
        last_line(&output),
        "20000 events read, 0 stored, 20000 were there already, 0 refused by the database, 0 lines passed over"
    );
}

#[test]
fn an_import_goes_on_when_the_database_comes_back() {
    let site = filled();
    let proxy = Proxy::to(site.cluster.port());
    proxy.delay(Duration::from_millis(100));
    let mut import = start(&site, &proxy);
    let mut said = BufReader::new(import.stderr.take().unwrap());
    until(|| site.stored() > 0);
    // One batch is stored, and nobody knows.
    proxy.swallow_next(1);
    until(|| proxy.swallowed() == 1);
    proxy.refuse();
    proxy.cut();
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.starts_with("audit: ") && line.ends_with("; trying again in 0.5 s (1 of 5)\n"), "{line}");
    assert!(site.stored() < EVENTS);
    proxy.pass();
    said.read_to_string(&mut line).unwrap();
    assert_eq!(end_of(import).status.code(), Some(0), "{line}");
    assert!(line.trim_end().ends_with(" 0 refused by the database, 0 lines passed over"), "{line}");
    assert_complete(&site);
}

#[test]
fn an_import_without_a_database_stops_and_says_what_to_do() {
    let site = filled();
    let mut import = site.audit(["import"]);
    import.env("DATABASE_URL", "postgres://audit@127.0.0.1:1/none");
    let output = run(import);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.matches("trying again in ").count(), 5, "{said}");
    assert!(said.contains("the same import can be run again") && said.contains(".jsonl:1: "), "{said}");
    assert!(said.contains("\n0 events read, 0 stored, 0 were there already, "), "{said}");

    // What would fail again is not tried again.
    let mut import = site.audit(["import"]);
    import.env("DATABASE_URL", site.url.replace(site.cluster.password(), "wrong"));
    let output = run(import);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.matches("trying again").count()), (Some(2), 0), "{said}");
}
