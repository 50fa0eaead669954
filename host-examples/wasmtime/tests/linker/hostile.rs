//! What no honest guest does: the store, the host and the guest go on.

use audit_host::{GuestReader, GuestWriter, Identity};

use crate::guest::{CALLS, Calls, Running, Seen, confined, event, everything, in_memory, tenant};

type Accepted = (Result<u64, String>,);

fn batch(guest: &mut Running, count: u32, size: u32) -> Result<u64, String> {
    guest.call::<_, Accepted>("write-batch", ("a".to_owned(), count, size)).expect("the guest goes on").0
}

#[test]
fn a_text_of_ten_megabytes_is_recorded_and_cut() {
    let audit = in_memory();
    let mut guest = confined(GuestWriter::new(audit.handle()), Calls::Sync);
    guest.call::<_, ()>("write-large", (10_000_000u32,)).unwrap();
    assert_eq!(batch(&mut guest, 2, 10_000_000), Ok(2));
    let line = format!("{{\"tool\":\"{}\"}}", "x".repeat(10_000_000));
    let lines = guest.call::<_, Accepted>("write-jsonl", (line, 1u32)).unwrap();
    assert_eq!(lines.0, Ok(1));
    let entries = everything(&audit);
    assert_eq!(entries.len(), 4);
    assert!(entries.iter().all(|entry| entry.event.tool.len() < 4096 && entry.event.tool.contains('…')));
    assert_eq!(audit.status().unwrap().mended, 4);
}

#[test]
fn a_batch_that_is_too_large_is_refused_and_the_guest_goes_on() {
    for calls in CALLS {
        let audit = in_memory();
        let mut guest = confined(GuestWriter::new(audit.handle()), calls);
        // Ten thousand million bytes, in a guest that has ten: all of the events have the same text.
        let answers = [
            batch(&mut guest, 1_000, 10_000_000),
            batch(&mut guest, 90_000, 1),
            batch(&mut guest, 80_000, 100),
            guest.call::<_, Accepted>("write-jsonl", (" ".repeat(1 << 20), 65u32)).unwrap().0,
        ];
        for answer in answers {
            let says = "other the batch ";
            assert!(answer.as_ref().is_err_and(|text| text.starts_with(says)), "{answer:?}");
        }
        assert_eq!(batch(&mut guest, 1, 1), Ok(1));
        assert_eq!(everything(&audit).len(), 1);
    }
}

#[test]
fn a_million_events_are_refused_or_end_their_guest_as_the_embedder_chooses() {
    let audit = in_memory();
    let mut guest = confined(GuestWriter::new(audit.handle()), Calls::Sync);
    let error = guest.call::<_, Accepted>("write-batch", ("a".to_owned(), 1_000_000u32, 1u32)).unwrap_err();
    assert!(format!("{error:#}").contains("hostcalls"), "{error:#}");

    let mut guest = confined(GuestWriter::new(audit.handle()), Calls::Sync);
    guest.store.set_hostcall_fuel(512 << 20);
    let refused = batch(&mut guest, 1_000_000, 1);
    assert!(
        refused.as_ref().is_err_and(|text| text.starts_with("other the batch is too large")),
        "{refused:?}"
    );
    assert_eq!(batch(&mut guest, 1, 1), Ok(1));
    assert_eq!(everything(&audit).len(), 1);
}

#[test]
fn a_long_line_that_is_no_event_is_refused_whatever_it_begins_with() {
    let identity = Identity { agent_id: Some("planner".into()), ..Identity::default() };
    let audit = in_memory();
    let mut guest = confined(GuestWriter::new(audit.handle()).with_identity(identity), Calls::Sync);
    let (spaces, junk) = (" ".repeat(70), "x".repeat(1 << 17));
    for line in
        [format!("{{\"agent_id\":\"boss\"}}{spaces}{junk}"), format!("{spaces}{{\"odd\":\"{junk}\"}}")]
    {
        let answer = guest.call::<_, Accepted>("write-jsonl", (line, 1u32)).unwrap().0;
        assert!(answer.as_ref().is_err_and(|text| text.starts_with("invalid")), "{answer:?}");
    }
    assert!(everything(&audit).is_empty());
}

