//! The messages of the Model Context Protocol, as far as they tell of calls: JSON-RPC 2.0 of all revisions up to 2026-07-28,
//! each understood by itself, because one peer may speak several.

use std::fmt;

use serde_json::Value;

use crate::call::input::{Hasher, Input};
use crate::call::sketch::{NotJson, Path, Sketch, Sketcher, Want, Wanted};

/// Paths within a message, which may also be one of a batch (2025-03-26).
macro_rules! paths {
    ($($key:literal $(. $keys:literal)*),* $(,)?) => {
        &[$(&[$key $(, $keys)*], &["*", $key $(, $keys)*]),*]
    };
}

/// What is measured at paths within a message, likewise.
macro_rules! wanted {
    ($($key:literal $(. $keys:literal)* => $want:expr),* $(,)?) => {
        &[$((&[$key $(, $keys)*], $want), (&["*", $key $(, $keys)*], $want)),*]
    };
}

/// The first two are only wanted of every request.
const WANTED_OF_ALL: &[Wanted] = wanted! {
    "params" => Want::Input,
    "params"."arguments" => Want::Input,
    "params"."requestState" => Want::Digest,
    "params"."inputResponses" => Want::Size,
    "params"."result" => Want::Size,
    "result" => Want::Size,
    "result"."requestState" => Want::Digest,
    "result"."result" => Want::Size,
    "result"."tools"."*" => Want::Digest,
    "result"."tools"."*"."name" => Want::Digest,
    "error" => Want::Size,
};

const WANTED: &[Wanted] = WANTED_OF_ALL.split_at(2).1;

const KEPT: &[Path] = paths! {
    "jsonrpc",
    "id",
    "method",
    "params"."name",
    "params"."requestId",
    "params"."reason",
    "params"."taskId",
    "params"."status",
    "params"."result"."isError",
    "params"."error"."code",
    "params"."clientInfo"."name",
    "params"."clientInfo"."version",
    "params"."_meta"."io.modelcontextprotocol/clientInfo"."name",
    "params"."_meta"."io.modelcontextprotocol/clientInfo"."version",
    "params"."_meta"."io.modelcontextprotocol/protocolVersion",
    "params"."_meta"."traceparent",
    "result"."isError",
    "result"."resultType",
    "result"."taskId",
    "result"."status",
    "result"."task"."taskId",
    "result"."task"."status",
    "result"."result"."isError",
    "result"."error"."code",
    "result"."nextCursor",
    "params"."cursor",
    "result"."tools"."*"."name",
    "result"."serverInfo"."name",
    "result"."serverInfo"."version",
    "result"."_meta"."io.modelcontextprotocol/serverInfo"."name",
    "result"."_meta"."io.modelcontextprotocol/serverInfo"."version",
    "error"."code",
    "error"."message",
};

/// The longest name of a tool, in bytes, as it is: longer ones are told by their first characters and their hash, so that what is
/// remembered of a server is bounded. The specification allows 128 characters.
const MAX_NAME: u64 = 128;

/// So many characters of a longer one.
const LONG_NAME: usize = 32;

/// What makes sketches of messages.
pub(super) fn sketcher(hasher: &Hasher, all: bool) -> Sketcher {
    Sketcher::new(if all { WANTED_OF_ALL } else { WANTED }, hasher).keeping(KEPT)
}

/// An identifier of a request, as JSON: the number 1 and the text "1" differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id(String);

impl Id {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            // 1.0 is the number 1.
            Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(float) if float.fract() == 0.0 => Some(Self(format!("{float:.0}"))),
                _ => Some(Self(number.to_string())),
            },
            other => Some(Self(other.to_string())),
        }
    }

    /// The text "1" for the number 1, and the other way round: some servers make one of the other, and clients accept it.
    pub(super) fn in_other_form(&self) -> Option<Self> {
        let is_number = |text: &str| text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
        match self.0.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(text) => is_number(text).then(|| Self(text.to_owned())),
            None => is_number(&self.0).then(|| Self(format!("\"{}\"", self.0))),
        }
    }

    /// As JSON.
    pub(super) fn json(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Request(Request),
    Notification(Notification),
    Response(Response),
}

