//! The component: answers HTTP, and records what was called in one batch for each request.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Value, json};
use wasi::clocks::monotonic_clock;
use wasi::exports::http::incoming_handler::Guest;
use wasi::http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasi::io::streams::StreamError;

use crate::bindings::audit::store::{control, reader, writer};
use crate::calls::{self, Call, Caller};
use crate::page::{self, Asked};
use crate::types::{Error, Event};

/// The most bytes of a request's body.
const MAX_BODY: usize = 1 << 20;

/// The most bytes that `blocking-read` and `blocking-write-and-flush` are called with.
const CHUNK: usize = 4096;

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// What the application answers.
struct Answer {
    status: u16,
    kind: &'static str,
    body: String,
}

impl Answer {
    fn json(status: u16, json: &Value) -> Self {
        Self { status, kind: JSON, body: format!("{json}\n") }
    }

    fn problem(status: u16, text: &str) -> Self {
        Self::json(status, &json!({ "error": text }))
    }
}

struct App;

wasi::http::proxy::export!(App with_types_in wasi);

impl Guest for App {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        respond(answer(&request), out);
    }
}

fn answer(request: &IncomingRequest) -> Answer {
    let whole = request.path_with_query().unwrap_or_default();
    let (path, query) = whole.split_once('?').unwrap_or((&whole, ""));
    let Some(caller) = caller(request) else {
        return Answer::problem(400, "accepted is one header x-workspace-id, in UTF-8: it names the tenant");
    };
    match (&request.method(), path) {
        (Method::Get, "/" | "/audit") => trail(&caller, query),
        (Method::Post, "/tools") => several(request, &caller),
        (Method::Post, path) if path.starts_with("/tools/") => {
            one(request, &caller, &path["/tools/".len()..])
        }
        (_, "/" | "/audit") => Answer::problem(405, "accepted is GET"),
        (_, path) if path == "/tools" || path.starts_with("/tools/") => {
            Answer::problem(405, "accepted is POST")
        }
        _ => Answer::problem(404, "there are /audit, /tools and /tools/NAME"),
    }
}

/// On whose behalf a request comes. None: it does not say which tenant it is, or says it twice, of which the client may have
/// sent one.
fn caller(request: &IncomingRequest) -> Option<Caller> {
    let headers = request.headers();
    let header = |name: &str| {
        let value = headers.get(name).into_iter().next().unwrap_or_default();
        String::from_utf8_lossy(&value).into_owned()
    };
    let mut workspaces = headers.get("x-workspace-id").into_iter();
    let workspace = workspaces.next().filter(|name| !name.is_empty() && workspaces.next().is_none())?;
    Some(Caller {
        workspace: String::from_utf8(workspace).ok()?,
        user: header("x-user-id"),
        agent: header("x-agent-id"),
        request: header("x-request-id"),
    })
}

/// `POST /tools/NAME`: the body is the tool's input.
fn one(request: &IncomingRequest, caller: &Caller, tool: &str) -> Answer {
    let input = match body(request) {
        Ok(input) => input,
        Err(refused) => return refused.answer(caller, tool),
    };
    let call = Call { tool: tool.into(), input };
    let answer = calls::make(&call, caller, monotonic_clock::now);
    let status = match answer.event.status.as_str() {
        "ok" => 200,
        _ => 422,
    };
    let audit = record(&[answer.event]);
    let mut json = answer.json;
    json["audit"] = audit;
    Answer::json(status, &json)
}

/// `POST /tools`: the body is a JSON array of calls, which are recorded together.
fn several(request: &IncomingRequest, caller: &Caller) -> Answer {
    let calls = match body(request).and_then(|body| calls::parse(&body).map_err(Refused::Invalid)) {
        Ok(calls) => calls,
        Err(refused) => return refused.answer(caller, ""),
    };
    let answers = calls.iter().map(|call| calls::make(call, caller, monotonic_clock::now));
    let (answers, events): (Vec<Value>, Vec<Event>) =
        answers.map(|answer| (answer.json, answer.event)).unzip();
    let audit = record(&events);
    Answer::json(200, &json!({ "answers": answers, "audit": audit }))
}

