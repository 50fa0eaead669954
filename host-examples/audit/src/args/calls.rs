//! The options of all ways in which the calls of agents come to the record by themselves.

use std::path::PathBuf;

use clap::Args;

use crate::call::input::Hasher;
use crate::message::Failure;

/// How the arguments of calls are hashed.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "What is recorded")]
pub(crate) struct HashArgs {
    /// Hash the arguments with the key in this file (HMAC-SHA-256), so that nobody can guess short secrets from `input_hash`.
    /// Only its owner may have access to the file [env: AUDIT_HASH_KEY_FILE] [default: SHA-256 without a key]
    #[arg(long, value_name = "FILE")]
    hash_key_file: Option<PathBuf>,
}

impl HashArgs {
    /// What hashes the arguments of calls.
    pub(crate) fn hasher(&self) -> Result<Hasher, Failure> {
        let variable = || std::env::var_os("AUDIT_HASH_KEY_FILE").filter(|name| !name.is_empty());
        match self.hash_key_file.clone().or_else(|| variable().map(PathBuf::from)) {
            Some(path) => Hasher::with_key_file(&path),
            None => Ok(Hasher::default()),
        }
    }
}

/// For those who see a call before it ends.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What is recorded")]
pub(crate) struct CallArgs {
    #[command(flatten)]
    hash: HashArgs,
    /// Record a call also when it begins, with the status `started`, so that `audit read --unfinished` finds those that never
    /// ended
    #[arg(long)]
    pub(crate) starts: bool,
    /// Let no call happen that cannot be recorded before it begins
    #[arg(long)]
    pub(crate) fail_closed: bool,
}

impl CallArgs {
    /// What hashes the arguments of calls.
    pub(crate) fn hasher(&self) -> Result<Hasher, Failure> {
        self.hash.hasher()
    }
}
