//! The environment variables that the component reads. The host reads them too, to know what the component
//! will do.

use std::env;
use std::ffi::{OsStr, OsString};

/// The names of the variables.
const NAMES: [&str; 9] = [
    "AUDIT_BACKEND",
    "AUDIT_JSONL_DIR",
    "REPO_ROOT",
    "AUDIT_DURABILITY",
    "AUDIT_MEMORY_LIMIT",
    "AUDIT_BATCH_SIZE",
    "AUDIT_FLUSH_INTERVAL_MS",
    "AUDIT_QUEUE_LIMIT",
    "AUDIT_RECOVERY_INTERVAL_S",
];

/// The variables that are set, with their values.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment(Vec<(&'static str, OsString)>);

impl Environment {
    /// Reads the variables of this process.
    pub(super) fn read() -> Self {
        NAMES.into_iter().filter_map(|name| Some((name, variable(name)?))).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.to_str()?.parse().ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &OsStr)> {
        self.0.iter().map(|(name, value)| (*name, value.as_os_str()))
    }
}

impl FromIterator<(&'static str, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'static str, OsString)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// The value of a variable of this process. An empty one counts as not set.
pub(super) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
