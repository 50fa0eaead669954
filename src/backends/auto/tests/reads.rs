//! Reads while events move from memory and the spool into the database.

use super::*;

#[test]
fn reads_join_the_spool_and_the_database_and_return_each_event_once() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(3, &host);
    store.write_batch(events(0..4)).unwrap();
    host.database(|database| database.loses_each = Some(1));
    store.write_batch(events(4..8)).unwrap();
    store.write_batch(events(8..10)).unwrap();
    assert_eq!(store.status().backend, Active::Spool);
    let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let newest: Vec<String> = expected.iter().rev().cloned().collect();
    for limit in 0..11 {
        assert_eq!(read(&mut store, Order::OldestFirst, limit), expected);
        assert_eq!(read(&mut store, Order::NewestFirst, limit), newest);
    }
    set_down(&host, true);
    let Err(Error::Unavailable(text)) = read_page(&mut store, Filter::default(), &PageRequest::default())
    else {
        panic!()
    };
    assert!(text.contains("it is down"), "{text}");
}

#[test]
fn a_spool_file_that_cannot_be_read_is_skipped_and_counted_on_each_page() {
    let host = TestHost::with_database(NOON);
    let mut store = open_with_batches_of(1, &host);
    store.write_batch(events(0..2)).unwrap();
    host.database(|database| database.loses_each = Some(1));
    store.write(event(2));
    host.append(&spools(&host)[0], b"no event\n");
    let mut request = PageRequest { limit: 1, ..PageRequest::default() };
    let page = read_page(&mut store, Filter::default(), &request).unwrap();
    assert_eq!(page.skipped, 1);
    request.cursor = page.next;
    host.0.borrow_mut().unreadable = Some(spools(&host)[0].clone());
    let page = read_page(&mut store, Filter::default(), &request).unwrap();
    assert_eq!((page.events.len(), page.skipped), (1, 1));
    host.0.borrow_mut().unreadable = None;
    // The first page has counted the line that is not an event.
    assert_eq!(read_page(&mut store, Filter::default(), &request).unwrap().skipped, 0);
}

#[test]
fn the_pages_of_a_read_do_not_each_read_the_whole_spool() {
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let host = TestHost::with_database(NOON);
        let mut store = open_with_batches_of(1, &host);
        set_down(&host, true);
        for n in 0..200 {
            host.pass_seconds(1);
            store.write(event(n));
        }
        set_down(&host, false);
        let size: usize = spools(&host).iter().map(|name| host.file(name).len()).sum();
        let before = host.0.borrow().bytes_read;
        let mut expected: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        if order == Order::NewestFirst {
            expected.reverse();
        }
        assert_eq!(read(&mut store, order, 10), expected);
        let read = (host.0.borrow().bytes_read - before) as usize;
        assert!(read < 45 * size, "{read} of {size}");
    }
}