/// With an identity, each of the lines would become some times as long.
#[test]
fn more_lines_than_the_store_takes_are_refused_before_the_identity_is_put_into_them() {
    let identity = Identity { agent_id: Some("planner".into()), ..Identity::default() };
    for calls in CALLS {
        let audit = in_memory();
        let mut guest = confined(GuestWriter::new(audit.handle()).with_identity(identity.clone()), calls);
        for line in ["{}", "}"] {
            let answer =
                guest.call::<_, Accepted>("write-jsonl", (format!("{line}\n"), 90_000u32)).unwrap().0;
            let says = "other the batch is too large: it has 90000 events";
            assert!(answer.as_ref().is_err_and(|text| text.starts_with(says)), "{answer:?}");
        }
        // Empty lines are no events.
        let answer = guest.call::<_, Accepted>("write-jsonl", (" \n{}\n".to_owned(), 50_000u32)).unwrap().0;
        assert_eq!(answer, Ok(50_000));
    }
}

#[test]
fn no_batch_is_refused_that_the_store_would_take() {
    let audit = in_memory();
    let mut guest = confined(GuestWriter::new(audit.handle()), Calls::Sync);
    // The shortest line that there can be.
    guest.call::<_, Accepted>("write-jsonl", ("{\"ts\":0}".to_owned(), 1u32)).unwrap().0.unwrap();
    let page = audit.read_jsonl(&Default::default(), Default::default()).unwrap();
    assert!(page.lines.len() > 400, "{}", page.lines);
    assert_eq!(batch(&mut guest, 50_000, 1), Ok(50_000));
}

#[test]
fn strange_cursors_and_filters_are_invalid() {
    for calls in CALLS {
        let audit = in_memory();
        let reader = GuestReader::new(audit.handle(), Default::default()).unwrap();
        let mut guest = tenant(GuestWriter::new(audit.handle()), reader, calls);
        let none = None::<String>;
        for cursor in ["", "x", "'; DROP TABLE tool_audit_events; --", "n,n,n,n", "\0", "../../etc/passwd"] {
            let page = (none.clone(), none.clone(), 0u32, Some(cursor.to_owned()));
            let answer = guest.read::<_, Seen>("read", page).unwrap_err();
            assert!(answer.starts_with("invalid 0 cursor: "), "{cursor}: {answer}");
        }
        let long = (none.clone(), none.clone(), 0u32, Some("9".repeat(10_000_000)));
        assert!(guest.read::<_, Seen>("read", long).unwrap_err().starts_with("invalid 0 cursor: "));
        let since = (none.clone(), Some("yesterday".to_owned()), 0u32, none.clone());
        assert!(guest.read::<_, Seen>("read", since).unwrap_err().starts_with("invalid 0 from_ts: "));
        for (count, size) in [(1u32, 10_000_000u32), (2, 800_000), (100_000, 1)] {
            let answer = guest.read::<_, Seen>("read-large", (count, size)).unwrap_err();
            assert!(answer.starts_with("invalid 0 filter: found "), "{answer}");
        }
    }
}

/// Lists of so many lines would take more memory than the store has. It would be started anew, without the events that it keeps.
#[test]
fn no_number_of_lines_stops_the_store() {
    let audit = in_memory();
    audit.handle().write(event("host", "before"));
    let mut guest = confined(GuestWriter::new(audit.handle()), Calls::Sync);
    let answer = guest.call::<_, Accepted>("write-jsonl", ("{}\n".to_owned(), 9_000_000u32)).unwrap().0;
    assert!(
        answer.as_ref().is_err_and(|text| text.starts_with("other the batch is too large")),
        "{answer:?}"
    );
    assert_eq!(everything(&audit).len(), 1);
}
