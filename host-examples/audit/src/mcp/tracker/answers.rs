//! What answers tell of calls: their ends, input that is wanted, and tasks.

use super::pending::{Cancelled, Pending, Purpose, Settled};
use super::{Closed, Found, Id, Moment, Place, Sender, Tracker};
use crate::call::Outcome;
use crate::mcp::message::{Answer, Fault, Kind, Page, Reply, Request, Response, Task};

/// The most calls that wait for input, and the most tasks. Beyond, the oldest is recorded as `unknown`.
const MAX_KEPT: usize = 1000;

/// The code of "Invalid params", which also says that there is no such task.
const NO_SUCH_TASK: &str = "-32602";

/// The `error_type` of a task of which nothing more is known.
const TASK_FAILED: &str = "task_failed";

impl Tracker {
    pub(super) fn response(&mut self, place: Place, sender: Sender, response: Response, now: Moment) {
        let asked_by = if sender == Sender::Server { Sender::Client } else { Sender::Server };
        let Response { id, size, reply } = response;
        if sender == Sender::Server && !self.is_heard(place, &reply) {
            return;
        }
        if let (Sender::Server, Reply::Result(answer)) = (sender, &reply)
            && !answer.server.name.is_empty()
        {
            if !self.is_introduced || self.server.name != answer.server.name {
                self.is_introduced = true;
                self.found.push(Found::Server(answer.server.clone()));
            }
            self.server.clone_from(&answer.server);
        }
        let pending = match id {
            Some(id) => self.asked(place, asked_by, id),
            None => self.only_one_of(place, asked_by),
        };
        let Some(pending) = pending else { return };
        match reply {
            Reply::Error(fault) => self.failed(pending, &fault, size, now),
            Reply::Result(answer) => self.answered(pending, *answer, size, now),
        }
    }

    /// Whether the client hears what stands in this answer over HTTP: not a result in one without success, and nothing in one
    /// that has the status 202.
    fn is_heard(&self, place: Place, reply: &Reply) -> bool {
        match self.unsuccessful.get(&place.exchange) {
            None => true,
            Some(Closed::Accepted) => false,
            Some(_) => matches!(reply, Reply::Error(_)),
        }
    }

    /// The request with this identifier, or with its other form, if there is none.
    fn asked(&mut self, place: Place, asked_by: Sender, id: Id) -> Option<Pending> {
        let key = (place.channel, asked_by, id);
        if self.pending.contains_key(&key) {
            return self.pop(&key, place.exchange);
        }
        let id = key.2.in_other_form()?;
        self.pop(&(place.channel, asked_by, id), place.exchange)
    }

    /// An error without an identifier tells of the request of its exchange, if there is one alone.
    fn only_one_of(&mut self, place: Place, asked_by: Sender) -> Option<Pending> {
        let is_of = |pending: &Pending| place.exchange != 0 && pending.exchange == place.exchange;
        let mut keys = self
            .pending
            .iter()
            .filter(|(key, all)| key.1 == asked_by && all.front().is_some_and(is_of))
            .map(|(key, _)| key.clone());
        let key = keys.next().filter(|_| keys.next().is_none())?;
        self.pop(&key, place.exchange)
    }

    fn failed(&mut self, pending: Pending, fault: &Fault, size: u64, now: Moment) {
        match &pending.purpose {
            Purpose::TaskState(id) if fault.code == NO_SUCH_TASK => {
                if let Some(task) = self.tasks.remove(id) {
                    self.finish(task, Outcome::Unknown, &fault.code, 0, now);
                }
            }
            // The error of the call itself, unless it says that there is no such task.
            Purpose::TaskResult(id) => {
                let has_failed = |task: &Pending| {
                    task.settled.as_ref().is_some_and(|settled| settled.outcome == Outcome::Error)
                };
                let is_of_call = fault.code != NO_SUCH_TASK || self.tasks.get(id).is_some_and(has_failed);
                if let Some(task) = is_of_call.then(|| self.tasks.remove(id)).flatten() {
                    self.finish(task, Outcome::Error, &fault.code, size, now);
                }
            }
            _ => {}
        }
        // Many servers answer with an error what was cancelled.
        match pending.cancelled {
            Some(Cancelled { at, outcome }) => self.finish(pending, outcome, "", 0, Moment { at, ..now }),
            None if fault.is_timeout => self.finish(pending, Outcome::Timeout, &fault.code, size, now),
            None => self.finish(pending, Outcome::Error, &fault.code, size, now),
        }
    }

