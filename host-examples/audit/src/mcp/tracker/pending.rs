//! A request that waits for its answer.

use std::time::Instant;

use super::Moment;
use crate::call::{Call, Outcome};
use crate::mcp::message::Request;

/// What a request is for, as far as its answer matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It calls a tool.
    Call,
    /// The answer tells who the server is.
    Introduction,
    /// It asks for the tools from this cursor on.
    ListTools(String),
    /// It asks for the state of this task.
    TaskState(String),
    /// It asks for the result of this task (2025-11-25).
    TaskResult(String),
    /// It asks to cancel this task.
    TaskCancel(String),
    Other,
}

impl Purpose {
    pub(super) fn of(request: &Request) -> Self {
        let task = || request.task.clone();
        match request.method.as_str() {
            "tools/call" => Self::Call,
            "initialize" | "server/discover" => Self::Introduction,
            "tools/list" => Self::ListTools(request.cursor.clone()),
            "tasks/get" => Self::TaskState(task()),
            "tasks/result" => Self::TaskResult(task()),
            "tasks/cancel" => Self::TaskCancel(task()),
            _ => Self::Other,
        }
    }
}

/// The client does not want the answer any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cancelled {
    pub(super) at: Instant,
    /// Cancelled, or a timeout.
    pub(super) outcome: Outcome,
}

/// An outcome that is known, while more may become known.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) at: Instant,
    pub(super) outcome: Outcome,
    pub(super) error: &'static str,
}

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) call: Call,
    pub(super) purpose: Purpose,
    pub(super) began: Instant,
    /// The requests that came before: several may begin at the same instant.
    pub(super) number: u64,
    pub(super) is_recorded: bool,
    pub(super) is_modern: bool,
    pub(super) exchange: u64,
    /// What its server wants to have back with the input that it asked for.
    pub(super) state: String,
    pub(super) cancelled: Option<Cancelled>,
    pub(super) settled: Option<Settled>,
    pub(super) http_status: String,
    /// Its answer may have been in what could not be observed.
    pub(super) may_be_answered: bool,
}

impl Pending {
    pub(super) fn new(call: Call, request: &Request, number: u64, now: Moment) -> Self {
        Self {
            call,
            purpose: Purpose::Other,
            began: now.at,
            number,
            is_recorded: false,
            is_modern: request.is_modern,
            exchange: 0,
            state: String::new(),
            cancelled: None,
            settled: None,
            http_status: String::new(),
            may_be_answered: false,
        }
    }
}
