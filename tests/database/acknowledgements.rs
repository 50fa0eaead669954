//! The server stores a batch, and its answer is lost on the way.

use audit_host::{Event, Options};
use audit_testbed::{Cluster, Proxy, Rng, seed};

use crate::client::{ANSWER, BACKENDS, Client, NEVER, WAYS, Way, database, spools};
use crate::events::event;
use crate::table::{assert_same, assert_sound, rows};

#[test]
fn a_lost_acknowledgement_neither_loses_nor_doubles_an_event() {
    let seed = seed();
    println!("seed {seed}");
    for backend in BACKENDS {
        for way in WAYS {
            for k in 1..=5 {
                lose_each(k, backend, way, seed ^ k);
            }
        }
    }
}

/// Loses each `k`-th acknowledgement, also those of the second tries that the host makes on connections that
/// broke.
fn lose_each(k: u64, backend: &str, way: Way, seed: u64) {
    let context = format!("{backend}, {way:?}, each {k}.");
    let mut rng = Rng::with_seed(seed);
    let (cluster, folder) = (Cluster::shared(), tempfile::tempdir().unwrap());
    let url = database(cluster);
    let proxy = Proxy::to(cluster.port());
    let options = Options::new().backend(backend).dir(folder.path()).database_url(proxy.url(&url));
    let options = options.batch_size(10).flush_interval(NEVER).database_timeout(ANSWER).warnings(|_| ());
    let mut client = Client::open(way, options);

    proxy.swallow_answers(k);
    let mut sent: Vec<Event> = Vec::new();
    for n in 0..30 {
        let numbers = sent.len()..sent.len() + rng.usize(1..25);
        let events: Vec<Event> = numbers.map(|n| event(&mut rng, n.to_string())).collect();
        client.write_batch(&events).expect("there is room");
        sent.extend(events);
        match n % 5 {
            1 => drop(client.flush()),
            // On a new connection the host does not try again: the component sees the loss.
            3 => proxy.cut(),
            _ => {}
        }
        client.status();
    }
    if k > 1 {
        assert_eq!(client.settle().stored, sent.len() as u64, "{context}");
    } else {
        let waits = client.flush();
        let counts = client.status().counts;
        assert_eq!(counts.stored, 0, "nothing was acknowledged: {context}");
        assert_eq!(
            (waits.is_err(), counts.spooled > 0),
            if backend == "auto" { (false, true) } else { (true, false) }
        );
    }
    assert!(proxy.swallowed() > 0, "{context}");

    proxy.pass();
    let counts = client.settle();
    assert_eq!((counts.received, counts.stored), (sent.len() as u64, sent.len() as u64), "{context}");
    let rows = rows(cluster, &url);
    assert_sound(&rows, &[]);
    assert_same(&rows, &sent);
    assert_eq!(spools(folder.path()).len(), 0, "{context}");
}
