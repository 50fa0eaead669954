//! The store's environment in a component: WASI 0.2's clock, random numbers, environment variables, stderr
//! and preopened folders, and the database of the WIT import `postgres`.

mod clock;
mod file;
mod folder;
mod path;
mod stderr;

pub use stderr::warn;

use crate::database;
use crate::host::{DatabaseError, Host, RefusedRow, Rows};
use alloc::string::String;
use alloc::vec::Vec;
use audit_format::query::Query;
use audit_format::time::Timestamp;
use core::cell::OnceCell;
use folder::WasiFolder;
use wasi::cli::environment;
use wasi::clocks::wall_clock;
use wasi::random::random;

/// The environment of the component.
#[derive(Default)]
pub struct Wasi {
    variables: OnceCell<Vec<(String, String)>>,
}

impl Host for Wasi {
    type Folder = WasiFolder;

    fn now(&self) -> Timestamp {
        clock::timestamp(wall_clock::now())
    }

    fn random(&self) -> u128 {
        u128::from(random::get_random_u64()) << 64 | u128::from(random::get_random_u64())
    }

    fn warn(&self, line: &str) {
        warn(line);
    }

    fn variable(&self, name: &str) -> Option<String> {
        let all = self.variables.get_or_init(environment::get_environment);
        all.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn folder(&self, path: &str) -> WasiFolder {
        WasiFolder::new(path)
    }

    fn has_database(&self) -> bool {
        database::is_configured()
    }

    fn insert(&self, lines: &str) -> Result<Vec<RefusedRow>, DatabaseError> {
        database::insert(lines)
    }

    fn select(&self, query: &Query) -> Result<Rows, DatabaseError> {
        database::select(query)
    }
}
