//! Imports that are killed, or lose the database on the way.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::time::Duration;

use audit_testbed::{NOWHERE, Proxy, wait_until};

use crate::Site;
use crate::common::{end_of, lines, run, run_with_input, text};
use crate::import::assert_import;

const EVENTS: usize = 20_000;

/// A site with files of so many events. Half of them are the store's, and half another program's.
fn filled() -> Site {
    let site = Site::new();
    assert!(run_with_input(site.audit(["write"]), lines(0..EVENTS / 2)).status.success());
    fs::write(site.workspace.events_dir().join("tool_audit_2026-01-01.jsonl"), lines(0..EVENTS / 2)).unwrap();
    site
}

fn start(site: &Site, proxy: &Proxy) -> Child {
    let mut import = site.audit_at(&proxy.url(&site.url), ["import"]);
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
fn an_import_goes_on_when_the_database_comes_back() {
    let site = filled();
    let proxy = Proxy::to(site.cluster.port());
    proxy.delay(Duration::from_millis(100));
    let mut import = start(&site, &proxy);
    let mut said = BufReader::new(import.stderr.take().unwrap());
    wait_until("a part is stored", || site.stored() > 0);
    // One batch is stored, but its acknowledgement is lost.
    proxy.swallow_next(1);
    wait_until("an acknowledgement is lost", || proxy.swallowed() == 1);
    proxy.disconnect();
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("trying again in 0.5 s") && line.contains("1 of 5"), "{line}");
    assert!(site.stored() < EVENTS);
    proxy.pass();
    said.read_to_string(&mut line).unwrap();
    assert_eq!(end_of(import).status.code(), Some(0), "{line}");
    assert!(line.contains(", 0 refused ") && line.contains(", 0 lines passed over"), "{line}");
    assert_complete(&site);
}

/// `cargo xtask test --fast` leaves these tests out.
mod slow {
    use super::*;

    #[test]
    fn an_import_that_is_killed_is_complete_when_it_is_repeated() {
        let site = filled();
        let proxy = Proxy::to(site.cluster.port());
        for least in [1, EVENTS / 4, EVENTS * 3 / 4] {
            proxy.delay(Duration::from_millis(200));
            let mut import = start(&site, &proxy);
            wait_until("a part is stored", || site.stored() >= least);
            import.kill().unwrap();
            let output = end_of(import);
            assert_eq!(output.status.code(), None, "the import had ended before it was killed: {output:?}");
            assert!((least..EVENTS).contains(&site.stored()));
        }
        let output = run(site.audit(["import"]));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_complete(&site);
        assert_import(&run(site.audit(["import"])), [EVENTS, 0, EVENTS, 0, 0]);
    }

    #[test]
    fn an_import_without_a_database_gives_up_and_says_what_to_do() {
        let site = filled();
        let output = run(site.audit_at(&format!("postgres://audit@{NOWHERE}/none"), ["import"]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.matches("trying again in ").count(), 5, "{said}");
        assert_eq!(said.matches("cannot connect to the database").count(), 1, "{said}");
        assert!(said.contains("can be run again") && said.contains(".jsonl:1: "), "{said}");
        assert!(said.contains("\n0 events read, 0 stored, 0 were there"), "{said}");

        // With a wrong password the import would fail again, so that it is not tried again.
        let output = run(site.audit_at(&site.url.replace(site.cluster.password(), "wrong"), ["import"]));
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.matches("trying again").count()), (Some(2), 0), "{said}");
    }
}
