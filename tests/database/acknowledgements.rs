//! The server stores a batch, and its answer is lost on the way.

use audit_fixtures::{assert_chains, assert_same_events, random_event};
use audit_host::Event;
use audit_testbed::{ANSWER, DATABASE_BACKENDS, NEVER, Rng, seed};

use crate::client::{Client, WAYS, Way};
use crate::site::Site;

/// `cargo xtask test --fast` leaves these tests out.
mod slow {
    use super::*;

    #[test]
    fn a_lost_acknowledgement_neither_loses_nor_doubles_an_event() {
        let seed = seed();
        for backend in DATABASE_BACKENDS {
            for way in WAYS {
                for k in 1..=5 {
                    lose_each(k, backend, way, seed ^ k);
                }
            }
        }
    }
}

/// Loses each `k`-th acknowledgement, also those of the second attempts that the host makes on a new connection.
fn lose_each(k: u64, backend: &str, way: Way, seed: u64) {
    let context = format!("{backend}, {way:?}, each {k}.");
    let mut rng = Rng::with_seed(seed);
    let site = Site::new();
    let options = site.options(backend).batch_size(10).flush_interval(NEVER).database_timeout(ANSWER);
    let mut client = Client::open(way, options);

    site.proxy.swallow_answers(k);
    let mut sent: Vec<Event> = Vec::new();
    for n in 0..30 {
        let numbers = sent.len()..sent.len() + rng.usize(1..25);
        let events: Vec<Event> = numbers.map(|n| random_event(&mut rng, n.to_string())).collect();
        client.write_batch(&events).expect("there is room");
        sent.extend(events);
        match n % 5 {
            1 => drop(client.flush()),
            // The host does not try again on a new connection, so the component sees the loss.
            3 => site.proxy.cut(),
            _ => {}
        }
        client.status();
    }
    if k > 1 {
        assert_eq!(client.settle().stored, sent.len() as u64, "{context}");
    } else {
        let flushed = client.flush();
        let counts = client.status().counts;
        assert_eq!(counts.stored, 0, "nothing was acknowledged: {context}");
        let expected = if backend == "auto" { (false, true) } else { (true, false) };
        assert_eq!((flushed.is_err(), counts.spooled > 0), expected, "{context}");
    }
    assert!(site.proxy.swallowed() > 0, "{context}");

    site.proxy.pass();
    let counts = client.settle();
    assert_eq!((counts.received, counts.stored), (sent.len() as u64, sent.len() as u64), "{context}");
    let rows = site.rows();
    assert_chains(&rows, &[]);
    assert_same_events(&rows, &sent);
    assert_eq!(site.spools(), 0, "{context}");
}