/// Records the events in one batch, and says what became of them: an instance lives for one request, so what the database
/// does not have by now is lost. `flush` tries once more, and has the reason.
fn record(events: &[Event]) -> Value {
    let written = writer::write_batch(events).map(drop);
    let written = written.and_then(|()| match control::status()?.counts.pending {
        0 => Ok(()),
        _ => writer::flush(),
    });
    let counts = control::status().map(|status| status.counts);
    let recorded = counts.as_ref().map_or(0, |counts| counts.stored);
    let lost = (events.len() as u64).saturating_sub(recorded);
    let mut audit = json!({ "recorded": recorded, "lost": lost });
    if let Err(error) = written.and(counts.map(drop)) {
        let (kind, message) = described(&error);
        audit["error"] = json!({ "kind": kind, "message": message });
    }
    audit
}

fn described(error: &Error) -> (&'static str, String) {
    match error {
        Error::Invalid(value) => ("invalid", format!("{}: {}", value.field, value.reason)),
        Error::Incomplete(batch) => ("incomplete", batch.reason.clone()),
        Error::Config(text) => ("config", text.clone()),
        Error::Access(text) => ("access", text.clone()),
        Error::Unavailable(text) => ("unavailable", text.clone()),
        Error::Unanswered(text) => ("unanswered", text.clone()),
        Error::Other(text) => ("other", text.clone()),
    }
}

/// `GET /audit`: what the tenant's agents have called.
fn trail(caller: &Caller, query: &str) -> Answer {
    let asked = Asked::new(query);
    let page = reader::read(&asked.filter(&caller.workspace), &asked.request());
    let (status, body) = match page {
        Ok(page) => (200, asked.html(&caller.workspace, &page)),
        Err(error) => {
            let (kind, message) = described(&error);
            let status = if kind == "invalid" { 400 } else { 503 };
            (status, page::problem("The record cannot be read", &format!("{kind}: {message}")))
        }
    };
    Answer { status, kind: HTML, body }
}

/// Why a body is refused before any tool is called.
enum Refused {
    TooLarge,
    Invalid(String),
    Broken,
}

impl Refused {
    /// Records that, and answers.
    fn answer(self, caller: &Caller, tool: &str) -> Answer {
        let (status, error_type, text) = match self {
            Self::TooLarge => (413, "too_large", format!("accepted are {MAX_BODY} bytes at most")),
            Self::Invalid(text) => (400, "invalid_request", text),
            Self::Broken => (400, "broken_request", "the body cannot be read".into()),
        };
        let audit = record(&[calls::refused(caller, tool, error_type)]);
        Answer::json(status, &json!({ "error": text, "audit": audit }))
    }
}

fn body(request: &IncomingRequest) -> Result<String, Refused> {
    let body = request.consume().map_err(|()| Refused::Broken)?;
    let stream = body.stream().map_err(|()| Refused::Broken)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK as u64) {
            Ok(read) => bytes.extend(read),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(Refused::Broken),
        }
        if bytes.len() > MAX_BODY {
            return Err(Refused::TooLarge);
        }
    }
    String::from_utf8(bytes).map_err(|_| Refused::Invalid("the body is not UTF-8".into()))
}

/// Sends the answer. A client that has gone is no error of the application.
fn respond(answer: Answer, out: ResponseOutparam) {
    let headers = Fields::new();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'";
    for (name, value) in
        [("content-type", answer.kind), ("content-security-policy", policy), ("cache-control", "no-store")]
    {
        let _ = headers.append(name, value.as_bytes());
    }
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(answer.status);
    let body = response.body();
    ResponseOutparam::set(out, Ok(response));
    let Ok(body) = body else { return };
    if let Ok(stream) = body.write() {
        for chunk in answer.body.as_bytes().chunks(CHUNK) {
            if stream.blocking_write_and_flush(chunk).is_err() {
                break;
            }
        }
    }
    let _ = OutgoingBody::finish(body, None);
}
