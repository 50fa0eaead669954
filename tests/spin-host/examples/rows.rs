//! How many rows a second go into PostgreSQL, in batches of 50 and 500: through the store for Spin, in this host with Spin's
//! interfaces, and through the Rust library beside it. The database is one of the tests' own, which does not wait for a disk.
//! It is one round, of which `cargo xtask bench-hosts` runs several.

use std::time::{Duration, Instant};

use audit_fixtures::{event, start};
use audit_host::{Event, Options};
use audit_spin_host::{Code, Compiled, Settings, SpinStore};
use audit_testbed::Cluster;

/// How long each is measured.
const TIME: Duration = Duration::from_secs(2);

fn main() {
    let root = xtask::root();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let [store, _] = xtask::spin::artifacts(root, &target).expect("the components build");
    let store = std::fs::read(store).expect("the artifact is there");
    let compiled = Compiled::new(&store, Code::Fast).expect("it compiles");
    let cluster = Cluster::start();
    for batch in [50, 500] {
        let events: Vec<Event> = (0..batch).map(event).collect();
        let url = cluster.database();
        let settings = Settings::default()
            .env("AUDIT_BACKEND", "postgres")
            .env("AUDIT_BATCH_SIZE", batch.to_string())
            .env("DATABASE_URL", &url)
            .allow(cluster.port());
        let mut spin = SpinStore::start(&compiled, &settings).expect("it starts");
        let in_spin = rate(batch, || {
            spin.write_batch(&events).expect("it is taken");
        });
        assert_eq!(spin.status().expect("it answers").counts.pending, 0);
        let url = cluster.database();
        let options = Options::new().backend("postgres").batch_size(batch).database_url(url);
        let mut rust = start(&options);
        let in_rust = rate(batch, || {
            rust.write_batch(&events).expect("it is taken");
        });
        assert_eq!(rust.status().expect("it answers").counts.pending, 0);
        xtask::figures::print(&format!("batches of {batch}"), in_spin);
        xtask::figures::print(&format!("batches of {batch}, the Rust library"), in_rust);
    }
}

/// Rows a second, after a first batch that makes the table.
fn rate(batch: u64, mut write: impl FnMut()) -> f64 {
    write();
    let (began, mut batches) = (Instant::now(), 0);
    while began.elapsed() < TIME {
        write();
        batches += 1;
    }
    (batch * batches) as f64 / began.elapsed().as_secs_f64()
}
