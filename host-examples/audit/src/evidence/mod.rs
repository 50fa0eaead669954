//! Evidence that a record was not changed: `audit keygen`, `audit seal` and `audit verify`, proofs and retention.

pub(crate) mod check;
mod events;
pub(crate) mod hold;
pub(crate) mod keygen;
pub(crate) mod prove;
pub(crate) mod prune;
mod record;
pub(crate) mod seal;
mod trail;
pub(crate) mod verify;
mod witness;
