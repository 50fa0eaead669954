//! `audit keygen`, `audit seal` and `audit verify`: evidence that a record was not changed.

pub(crate) mod keygen;
mod record;
pub(crate) mod seal;
pub(crate) mod verify;
mod witness;