    fn answered(&mut self, mut pending: Pending, mut answer: Answer, size: u64, now: Moment) {
        match (&pending.purpose, answer.task.take()) {
            (Purpose::ListTools(cursor), _) => self.found.push(Found::Tools {
                server: self.server.clone(),
                page: Page {
                    cursor: cursor.clone(),
                    tools: std::mem::take(&mut answer.tools),
                    next: answer.next.take(),
                    is_cut: answer.is_cut,
                },
            }),
            (Purpose::TaskState(_) | Purpose::TaskCancel(_), Some(task)) => self.task_is(task, now),
            (Purpose::TaskCancel(id), None) => {
                // From now on, nobody has to ask for it any more.
                if let Some(task) = self.tasks.get_mut(id) {
                    task.cancelled.get_or_insert(Cancelled { at: now.at, outcome: Outcome::Cancelled });
                }
            }
            (Purpose::TaskResult(id), _) => {
                if let Some(task) = self.tasks.remove(id) {
                    let has_failed = |settled: &Settled| settled.outcome == Outcome::Error;
                    if !answer.is_error && task.settled.as_ref().is_some_and(has_failed) {
                        self.finish(task, Outcome::Error, TASK_FAILED, size, now);
                    } else {
                        self.end_of_call(task, answer.kind, answer.is_error, size, now);
                    }
                }
            }
            (Purpose::Call, Some(task)) if answer.kind == Kind::Task => {
                pending.cancelled = None;
                self.keep_task(task, pending, now);
                return;
            }
            (Purpose::Call, _) if answer.kind == Kind::InputRequired => {
                pending.state = answer.state;
                // How long nobody has answered counts from now.
                pending.settled =
                    Some(Settled { at: now.at, outcome: Outcome::Unknown, error: "input_required" });
                self.inputs.push(pending);
                if self.inputs.len() > MAX_KEPT {
                    let oldest = self.inputs.remove(0);
                    self.finish(oldest, Outcome::Unknown, "input_required", 0, now);
                }
                return;
            }
            _ => {}
        }
        // A result that comes in spite of a cancellation tells that it came too late.
        self.end_of_call(pending, answer.kind, answer.is_error, size, now);
    }

    fn end_of_call(&mut self, pending: Pending, kind: Kind, is_error: bool, size: u64, now: Moment) {
        let (outcome, error) = match kind {
            _ if is_error => (Outcome::Error, "tool_error"),
            Kind::Complete => (Outcome::Ok, ""),
            Kind::InputRequired => (Outcome::Unknown, "input_required"),
            // One that nobody can ask for.
            Kind::Task => (Outcome::Unknown, "task"),
            Kind::Other => (Outcome::Unknown, "result_type"),
        };
        self.finish(pending, outcome, error, size, now);
    }

    /// The call that this request goes on with, because it has the input that the server wanted.
    pub(super) fn take_input(&mut self, request: &Request) -> Option<Pending> {
        if !request.answers_input() {
            return None;
        }
        let is_same = |pending: &Pending| {
            pending.state == request.state
                && pending.call.tool == request.name
                && pending.call.input == request.input
        };
        let at = self.inputs.iter().position(is_same)?;
        Some(Pending { settled: None, cancelled: None, ..self.inputs.remove(at) })
    }

    fn keep_task(&mut self, task: Task, pending: Pending, now: Moment) {
        let age = |(id, pending): (&String, &Pending)| (pending.number, id.clone());
        if self.tasks.len() >= MAX_KEPT
            && let Some((_, id)) = self.tasks.iter().map(age).min()
            && let Some(oldest) = self.tasks.remove(&id)
        {
            self.finish(oldest, Outcome::Unknown, "task", 0, now);
        }
        if let Some(other) = self.tasks.insert(task.id.clone(), pending) {
            self.finish(other, Outcome::Unknown, "task", 0, now);
        }
        self.task_is(task, now);
    }

    /// A task has this state now.
    pub(super) fn task_is(&mut self, task: Task, now: Moment) {
        let Some(known) = self.tasks.get_mut(&task.id) else { return };
        let is_final = match task.status.as_str() {
            "completed" | "failed" => task.result.is_some() || task.error.is_some(),
            "cancelled" => true,
            _ => return,
        };
        if !is_final {
            // Before 2026-07-28, another answer has the result, for which the client need not ask.
            let (outcome, error) =
                if task.status == "failed" { (Outcome::Error, TASK_FAILED) } else { (Outcome::Ok, "") };
            known.settled.get_or_insert(Settled { at: now.at, outcome, error });
            return;
        }
        let Some(pending) = self.tasks.remove(&task.id) else { return };
        let (has_failed, is_cancelled) = (task.status == "failed", task.status == "cancelled");
        match (task.error, task.result) {
            (Some(code), _) => self.finish(pending, Outcome::Error, &code, 0, now),
            (None, _) if is_cancelled => self.finish(pending, Outcome::Cancelled, "", 0, now),
            (None, Some((size, false))) if has_failed => {
                self.finish(pending, Outcome::Error, TASK_FAILED, size, now);
            }
            (None, Some((size, is_error))) => self.end_of_call(pending, Kind::Complete, is_error, size, now),
            (None, None) => self.finish(pending, Outcome::Cancelled, "", 0, now),
        }
    }
}
