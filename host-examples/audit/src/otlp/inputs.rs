//! What an export tells, for tests and fuzzers.

use audit_format::event::Event;

use super::export::{Export, Names, Refusal};
use super::read::{Encoding, Signal};
use super::sighting::{Defaults, Sighting};
use crate::call::input::Hasher;
use crate::inputs::event;

/// What an export tells.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// The event of each span or log record of a call, by itself.
    pub calls: Vec<Event<'static>>,
    /// How many decisions let a call happen.
    pub allowed: usize,
    /// How many spans and log records tell of no call.
    pub forgotten: u64,
    /// How many spans of calls have no valid identifiers.
    pub rejected: u64,
}

/// Why an export is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It cannot be read.
    Undecodable(String),
    /// It has more calls than any exporter sends at once.
    TooManyCalls,
}

/// Reads an export of spans, or with `is_logs` of log records, as JSON or as Protobuf.
///
/// # Errors
/// Why it is refused.
pub fn export(is_logs: bool, is_json: bool, body: &[u8]) -> Result<Told, Refused> {
    let signal = if is_logs { Signal::Logs } else { Signal::Traces };
    let encoding = if is_json { Encoding::Json } else { Encoding::Protobuf };
    let export = Export::read(signal, encoding, body, &Names::default(), &Hasher::default());
    let export = export.map_err(|refusal| match refusal {
        Refusal::Undecodable(why) => Refused::Undecodable(why),
        Refusal::TooManyCalls => Refused::TooManyCalls,
    })?;
    let call = |sighting| Sighting::call(vec![sighting], &Defaults::default());
    Ok(Told {
        calls: export.calls.into_iter().filter_map(call).map(event).collect(),
        allowed: export.allowed.len(),
        forgotten: export.forgotten,
        rejected: export.rejected,
    })
}
