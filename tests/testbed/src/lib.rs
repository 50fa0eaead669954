//! What tests and benchmarks run against: [`Cluster`], a PostgreSQL of their own that can crash and hang, and
//! [`Proxy`], which stands between a client and it and loses answers; [`Pooler`], a PgBouncer in that place. And what every
//! test needs that works with them: waiting, seeds, URLs, and the files of a store.
//!
//! ```
//! use audit_testbed::{Cluster, Proxy};
//!
//! let cluster = Cluster::shared();
//! let database = cluster.database();
//! cluster.execute(&database, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
//!
//! let proxy = Proxy::to(cluster.port());
//! proxy.swallow_next(1);
//! let answer = cluster.try_sql(&proxy.url(&database), "INSERT INTO t VALUES (2)");
//! assert!(answer.is_err());
//! assert_eq!(cluster.value(&database, "SELECT count(*) FROM t"), "2");
//! ```
//!
//! All of it panics where something does not work, with a message for whoever runs the tests.

#![cfg(unix)]
#![deny(missing_docs)]

mod account;
mod cluster;
mod faults;
mod files;
mod odd;
mod pooler;
mod port;
mod processes;
mod proxy;
mod random;
mod sql;
mod url;
mod wait;
mod watcher;

pub use cluster::{
    Cluster, DATABASE_BACKENDS, DISK_FULL, ORIGINAL_TABLE, REFUSAL, ROLE_PASSWORD, Stop, TABLE,
    WRITE_AND_READ,
};
pub use faults::Faults;
pub use files::{age_spools, files, refused, spools};
pub use pooler::Pooler;
pub use port::free_port;
pub use postgres;
pub use proxy::{Aftermath, Fault, Proxy, Seen, Side, Strike};
pub use random::{Rng, SEED, seed};
pub use sql::Rows;
pub use url::{NOWHERE, as_user, database_name};
pub use wait::{ANSWER, NEVER, PATIENCE, wait_for, wait_until};