/// A request, or a notification with the method of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// None: no answer will come.
    pub(super) id: Option<Id>,
    pub(super) method: String,
    /// The tool that is called, or what else has a name.
    pub(super) name: String,
    pub(super) input: Option<Input>,
    /// The client, if this message tells.
    pub(super) client: Peer,
    /// It carries what the session did before 2026-07-28.
    pub(super) is_modern: bool,
    /// It has the input that the server wanted.
    pub(super) has_input: bool,
    /// The hash of what the server wants to have back then.
    pub(super) state: String,
    pub(super) task: String,
    /// Where the page begins that it asks for. Empty: at the beginning.
    pub(super) cursor: String,
    /// The trace and the span that it belongs to (W3C Trace Context).
    pub(super) trace: Option<(String, String)>,
}

impl Request {
    /// Whether it may go on with a call for which the server wanted input. The server may have wanted its state back alone.
    pub(super) fn answers_input(&self) -> bool {
        self.has_input || !self.state.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notification {
    Cancelled { id: Option<Id>, is_timeout: bool },
    Task(Task),
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) id: Option<Id>,
    /// In bytes: of the result or the error.
    pub(super) size: u64,
    pub(super) reply: Reply,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Error(Fault),
    Result(Box<Answer>),
}

/// A JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: String,
    pub(super) is_timeout: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) kind: Kind,
    pub(super) is_error: bool,
    /// The server, if this message tells.
    pub(super) server: Peer,
    /// The hash of what the client has to give back, where input is wanted.
    pub(super) state: String,
    pub(super) task: Option<Task>,
    /// Tools by their names, with the hashes of their definitions.
    pub(super) tools: Vec<(String, String)>,
    /// Where the next page begins, if another one follows.
    pub(super) next: Option<String>,
    /// Not all of it was looked at, because it is too long.
    pub(super) is_cut: bool,
}

/// A page of the tools of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Where it begins. Empty: it is the first.
    pub(crate) cursor: String,
    /// Their names, with the hashes of their definitions.
    pub(crate) tools: Vec<(String, String)>,
    /// Where the next one begins, if another one follows.
    pub(crate) next: Option<String>,
    /// There are more tools than those, because they are too many.
    pub(crate) is_cut: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Complete,
    InputRequired,
    /// A task was made. Its outcome comes later.
    Task,
    /// No revision that is known has it.
    Other,
}

/// The state of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) status: String,
    /// The size of its result in bytes, and whether it is an error of the tool (2026-07-28).
    pub(super) result: Option<(u64, bool)>,
    /// The code of its error.
    pub(super) error: Option<String>,
}

/// What a peer calls itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) version: String,
}

impl fmt::Display for Peer {
    /// As in `claude-code/2.1.0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.version.is_empty() { Ok(()) } else { write!(f, "/{}", self.version) }
    }
}

/// The messages of one JSON text.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) all: Vec<Message>,
    pub(super) is_batch: bool,
    /// How many of a batch were not looked at, because there were too many.
    pub(super) left_out: usize,
}

impl Messages {
    pub(super) fn of(sketch: Result<Sketch, NotJson>) -> Result<Self, NotJson> {
        let sketch = sketch?;
        match &sketch.value {
            Value::Array(items) => {
                let message = |(n, item)| Part { sketch: &sketch, item, pointer: format!("/{n}") }.message();
                let all = items.iter().enumerate().filter_map(message).collect();
                Ok(Self { all, is_batch: true, left_out: sketch.len - items.len() })
            }
            item => {
                let message = Part { sketch: &sketch, item, pointer: String::new() }.message();
                Ok(Self { all: message.into_iter().collect(), ..Self::default() })
            }
        }
    }
}

/// The code of a timeout in the SDK for Python: the status of HTTP.
const REQUEST_TIMEOUT: &str = "408";

