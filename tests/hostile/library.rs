//! What does not fit into the component's memory at all: the Rust library refuses it before it calls, and its instance goes on.

use audit_fixtures::start;
use audit_host::{Attribute, AuditStore, Backend, Error, Event, Filter, Instance, Options, PageRequest};

fn instance() -> Instance {
    start(&Options::new().backend(Backend::Memory.name()).warnings(|_| ()))
}

fn is_too_large<T: std::fmt::Debug>(answer: Result<T, Error>) -> bool {
    match answer {
        Err(Error::Other(text)) => text.contains("is too large"),
        answer => panic!("{answer:.300?}"),
    }
}

/// The instance takes events as before.
fn assert_goes_on(mut instance: Instance) {
    instance.write(&Event::default()).expect("the instance goes on");
    let page = instance.read(&Filter::default(), &PageRequest::default()).expect("a page");
    assert_eq!(page.entries.len(), 1);
}

#[test]
fn batches_that_do_not_fit_into_memory_are_refused_and_the_instance_goes_on() {
    let mut store = instance();
    assert!(is_too_large(store.write_batch(&vec![Event::default(); 1_000_000])));
    assert!(is_too_large(store.write_jsonl(&"{}\n".repeat(1_000_000))));
    let line = format!("{{\"tool\":\"{}\"}}\n", "x".repeat(80));
    assert!(is_too_large(store.write_jsonl(&line.repeat((100 << 20) / line.len()))));
    assert!(is_too_large(store.write_jsonl(&"{}\n".repeat(400 << 20 >> 2))));
    let pairs = vec![Attribute { key: "k".into(), value: "v".into() }; 16];
    assert!(is_too_large(store.write_batch(&vec![Event { attributes: pairs, ..Event::default() }; 200_000])));
    assert_goes_on(store);
}

#[test]
fn batches_that_are_refused_before_the_component_has_them_are_counted() {
    let audit = AuditStore::open(Options::new().backend(Backend::Memory.name())).unwrap();
    assert!(is_too_large(audit.write_batch(vec![Event::default(); 90_000])));
    assert!(is_too_large(audit.write_jsonl("{}\n\n".repeat(85_000))));
    audit.write_batch(vec![Event::default(); 2]).unwrap();
    let counts = audit.status().unwrap().counts;
    assert_eq!((counts.received, counts.rejected, counts.stored), (175_002, 175_000, 2));
}

#[test]
fn a_batch_is_not_refused_for_texts_that_are_cut() {
    let mut store = instance();
    // 300 MB of texts, of which 24 MiB are stored.
    let event = Event { tool: "x".repeat(50_000), ..Event::default() };
    assert_eq!(store.write_batch(&vec![event; 6_000]).map(|receipt| receipt.accepted), Ok(6_000));
    let line = format!("{{\"tool\":\"{}\"}}\n", "x".repeat(50_000));
    assert_eq!(store.write_jsonl(&line.repeat(6_000)).map(|receipt| receipt.accepted), Ok(6_000));
    assert_eq!(store.status().expect("a status").mended, 12_000);
}

#[test]
fn filters_that_do_not_fit_into_memory_are_refused_and_the_instance_goes_on() {
    let mut store = instance();
    let text = Some("x".repeat(10 << 20));
    let filter = Filter {
        tool: text.clone(),
        agent_id: text.clone(),
        workspace_id: text.clone(),
        user_id: text.clone(),
        action: text.clone(),
        status: text.clone(),
        req_id: text.clone(),
        graph_run_id: text.clone(),
        graph_node: text.clone(),
        job_id: text.clone(),
        ..Filter::default()
    };
    assert!(is_too_large(store.read(&filter, &PageRequest::default())));
    assert!(is_too_large(store.read_jsonl(&filter, &PageRequest::default())));
    let cursor = Some("x".repeat(300 << 20));
    assert!(is_too_large(store.read(&Filter::default(), &PageRequest { cursor, ..PageRequest::default() })));
    let one = Filter { tool: text, ..Filter::default() };
    assert_eq!(store.read(&one, &PageRequest::default()).map(|page| page.entries.len()), Ok(0));
    assert_goes_on(store);
}
