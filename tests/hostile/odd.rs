//! Cursors, limits, times, settings and paths that nobody sends in earnest.

use crate::site::{
    Backend, Durability, Error, Event, Order, PageRequest, Settings, Site, empty, names, no_filter,
    no_settings, page,
};

fn field<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Err(Error::Invalid(value)) => value.field,
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn cursors_that_are_altered_or_of_another_order_are_refused_or_read_on() {
    let mut site = Site::open("jsonl");
    (0..9).for_each(|_| site.write(&empty()));
    let next = site.read(&no_filter(), &page(1, None)).unwrap().next.unwrap();
    for wrong in [
        "",
        " ",
        "o",
        "n",
        ".",
        "o...",
        "\0",
        "null",
        "-1",
        "o1.2.3",
        "o1.2.3.4.5",
        "ø1.2.3.4",
        &"f".repeat(100_000),
    ] {
        assert_eq!(field(site.read(&no_filter(), &page(1, Some(wrong.into())))), "cursor", "{wrong:.20?}");
    }
    let newest = PageRequest { order: Order::NewestFirst, ..page(1, Some(next.clone())) };
    assert_eq!(field(site.read(&no_filter(), &newest)), "cursor");
    // Whatever one character becomes, there is a page or an error.
    for at in 0..next.len() {
        for with in ["0", "f", "g", ".", "-", "+", "\u{0}", "é", ""] {
            let mut altered = next.clone();
            altered.replace_range(at..=at, with);
            match site.read(&no_filter(), &page(100, Some(altered))) {
                Ok(page) => assert!(page.entries.len() <= 9),
                Err(error) => assert_eq!(field(Err::<(), _>(error)), "cursor"),
            }
        }
    }
    // A cursor of another store is a place in time.
    let mut other = Site::open("memory");
    other.write(&empty());
    assert_eq!(other.read(&no_filter(), &page(0, Some(next))).map(|page| page.entries.len()), Ok(1));
}

#[test]
fn limits_at_their_ends_are_pages() {
    for backend in ["jsonl", "memory", "null"] {
        let mut site = Site::open(backend);
        site.write_jsonl(&"{\"ts\":\"2026-11-23T06:30:00Z\"}\n".repeat(50)).unwrap();
        let all = if backend == "null" { 0 } else { 50 };
        for (limit, expected) in [(0, all), (1, all.min(1)), (49, all.min(49)), (50, all), (u32::MAX, all)] {
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let request = PageRequest { order, limit, cursor: None };
                let records = site.read(&no_filter(), &request).unwrap();
                let lines = site.read_jsonl(&no_filter(), &request).unwrap();
                assert_eq!(
                    (records.entries.len(), lines.count as usize),
                    (expected, expected),
                    "{backend} {limit}"
                );
                assert_eq!((records.next.is_some(), records.next), (expected < all, lines.next));
            }
        }
    }
}

#[test]
fn times_at_their_ends_are_stored_and_those_beyond_are_refused_or_the_clock() {
    let mut site = Site::open("jsonl");
    let at = |ts: &str| Event { ts: ts.into(), ..empty() };
    let ends = [
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("9999-12-31T23:59:59.999999999+00:00", "9999-12-31T23:59:59.999999Z"),
        ("0000-01-01T23:59:00+23:59", "0000-01-01T00:00:00.000000Z"),
        ("9999-12-31T00:00:59-23:59", "9999-12-31T23:59:59.000000Z"),
    ];
    for (ts, stored) in ends {
        site.write_batch(&[at(ts)]).unwrap();
        let mut filter = no_filter();
        (filter.from_ts, filter.to_ts) = (Some(ts.into()), Some(stored.into()));
        let found = site.read(&filter, &page(0, None)).unwrap().entries;
        assert!(!found.is_empty() && found.iter().all(|entry| entry.event.ts == stored), "{ts}");
    }
    for beyond in [
        "0000-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "-001-12-31T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T06:30:00+24:00",
        "2026-11-23T06:30:00Z\0",
        "\u{0662}026-11-23T06:30:00Z",
        " 2026-11-23T06:30:00Z",
    ] {
        assert_eq!(field(site.write_batch(&[at(beyond)])), "ts", "{beyond}");
        site.write(&at(beyond));
        let mut filter = no_filter();
        filter.from_ts = Some(beyond.into());
        assert_eq!(field(site.read(&filter, &page(0, None))), "from_ts", "{beyond}");
    }
    assert_eq!(site.everything().len(), ends.len() + 10);
    assert!(
        names(site.folder.path())
            .iter()
            .all(|name| name.starts_with("tool_audit_") && name.ends_with(".jsonl"))
    );
}