/// The codes of JSON-RPC of requests that were not understood, whatever the text says.
const NOT_UNDERSTOOD: [&str; 4] = ["-32700", "-32600", "-32601", "-32602"];

/// What SDKs and clients say when they have waited for too long, in lower case.
const TIMEOUTS: [&str; 9] = [
    "request timed out",
    "request timeout",
    "maximum total timeout exceeded",
    "timed out",
    "timeout",
    "operation timed out",
    "the operation was aborted due to timeout",
    "deadline exceeded",
    "context deadline exceeded",
];

/// How the SDK for Python begins: the rest names the request and the seconds.
const TIMEOUT_BEGINS: &str = "timed out while waiting for response to ";

/// Whether a text tells that somebody waited for too long: a text that is known, as a whole, because what is about timeouts
/// need not be one.
fn tells_of_timeout(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let mut text = text.trim().trim_end_matches('.');
    // As in "McpError: MCP error -32001: Request timed out".
    while let Some((kind, rest)) = text.split_once(": ")
        && (kind.ends_with("error") || kind.starts_with("mcp error "))
    {
        text = rest.trim_start();
    }
    TIMEOUTS.contains(&text) || text.starts_with(TIMEOUT_BEGINS)
}

/// One message of a text.
struct Part<'s> {
    sketch: &'s Sketch,
    item: &'s Value,
    pointer: String,
}

