//! Guests that can read a part of the record.

use audit_fixtures::component;
use audit_host::{AuditStore, Error, Filter, GuestReader, GuestWriter, Identity, Options};
use audit_testbed::Cluster;

use crate::guest::{CALLS, Calls, Running, Seen, event, in_memory, tenant};

fn of_workspace(workspace: &str) -> Filter {
    Filter { workspace_id: Some(workspace.into()), ..Filter::default() }
}

/// A guest of the tenant `acme`.
fn acme(audit: &AuditStore, calls: Calls) -> Running {
    let identity = Identity { workspace_id: Some("acme".into()), ..Identity::default() };
    let writer = GuestWriter::new(audit.handle()).with_identity(identity);
    tenant(writer, GuestReader::new(audit.handle(), of_workspace("acme")).unwrap(), calls)
}

fn read(guest: &mut Running, workspace: Option<&str>, limit: u32, cursor: Option<String>) -> Seen {
    let since = None::<String>;
    guest.read("read", (workspace.map(String::from), since, limit, cursor)).expect("it can be read")
}

#[test]
fn a_tenant_sees_its_own_entries_and_what_it_wrote_just_now() {
    for calls in CALLS {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new().dir(folder.path());
        for options in [options.clone(), options.durability("buffered"), Options::new().backend("memory")] {
            let audit = AuditStore::open_with(component(), options).unwrap();
            let mut guest = acme(&audit, calls);
            audit.write(event("other", "secret"));
            audit.write(event("", "nobody's"));
            let new = |text: &str| text.to_owned();
            guest.call::<_, ()>("write", (new("planner"), new("other"), new("search"))).unwrap();
            let seen = read(&mut guest, None, 0, None);
            assert_eq!(seen.tools.first().map(String::as_str), Some("search"), "{calls:?}");
            assert!(seen.tools.iter().all(|tool| tool == "search"), "{seen:?}");
            let lines: String = guest.read("read-jsonl", (None::<String>,)).unwrap();
            assert!(lines.contains("search") && !lines.contains("secret") && !lines.contains("nobody"));
        }
    }
}

#[test]
fn a_filter_of_the_guest_never_widens_what_it_sees() {
    for calls in CALLS {
        let audit = in_memory();
        let mut guest = acme(&audit, calls);
        audit.write(event("acme", "own"));
        audit.write(event("other", "secret"));
        assert_eq!(read(&mut guest, Some("acme"), 0, None).tools, ["own"]);
        for workspace in ["other", "", "acme\0", "%", "acme' OR '1'='1"] {
            let seen = read(&mut guest, Some(workspace), 0, None);
            assert_eq!(seen, Seen { tools: vec![], next: None, skipped: 0 }, "{workspace}");
            let lines: String = guest.read("read-jsonl", (Some(workspace.to_owned()),)).unwrap();
            assert_eq!(lines, "");
        }
    }
}

#[test]
fn pages_of_a_tenant_are_its_own_with_its_cursors_and_with_those_of_others() {
    for calls in CALLS {
        let audit = in_memory();
        let both = (0..20)
            .flat_map(|n| [event("acme", &format!("own {n}")), event("other", &format!("secret {n}"))]);
        audit.write_batch(both.collect()).unwrap();
        let mut guest = acme(&audit, calls);
        let (mut tools, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = read(&mut guest, None, 3, cursor);
            tools.extend(page.tools);
            pages += 1;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let expected: Vec<_> = (0..20).rev().map(|n| format!("own {n}")).collect();
        assert_eq!((tools, pages >= 7), (expected.clone(), true));

        // A cursor of somebody who sees everything only says where to go on: here behind `secret 15`.
        let everything = GuestReader::new(audit.handle(), Filter::default()).unwrap();
        let mut auditor = tenant(GuestWriter::new(audit.handle()), everything, calls);
        let page = read(&mut auditor, Some("other"), 5, None);
        assert_eq!(page.tools.first().map(String::as_str), Some("secret 19"));
        let seen = read(&mut guest, None, 0, page.next);
        assert_eq!(seen.tools, expected[4..]);
    }
}

#[test]
fn lines_that_are_no_events_are_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tool_audit_2026-11-23.jsonl"), "torn\n{\"ts\":\n").unwrap();
    let audit = AuditStore::open(Options::new().dir(folder.path())).unwrap();
    assert_eq!(audit.read(&Filter::default(), Default::default()).unwrap().skipped, 2);
    assert_eq!(read(&mut acme(&audit, Calls::Sync), None, 0, None).skipped, 0);
}

/// The database is one that is not there: the server says so, with its name.
#[test]
fn an_error_of_the_database_does_not_name_it() {
    let cluster = Cluster::shared();
    let options =
        Options::new().backend("postgres").database_url(cluster.url("s3cret_database")).warnings(|_| {});
    let audit = AuditStore::open(options).unwrap();
    let of_host = audit.read(&Filter::default(), Default::default()).unwrap_err();
    assert!(matches!(&of_host, Error::Other(text) if text.contains("s3cret_database")), "{of_host}");
    for calls in CALLS {
        let mut guest = acme(&audit, calls);
        let page = (None::<String>, None::<String>, 0u32, None::<String>);
        let read = guest.read::<_, Seen>("read", page).unwrap_err();
        let written =
            guest.call::<_, (Result<u64, String>,)>("write-batch", ("a".to_owned(), 1u32, 1u32)).unwrap().0;
        let flushed = guest.call::<_, (Result<(), String>,)>("flush", ()).unwrap().0;
        for told in [Err(read), written.map(drop), flushed] {
            let text = format!("{told:?}");
            let port = cluster.port().to_string();
            assert!(
                !text.contains("s3cret") && !text.contains("127.0.0.1") && !text.contains(&port),
                "{text}"
            );
        }
    }
}

#[test]
fn a_part_with_an_invalid_time_is_an_error_of_the_host() {
    let audit = in_memory();
    let part = Filter { to_ts: Some("tomorrow".into()), ..of_workspace("acme") };
    match GuestReader::new(audit.handle(), part) {
        Err(Error::Invalid(value)) => assert_eq!(value.field, "to_ts"),
        answer => panic!("{answer:?}"),
    }
}
