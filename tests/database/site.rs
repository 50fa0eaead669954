//! A folder, and a database with the table of events, which a proxy leads to.

use std::path::Path;

use audit_fixtures::{database_options, database_with_table, rows};
use audit_host::{Entry, Options};
use audit_testbed::{Cluster, Proxy, spools};
use tempfile::TempDir;

pub struct Site {
    pub cluster: &'static Cluster,
    pub proxy: Proxy,
    /// The URL of the database without the proxy.
    pub url: String,
    folder: TempDir,
}

impl Site {
    pub fn new() -> Self {
        let cluster = Cluster::shared();
        let (proxy, folder) = (Proxy::to(cluster.port()), tempfile::tempdir().unwrap());
        Self { cluster, proxy, url: database_with_table(cluster), folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of the database through the proxy.
    pub fn proxied(&self) -> String {
        self.proxy.url(&self.url)
    }

    /// The options of a store that reaches the database through the proxy.
    pub fn options(&self, backend: &str) -> Options {
        database_options(backend, self.folder(), self.proxied())
    }

    /// How many rows there are.
    pub fn stored(&self) -> u64 {
        self.cluster.stored(&self.url)
    }

    /// All rows, in the order in which they were inserted.
    pub fn rows(&self) -> Vec<Entry> {
        rows(self.cluster, &self.url)
    }

    /// How many files the spool has.
    pub fn spools(&self) -> usize {
        spools(self.folder()).len()
    }
}
