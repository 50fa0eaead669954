//! `audit keygen` and `audit seal`: evidence that a record was not changed.

pub(crate) mod keygen;
mod record;
pub(crate) mod seal;
mod witness;
