//! What tests and benchmarks run against: [`Cluster`], a PostgreSQL of their own that can crash and hang, and
//! [`Proxy`], which stands between a client and it and loses answers.
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
//! assert_eq!(cluster.sql(&database, "SELECT count(*) FROM t"), [[Some("2".to_owned())]]);
//! ```
//!
//! All of it panics where something does not work, with a message for who runs the tests.

#![cfg(unix)]
#![deny(missing_docs)]

mod account;
mod cluster;
mod processes;
mod proxy;
mod random;
mod sql;
mod watcher;

pub use cluster::{Cluster, Stop};
pub use postgres;
pub use proxy::Proxy;
pub use random::{Rng, SEED, seed};
pub use sql::Rows;
