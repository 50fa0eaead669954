//! What others send to this program, as it reads that: without a process, a store or a network. For tests and fuzzers alone.

use std::io::Read;
use std::time::{Duration, SystemTime};

use audit_format::event::Event;

use crate::call::Call;
use crate::call::input::Hasher;
use crate::hook::{self, Agent};
#[cfg(unix)]
pub use crate::mcp::inputs as mcp;
pub use crate::otlp::inputs as otlp;

/// The event of a call that is recorded at a time which is the same each time.
pub(crate) fn event(call: Call) -> Event<'static> {
    call.into_event(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}

/// The names of the agents whose hooks are understood.
pub fn agents() -> Vec<String> {
    Agent::all().iter().map(|agent| agent.name()).collect()
}

/// The call that a hook tells of, and whether it has ended.
///
/// # Errors
/// Why there is no call.
pub fn hook(agent: Option<&str>, stdin: impl Read) -> Result<(Event<'static>, bool), String> {
    let agent = agent.and_then(|name| Agent::all().iter().copied().find(|agent| agent.name() == name));
    hook::told_by(agent, stdin).map(|(call, has_ended)| (event(call), has_ended))
}

/// A message as this program shows it.
pub fn masked(text: &str) -> String {
    crate::mask::masked(text)
}

/// The arguments of a call: their hash, their size, and whether they have no canonical form.
pub fn arguments(json: &[u8]) -> (String, u64, bool) {
    let input = Hasher::default().input(json);
    (input.hash, input.size, input.is_raw)
}
