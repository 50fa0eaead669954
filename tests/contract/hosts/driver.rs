//! A host that is a process of its own, with a *driver*: a program that uses the host as anybody would. It takes requests as
//! JSON lines on its input, and answers each with a line:
//!
//! ```text
//! {"open":{"backend":"jsonl","dir":"/tmp/x","database_url":null}}   {"ok":null}
//! {"write":EVENT}                                                   {"ok":null}
//! {"write_batch":[EVENT]}, {"write_jsonl":"lines"}, {"flush":null}  {"ok":null}
//! {"read":{"filter":{},"order":"oldest-first","limit":0,"cursor":null}}
//!                                                      {"ok":{"entries":[ENTRY],"next":null,"skipped":0}}
//! {"read_jsonl":{}}, as `read`                         {"ok":{"lines":"","count":0,"next":null,"skipped":0}}
//! {"status":null}                                      {"ok":{"mended":0,"counts":{"received":0,"stored":0,
//!                                                       "spooled":0,"pending":0,"rejected":0,"dropped":0}}}
//! {"close":null}                                       {"ok":null}
//! a call that fails     {"error":{"kind":"invalid","index":0,"field":"ts","reason":""}}, or with another kind and a "message"
//! ```

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use audit_fixtures::event_from_json;
use audit_host::{Counts, Dropped, Entry, Error, InvalidValue, JsonlPage, Order, Page, PageRequest};
use serde_json::{Value, json};

use super::{Opener, Opening, Status, Store};

/// A driver while it runs.
pub struct Driver {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Driver {
    /// Starts a driver.
    pub fn start(mut command: Command) -> Box<dyn Opener> {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        Box::new(Self { child, requests, answers })
    }

    fn call(&mut self, request: &Value) -> Result<Value, Error> {
        let requests = self.requests.as_mut().expect("the driver runs");
        writeln!(requests, "{request}").expect("the driver reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the driver answers");
        let answer: Value = serde_json::from_str(&answer)
            .unwrap_or_else(|error| panic!("{error}: the driver answers {request} with {answer:?}"));
        match (answer.get("ok"), answer.get("error")) {
            (Some(ok), None) => Ok(ok.clone()),
            (None, Some(error)) => Err(error_from_json(error)),
            _ => panic!("the driver answers {request} with {answer}"),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.requests.take());
        let _ = self.child.wait();
    }
}

impl Opener for Driver {
    fn open(&mut self, opening: &Opening<'_>) -> Box<dyn Store + '_> {
        let open = json!({
            "backend": opening.backend.name(),
            "dir": opening.dir,
            "database_url": opening.database_url,
        });
        self.call(&json!({ "open": open })).expect("a store opens");
        Box::new(Opened(self))
    }
}

/// A store that is open in a driver.
struct Opened<'d>(&'d mut Driver);

impl Opened<'_> {
    fn call(&mut self, request: &Value) -> Result<Value, Error> {
        self.0.call(request)
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        // After a failed assertion the driver may have ended.
        if !std::thread::panicking() {
            self.call(&json!({ "close": null })).expect("a store closes");
        }
    }
}

impl Store for Opened<'_> {
    fn write(&mut self, event: &Value) {
        self.call(&json!({ "write": event })).expect("write never fails");
    }

    fn write_batch(&mut self, events: &[Value]) -> Result<(), Error> {
        self.call(&json!({ "write_batch": events })).map(drop)
    }

    fn write_jsonl(&mut self, lines: &str) -> Result<(), Error> {
        self.call(&json!({ "write_jsonl": lines })).map(drop)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.call(&json!({ "flush": null })).map(drop)
    }

    fn read(&mut self, filter: &Value, page: &PageRequest) -> Result<Page, Error> {
        let page = self.call(&json!({ "read": read(filter, page) }))?;
        let entries = page["entries"].as_array().expect("a page has entries").iter().map(entry).collect();
        Ok(Page { entries, next: text(&page["next"]), skipped: number(&page["skipped"]) })
    }

    fn read_jsonl(&mut self, filter: &Value, page: &PageRequest) -> Result<JsonlPage, Error> {
        let page = self.call(&json!({ "read_jsonl": read(filter, page) }))?;
        Ok(JsonlPage {
            lines: text(&page["lines"]).expect("a page has lines"),
            count: number(&page["count"]).try_into().expect("a page has fewer entries"),
            next: text(&page["next"]),
            skipped: number(&page["skipped"]),
        })
    }

    fn status(&mut self) -> Status {
        let status = self.call(&json!({ "status": null })).expect("it has a status");
        let count = |name: &str| number(&status["counts"][name]);
        let counts = Counts {
            received: count("received"),
            stored: count("stored"),
            spooled: count("spooled"),
            pending: count("pending"),
            rejected: count("rejected"),
            dropped: Dropped { invalid: 0, queue_full: 0, unwritable: count("dropped") },
        };
        Status { mended: number(&status["mended"]), counts }
    }
}

fn read(filter: &Value, page: &PageRequest) -> Value {
    let order = match page.order {
        Order::OldestFirst => "oldest-first",
        Order::NewestFirst => "newest-first",
    };
    let filter = if filter.is_null() { json!({}) } else { filter.clone() };
    json!({ "filter": filter, "order": order, "limit": page.limit, "cursor": page.cursor })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(String::from)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn entry(value: &Value) -> Entry {
    let member = |name: &str| text(&value[name]).unwrap_or_else(|| panic!("{value} has no {name}"));
    Entry {
        event: event_from_json(value),
        id: member("id"),
        chain: member("chain"),
        seq: number(&value["seq"]),
        hash: member("hash"),
    }
}

fn error_from_json(error: &Value) -> Error {
    let member = |name: &str| text(&error[name]).unwrap_or_else(|| panic!("{error} has no {name}"));
    match member("kind").as_str() {
        "invalid" => Error::Invalid(InvalidValue {
            index: number(&error["index"]),
            field: member("field"),
            reason: member("reason"),
        }),
        "config" => Error::Config(member("message")),
        "access" => Error::Access(member("message")),
        "unavailable" => Error::Unavailable(member("message")),
        "unanswered" => Error::Unanswered(member("message")),
        _ => Error::Other(error.to_string()),
    }
}