#[test]
fn no_path_of_a_configuration_leaves_the_folder_or_stops_the_store() {
    let mut site = Site::open("jsonl");
    let outside = site.folder.path().parent().unwrap().join("tool_audit_outside");
    let long = "x".repeat(1 << 20);
    let deep = "d/".repeat(2000);
    for path in [
        "..",
        "../..",
        "/audit/..",
        "/audit/../tool_audit_outside",
        "/",
        "//",
        "",
        ".",
        "\0",
        "/audit/\0",
        "a\0b",
        "\n",
        "/nowhere",
        "/audit/\u{202e}gpj",
        "/audit/ ",
        "C:\\",
        "/audit/a/b/c",
        &format!("/audit/{deep}"),
        &format!("/audit/{long}"),
        &long,
    ] {
        let before = site.status();
        let settings =
            Settings { jsonl_dir: Some(path.into()), backend: Some(Backend::Jsonl), ..no_settings() };
        // The folder is only needed by what is written.
        site.configure(&settings).unwrap();
        match site.write_batch(&[empty()]) {
            Ok(receipt) => assert_eq!(receipt.accepted, 1),
            Err(Error::Access(why)) => assert!(!why.contains(char::is_control), "{why:?}"),
            Err(error) => panic!("{path:.40?}: {error:?}"),
        }
        site.write(&empty());
        let _ = site
            .read(&no_filter(), &page(0, None))
            .map_err(|error| assert!(matches!(error, Error::Access(_)), "{error:?}"));
        let after = site.status();
        assert_eq!(after.counts.received, before.counts.received + 2);
        site.assert_plain_stderr();
    }
    assert!(!outside.exists());
    let settings = Settings { jsonl_dir: Some("/audit".into()), ..no_settings() };
    site.configure(&settings).unwrap();
    assert_eq!(site.write_batch(&[empty()]).map(|receipt| receipt.accepted), Ok(1));
}

#[test]
fn numbers_of_a_configuration_at_their_ends_are_taken_or_named() {
    let mut site = Site::open("jsonl");
    let set = [
        ("memory_limit", (|settings, number| settings.memory_limit = Some(number)) as fn(&mut Settings, u64)),
        ("batch_size", |settings, number| settings.batch_size = Some(number)),
        ("flush_interval_ms", |settings, number| settings.flush_interval_ms = Some(number)),
        ("queue_limit", |settings, number| settings.queue_limit = Some(number)),
        ("recovery_interval_s", |settings, number| settings.recovery_interval_s = Some(number)),
    ];
    for backend in [Backend::Jsonl, Backend::Memory, Backend::Null] {
        for durability in [Durability::Buffered, Durability::Written, Durability::Synced] {
            for (name, set) in set {
                for number in [0, 1, u64::from(u32::MAX), 1 << 32, u64::MAX] {
                    let mut settings =
                        Settings { backend: Some(backend), durability: Some(durability), ..no_settings() };
                    set(&mut settings, number);
                    match site.configure(&settings) {
                        Ok(()) => assert!(number > 0 || name == "flush_interval_ms"),
                        Err(Error::Config(why)) => assert!(number == 0 && why.starts_with(name), "{why}"),
                        Err(error) => panic!("{error:?}"),
                    }
                    site.write(&empty());
                }
            }
        }
    }
    site.flush().unwrap();
    let status = site.status();
    assert_eq!(status.counts.stored, 3 * 3 * 5 * 5);
    for backend in [Backend::Postgres, Backend::Auto] {
        let answer = site.configure(&Settings { backend: Some(backend), ..no_settings() });
        assert!(matches!(&answer, Err(Error::Config(why)) if why.contains("no database")), "{answer:?}");
    }
}

#[test]
fn lines_that_end_anywhere_are_refused_and_change_nothing() {
    let mut site = Site::open("memory");
    let line = r#"{"ts":"2026-11-23T06:30:00.000000Z","tool":"a","action":null,"in_size":12,"job_id":"\"j\u0041","attributes":{"k":"v"},"seq":1}"#;
    for end in 1..line.len() {
        for torn in
            [line[..end].to_owned(), format!("{}\0", &line[..end]), format!("{}\\null}}", &line[..end])]
        {
            let answer = site.write_jsonl(&format!("{torn}\n"));
            assert!(matches!(answer, Err(Error::Invalid(_))), "{torn:?}: {answer:?}");
        }
    }
    assert_eq!(site.write_jsonl(line).map(|receipt| (receipt.accepted, receipt.first_seq)), Ok((1, 0)));
}
