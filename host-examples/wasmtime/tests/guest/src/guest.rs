//! The exports.

#[cfg(feature = "tenant")]
mod reads;

#[cfg(not(feature = "tenant"))]
wit_bindgen::generate!({
    path: ["../../../../wit", "wit"],
    world: "audit:guest/confined",
    ownership: Borrowing { duplicate_if_necessary: true },
    generate_all,
});
#[cfg(feature = "tenant")]
wit_bindgen::generate!({
    path: ["../../../../wit", "wit"],
    world: "audit:guest/tenant",
    ownership: Borrowing { duplicate_if_necessary: true },
    generate_all,
});

use alloc::format;
use alloc::string::String;
use alloc::vec;

use audit::store::types::{Error, EventParam as Event, Receipt};
use audit::store::writer;
use exports::audit::guest::calls;

struct Guest;

export!(Guest);

/// An event of an ordinary size.
const ORDINARY: Event<'static> = Event {
    ts: "",
    req_id: "01a21dfd-9a33-7f0e-8c57-2f2c9d1e0b44",
    workspace_id: "workspace",
    user_id: "user",
    agent_id: "guest",
    tool: "search",
    action: "query",
    status: "ok",
    duration_ms: 45,
    in_size: 120,
    out_size: 4800,
    input_hash: "28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f",
    graph_run_id: None,
    graph_node: None,
    job_id: None,
    attributes: &[],
};

fn accepted(answer: Result<Receipt, Error>) -> Result<u64, String> {
    answer.map(|receipt| receipt.accepted).map_err(text)
}

/// The name of the error's case, and what it says.
fn text(error: Error) -> String {
    match error {
        Error::Invalid(value) => format!("invalid {} {}: {}", value.index, value.field, value.reason),
        Error::Incomplete(batch) => format!("incomplete {}: {}", batch.stored, batch.reason),
        Error::Config(text) => format!("config {text}"),
        Error::Access(text) => format!("access {text}"),
        Error::Unavailable(text) => format!("unavailable {text}"),
        Error::Unanswered(text) => format!("unanswered {text}"),
        Error::Other(text) => format!("other {text}"),
    }
}

fn long(size: u32) -> String {
    "x".repeat(size as usize)
}

impl calls::Guest for Guest {
    fn write(agent_id: String, workspace_id: String, tool: String) {
        writer::write(Event { agent_id: &agent_id, workspace_id: &workspace_id, tool: &tool, ..ORDINARY });
    }

    fn write_large(size: u32) {
        writer::write(Event { tool: &long(size), ..ORDINARY });
    }

    fn write_many(count: u32) {
        for n in 0..count {
            writer::write(Event { duration_ms: n.into(), ..ORDINARY });
        }
    }

    fn write_batch(agent_id: String, count: u32, size: u32) -> Result<u64, String> {
        let tool = long(size);
        let event = Event { agent_id: &agent_id, tool: &tool, ..ORDINARY };
        accepted(writer::write_batch(&vec![event; count as usize]))
    }

    fn write_at(ts: String) -> Result<u64, String> {
        accepted(writer::write_batch(&[ORDINARY, Event { ts: &ts, ..ORDINARY }]))
    }

    fn write_jsonl(lines: String, times: u32) -> Result<u64, String> {
        accepted(writer::write_jsonl(&lines.repeat(times as usize)))
    }

    fn flush() -> Result<(), String> {
        writer::flush().map_err(text)
    }
}
