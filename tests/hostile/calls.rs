//! Calls at the wrong time: after a close, and while another one is running.

use crate::site::{Backend, Error, Host, Settings, SinkError, Site, empty, no_filter, no_settings, page};
use wasmtime::{AsContextMut as _, StoreContextMut};

#[test]
fn a_closed_store_answers_every_call_and_opens_again() {
    for backend in ["jsonl", "memory", "null"] {
        let mut site = Site::open(backend);
        site.write(&empty());
        site.close().unwrap();
        site.close().unwrap();
        site.flush().unwrap();
        site.write(&empty());
        for answer in [
            site.write_batch(&[empty()]).map(drop),
            site.write_jsonl("{}").map(drop),
            site.read(&no_filter(), &page(0, None)).map(drop),
            site.read_jsonl(&no_filter(), &page(0, None)).map(drop),
        ] {
            assert!(
                matches!(&answer, Err(Error::Unavailable(why)) if why.contains("closed")),
                "{backend}: {answer:?}"
            );
        }
        let counts = site.status().counts;
        assert_eq!((counts.stored, counts.dropped.unwritable, counts.rejected), (1, 1, 2), "{backend}");
        site.configure(&no_settings()).unwrap();
        assert_eq!(site.write_batch(&[empty()]).map(|receipt| receipt.accepted), Ok(1), "{backend}");
    }
}

/// Calls the store that asks: it answers one call at a time.
fn call_back(mut store: StoreContextMut<'_, Host>) -> Result<(), SinkError> {
    let exports = store.data().exports();
    exports.audit_store_writer().call_write(store.as_context_mut(), &empty()).expect("no trap");
    let read = exports.audit_store_reader().call_read(store.as_context_mut(), &no_filter(), &page(0, None));
    let status = exports.audit_store_control().call_status(store.as_context_mut());
    let within = [
        exports
            .audit_store_writer()
            .call_write_batch(store.as_context_mut(), &[empty()])
            .map(|answer| answer.map(drop)),
        exports.audit_store_control().call_configure(store.as_context_mut(), &no_settings()),
        exports.audit_store_control().call_close(store.as_context_mut()),
        read.map(|answer| answer.map(drop)),
        status.map(|answer| answer.map(drop)),
    ];
    for answer in within {
        let answer = answer.expect("no trap");
        assert!(
            matches!(&answer, Err(Error::Other(why)) if why.contains("another call is running")),
            "{answer:?}"
        );
    }
    Err(SinkError::Unavailable("it called back".into()))
}

#[test]
fn a_host_that_calls_back_is_told_so_and_the_store_goes_on() {
    let mut site = Site::with_database("auto", Some(call_back));
    for _ in 0..3 {
        site.write(&empty());
        let _ = site.flush();
        let answer = site.read(&no_filter(), &page(0, None));
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    }
    let asked = site.store.data().asked as u64;
    assert!(asked > 0);
    // Each time, an event came that had no place.
    let counts = site.status().counts;
    assert_eq!((counts.spooled + counts.pending, counts.dropped.unwritable), (3, asked), "{counts:?}");
    // Without a database that calls back, they are all there.
    site.configure(&Settings { backend: Some(Backend::Jsonl), ..no_settings() }).unwrap();
    assert_eq!(site.write_batch(&[empty()]).map(|receipt| receipt.first_seq), Ok(3));
}

#[test]
fn a_database_that_is_never_there_costs_no_event() {
    for (backend, error) in [
        ("auto", (|_| Err(SinkError::Unanswered("\u{1b}[2J\0".into()))) as crate::site::Database),
        ("auto", |_| Err(SinkError::NotConfigured)),
        ("auto", |_| Err(SinkError::Other("x".repeat(1 << 20)))),
        ("postgres", |_| Err(SinkError::Unavailable(String::new()))),
    ] {
        let mut site = Site::with_database(backend, Some(error));
        (0..200).for_each(|_| site.write(&empty()));
        let _ = site.flush();
        let _ = site.close();
        let counts = site.status().counts;
        assert_eq!(counts.spooled + counts.pending, 200, "{backend}: {counts:?}");
        site.assert_plain_stderr();
    }
}
