//! Guests that can write.

use audit_host::{AuditStore, GuestWriter, Identity, Options, add_writer_to_linker};
use wasmtime::component::Linker;
use xtask::guests::Guest;

use crate::guest::{CALLS, Embedder, component, confined, engine, everything, in_memory};

type Accepted = (Result<u64, String>,);

#[test]
fn a_guest_records_in_each_way_of_the_interface() {
    for calls in CALLS {
        let audit = in_memory();
        let mut guest = confined(GuestWriter::new(audit.handle()), calls);
        guest.call::<_, ()>("write", ("planner".to_owned(), "acme".to_owned(), "one".to_owned())).unwrap();
        let batch = guest.call::<_, Accepted>("write-batch", ("planner".to_owned(), 2u32, 3u32)).unwrap();
        let lines = "{\"tool\":\"line\",\"attributes\":{\"model\":\"large\"}}\n\n".to_owned();
        let lines = guest.call::<_, Accepted>("write-jsonl", (lines, 2u32)).unwrap();
        let flushed = guest.call::<_, (Result<(), String>,)>("flush", ()).unwrap();
        assert_eq!((batch.0, lines.0, flushed.0), (Ok(2), Ok(2), Ok(())));

        let entries = everything(&audit);
        let events: Vec<_> = entries.iter().map(|entry| (entry.seq, entry.event.tool.as_str())).collect();
        assert_eq!(events, [(0, "one"), (1, "xxx"), (2, "xxx"), (3, "line"), (4, "line")], "{calls:?}");
        let first = &entries[0].event;
        assert_eq!((first.agent_id.as_str(), first.workspace_id.as_str()), ("planner", "acme"));
        assert_eq!((first.duration_ms, first.in_size, first.out_size), (45, 120, 4800));
        assert_eq!(entries[4].event.attributes[0].value, "large");
    }
}

#[test]
fn a_batch_that_was_accepted_is_in_the_file() {
    for calls in CALLS {
        let folder = tempfile::tempdir().unwrap();
        let audit = AuditStore::open(Options::new().dir(folder.path())).unwrap();
        let mut guest = confined(GuestWriter::new(audit.handle()), calls);
        let batch = guest.call::<_, Accepted>("write-batch", ("planner".to_owned(), 100u32, 3u32)).unwrap();
        assert_eq!(batch.0, Ok(100));
        let files = std::fs::read_dir(folder.path()).unwrap();
        let lines = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap().lines().count());
        assert_eq!(lines.sum::<usize>(), 100, "{calls:?}");
    }
}

#[test]
fn the_identity_is_the_hosts_whatever_the_guest_says() {
    for calls in CALLS {
        let audit = in_memory();
        let identity = Identity {
            agent_id: Some("a \"quoted\" \\ agent".into()),
            workspace_id: Some("acme".into()),
            user_id: None,
        };
        let mut guest = confined(GuestWriter::new(audit.handle()).with_identity(identity), calls);
        guest.call::<_, ()>("write", ("root".to_owned(), "other".to_owned(), "t".to_owned())).unwrap();
        guest.call::<_, Accepted>("write-batch", ("root".to_owned(), 2u32, 3u32)).unwrap().0.unwrap();
        let lines = [
            "{}",
            "  { }\r",
            r#"{"tool":"t"}"#,
            r#"{"agent_id":"root","tool":"t"}"#,
            r#"{"agent\u005fid":"root","workspace_id":null}"#,
            r#"{"tool":"t","agent_id":"root","agent_id":"root"}"#,
            r#"{"tool":"{","attributes":{}}"#,
        ];
        let answer = guest.call::<_, Accepted>("write-jsonl", (lines.join("\n"), 1u32)).unwrap();
        assert_eq!(answer.0, Ok(7));

        let entries = everything(&audit);
        assert_eq!(entries.len(), 10, "{calls:?}");
        for entry in &entries {
            assert_eq!(entry.event.agent_id, "a \"quoted\" \\ agent");
            assert_eq!(entry.event.workspace_id, "acme");
        }
        // What the host does not say stays the guest's.
        assert_eq!(entries[0].event.user_id, "user");
    }
}

#[test]
fn a_line_that_is_no_event_is_refused_with_its_position_also_with_an_identity() {
    let identity = Identity { agent_id: Some("planner".into()), ..Identity::default() };
    for writer in [Identity::default(), identity] {
        let audit = in_memory();
        let mut guest = confined(GuestWriter::new(audit.handle()).with_identity(writer), CALLS[0]);
        for odd in [
            r#"{"odd":1}"#,
            r#"{"tool":"}"#,
            r#"{"tool":"\"}"#,
            r#"{"tool":"a"} {"tool":"b"}"#,
            r#"["agent_id"]"#,
            "}",
        ] {
            let lines = format!("{{\"tool\":\"good\"}}\n\n{odd}\n");
            let answer = guest.call::<_, Accepted>("write-jsonl", (lines, 1u32)).unwrap();
            assert!(answer.0.as_ref().is_err_and(|text| text.starts_with("invalid 2 ")), "{odd}: {answer:?}");
        }
        let answer = guest.call::<_, Accepted>("write-at", ("yesterday".to_owned(),)).unwrap();
        assert!(answer.0.is_err_and(|text| text.starts_with("invalid 1 ts: ")));
        assert_eq!(everything(&audit), []);
    }
}

#[test]
fn a_guest_with_the_writer_alone_does_not_get_the_reader() {
    let mut linker = Linker::<Embedder>::new(engine());
    add_writer_to_linker(&mut linker, |state| state.writer.clone()).unwrap();
    let error = linker.instantiate_pre(component(Guest::Tenant)).err().expect("it is not linked");
    assert!(format!("{error:#}").contains("audit:store/reader"), "{error:#}");
}

#[test]
fn the_guest_of_these_tests_imports_the_writer_and_nothing_else() {
    let types = component(Guest::Confined).component_type();
    let imports: Vec<_> = types.imports(engine()).map(|(name, _)| name.to_string()).collect();
    assert_eq!(imports, ["audit:store/types@0.1.0", "audit:store/writer@0.1.0"]);
}

#[test]
fn a_closed_store_is_unavailable_to_the_guest_and_counts_what_it_writes() {
    for calls in CALLS {
        let audit = in_memory();
        let handle = audit.handle();
        let mut guest = confined(GuestWriter::new(audit.handle()), calls);
        audit.close().unwrap();
        guest.call::<_, ()>("write", ("a".to_owned(), "b".to_owned(), "c".to_owned())).unwrap();
        let batch = guest.call::<_, Accepted>("write-batch", ("a".to_owned(), 1u32, 1u32)).unwrap();
        let flushed = guest.call::<_, (Result<(), String>,)>("flush", ()).unwrap();
        let closed = "unavailable the store is closed";
        assert_eq!((batch.0, flushed.0), (Err(closed.into()), Err(closed.into())));
        assert_eq!(handle.status().unwrap().counts.dropped.unwritable, 1);
    }
}

#[test]
fn an_error_of_the_files_does_not_name_them() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("audit");
    std::fs::write(&path, "no folder").unwrap();
    let audit = AuditStore::open(Options::new().dir(&path).warnings(|_| {})).unwrap();
    for calls in CALLS {
        let mut guest = confined(GuestWriter::new(audit.handle()), calls);
        let batch = guest.call::<_, Accepted>("write-batch", ("a".to_owned(), 1u32, 1u32)).unwrap();
        assert_eq!(batch.0, Err("access the files of the record cannot be read or written".into()));
    }
}