impl Part<'_> {
    fn message(&self) -> Option<Message> {
        let id = self.item.get("id").and_then(Id::of);
        let method = self.text(&["method"]);
        // Clients drop what they are told in another version. What they themselves ask for may happen all the same.
        let is_valid = self.text(&["jsonrpc"]) == "2.0";
        if !method.is_empty() {
            return Some(match method {
                "notifications/cancelled" => Message::Notification(Notification::Cancelled {
                    id: self.at(&["params", "requestId"]).and_then(Id::of),
                    is_timeout: tells_of_timeout(self.text(&["params", "reason"])),
                }),
                "notifications/tasks" | "notifications/tasks/status" if is_valid => {
                    Message::Notification(Notification::Task(self.task("params", &["params"])))
                }
                _ if id.is_none() && method.starts_with("notifications/") => {
                    Message::Notification(Notification::Other)
                }
                _ => Message::Request(self.request(id, method)),
            });
        }
        let (reply, size) = match (self.size("error"), self.size("result")) {
            (Some(size), _) => (Reply::Error(self.fault()), size),
            (None, Some(size)) if self.at(&["result"]).is_some_and(Value::is_object) => {
                (Reply::Result(Box::new(self.answer())), size)
            }
            (None, _) => return None,
        };
        is_valid.then_some(Message::Response(Response { id, size, reply }))
    }

    fn request(&self, id: Option<Id>, method: &str) -> Request {
        let arguments = if method == "tools/call" { "params/arguments" } else { "params" };
        let meta = |key: &str| self.text(&["params", "_meta", key]);
        let client = if method == "initialize" {
            self.peer(&["params", "clientInfo"])
        } else {
            self.peer(&["params", "_meta", "io.modelcontextprotocol/clientInfo"])
        };
        Request {
            id,
            method: method.to_owned(),
            name: self.text(&["params", "name"]).to_owned(),
            input: self.measured(arguments).and_then(|measured| measured.input.clone()),
            client,
            is_modern: !meta("io.modelcontextprotocol/protocolVersion").is_empty(),
            has_input: self.size("params/inputResponses").is_some(),
            state: self.digest("params/requestState"),
            task: self.text(&["params", "taskId"]).to_owned(),
            cursor: self.text(&["params", "cursor"]).to_owned(),
            trace: trace(meta("traceparent")),
        }
    }

    fn fault(&self) -> Fault {
        let code = self.at(&["error", "code"]).map(Value::to_string).unwrap_or_default();
        let is_timeout = code == REQUEST_TIMEOUT
            || !NOT_UNDERSTOOD.contains(&code.as_str()) && tells_of_timeout(self.text(&["error", "message"]));
        Fault { code, is_timeout }
    }

    fn answer(&self) -> Answer {
        // Before 2026-07-28, a task stands in a field of its own, and the type of the result is not named.
        let old_task = self.at(&["result", "task", "taskId"]).is_some();
        let kind = match self.at(&["result", "resultType"]).map(Value::as_str) {
            None if old_task => Kind::Task,
            None | Some(Some("complete")) => Kind::Complete,
            Some(Some("input_required")) => Kind::InputRequired,
            Some(Some("task")) => Kind::Task,
            Some(_) => Kind::Other,
        };
        let task = if old_task {
            Some(self.task("result", &["result", "task"]))
        } else {
            self.at(&["result", "taskId"]).map(|_| self.task("result", &["result"]))
        };
        let task = task.filter(|task| !task.id.is_empty());
        let named = self.peer(&["result", "serverInfo"]);
        let server = if named.name.is_empty() {
            self.peer(&["result", "_meta", "io.modelcontextprotocol/serverInfo"])
        } else {
            named
        };
        Answer {
            kind,
            is_error: self.is_error(&["result"]),
            server,
            state: self.digest("result/requestState"),
            task,
            tools: self.tools(),
            next: self.at(&["result", "nextCursor"]).filter(|cursor| !cursor.is_null()).map(plain),
            is_cut: self.sketch.is_cut,
        }
    }

    fn tools(&self) -> Vec<(String, String)> {
        let tools = self.at(&["result", "tools"]).and_then(Value::as_array);
        let tool = |(n, tool): (usize, &Value)| {
            let hash = self.digest(&format!("result/tools/{n}"));
            let name = tool.get("name")?.as_str()?;
            let measured = self.measured(&format!("result/tools/{n}/name"))?;
            let name = if measured.size > MAX_NAME {
                let begin: String = name.chars().take(LONG_NAME).collect();
                format!("{begin}… sha256:{}", measured.input.as_ref()?.hash)
            } else {
                name.to_owned()
            };
            (!hash.is_empty()).then_some((name, hash))
        };
        tools.into_iter().flatten().enumerate().filter_map(tool).collect()
    }

    /// The task at this path, whose result is measured within the message's `part`.
    fn task(&self, part: &str, path: &[&str]) -> Task {
        let at = |key: &[&'static str]| self.at(&[path, key].concat());
        let text = |key| at(&[key]).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_error = self.is_error(&[path, &["result"]].concat());
        Task {
            id: text("taskId"),
            status: text("status"),
            result: self.size(&format!("{part}/result")).map(|size| (size, is_error)),
            error: at(&["error", "code"]).map(Value::to_string),
        }
    }

    /// Whether the result at this path is that of a tool that failed. A client reads 1 and "true" as true, or refuses a
    /// result with what is no truth value.
    fn is_error(&self, path: &[&str]) -> bool {
        self.at(&[path, &["isError"]].concat()).is_some_and(|value| value != &Value::Bool(false))
    }

    fn peer(&self, path: &[&str]) -> Peer {
        let text = |key| self.text(&[path, &[key]].concat()).to_owned();
        Peer { name: text("name"), version: text("version") }
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self.item, |value, key| value.get(key))
    }

    fn text(&self, path: &[&str]) -> &str {
        self.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn measured(&self, path: &str) -> Option<&crate::call::sketch::Measured> {
        self.sketch.measured(&format!("{}/{path}", self.pointer))
    }

    fn size(&self, path: &str) -> Option<u64> {
        self.measured(path).map(|measured| measured.size)
    }

    fn digest(&self, path: &str) -> String {
        let input = self.measured(path).and_then(|measured| measured.input.as_ref());
        input.map(|input| input.hash.clone()).unwrap_or_default()
    }
}

/// A text as it is, and another value as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The trace and the span of a `traceparent`: `00-TRACE-SPAN-FLAGS`.
fn trace(text: &str) -> Option<(String, String)> {
    let mut parts = text.split('-').skip(1);
    let mut part = |len| {
        let part = parts.next()?;
        (part.len() == len && part.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| part.to_owned())
    };
    Some((part(32)?, part(16)?))
}
