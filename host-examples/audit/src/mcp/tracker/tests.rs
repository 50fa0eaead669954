//! Histories of messages, and the calls that they tell of.

mod strict;

use std::time::Duration;

use super::*;
use crate::call::input::Hasher;
use crate::mcp::message::{Messages, sketcher};

/// A tracker with a clock of its own.
struct Run {
    tracker: Tracker,
    place: Place,
    now: Moment,
}

impl Run {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let settings = Settings { mode: "stdio", run: "run".into(), agent: "fallback".into(), ..settings };
        let mut tracker = Tracker::new(settings);
        let place = Place { channel: tracker.channel(), exchange: 0 };
        Self { tracker, place, now: Moment::now() }
    }

    fn says(&mut self, sender: Sender, json: &str) {
        self.at(self.place, sender, json);
    }

    /// Messages are written without the version of JSON-RPC.
    fn at(&mut self, place: Place, sender: Sender, json: &str) {
        let version = r#"{"jsonrpc":"2.0","#;
        let json = match json.strip_prefix('{') {
            Some(rest) => format!("{version}{rest}"),
            None => json.replace(r#"{"id""#, &format!(r#"{version}"id""#)),
        };
        self.exactly(place, sender, &json);
    }

    fn exactly(&mut self, place: Place, sender: Sender, json: &str) {
        let mut sketcher = sketcher(&Hasher::default(), self.tracker.settings.all);
        sketcher.push(json.as_bytes());
        for message in Messages::of(sketcher.finish()).unwrap().all {
            self.tracker.message(place, sender, message, self.now);
        }
    }

    fn client(&mut self, json: &str) {
        self.says(Sender::Client, json);
    }

    fn server(&mut self, json: &str) {
        self.says(Sender::Server, json);
    }

    fn call(&mut self, id: &str) {
        let params = r#"{"name":"t","arguments":{"a":1}}"#;
        self.client(&format!(r#"{{"method":"tools/call","params":{params},"id":{id}}}"#));
    }

    fn pass(&mut self, seconds: u64) {
        let time = Duration::from_secs(seconds);
        self.now = Moment { wall: self.now.wall + time, at: self.now.at + time };
        self.tracker.tick(self.now);
    }

    fn end(&mut self, gone: Gone) {
        self.tracker.end_all(gone, self.now);
    }

    fn calls(&mut self) -> Vec<Call> {
        let call = |found| match found {
            Found::Call(call) => Some(*call),
            Found::Tools { .. } | Found::Server(_) => None,
        };
        self.tracker.take().into_iter().filter_map(call).collect()
    }

    /// Each call found, in short: `tool status error_type`.
    fn found(&mut self) -> Vec<String> {
        self.calls().iter().map(short).collect()
    }
}

fn attribute<'c>(call: &'c Call, key: &str) -> &'c str {
    call.attributes.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value)
}

fn short(call: &Call) -> String {
    format!("{} {} {}", call.tool, call.outcome.name(), attribute(call, "error_type")).trim().to_owned()
}

#[test]
fn a_call_has_what_both_peers_say_of_it() {
    let mut run = Run::new();
    run.client(
        r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"claude-code","version":"2.1"}}}"#,
    );
    run.server(r#"{"id":0,"result":{"serverInfo":{"name":"files","version":"3"}}}"#);
    run.client(r#"{"method":"tools/call","params":{"arguments":{"b":2,"a":1},"name":"read","_meta":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"}},"id":7}"#);
    run.pass(2);
    run.server(r#"{"id":7,"result":{"content":[]}}"#);
    let call = run.calls().pop().unwrap();
    assert_eq!(
        (call.agent.as_str(), call.tool.as_str(), call.action.as_str()),
        ("claude-code/2.1", "read", "tools/call")
    );
    assert_eq!((call.session.as_str(), call.id.as_str()), ("run", "run/2/7"));
    assert_eq!((call.outcome, call.duration), (Outcome::Ok, Some(Duration::from_secs(2))));
    assert_eq!(call.input, Some(Hasher::default().input(br#"{"a":1,"b":2}"#)));
    assert_eq!(call.out_size, r#"{"content":[]}"#.len() as u64);
    for (key, value) in [
        ("server", "files/3"),
        ("source", "mcp"),
        ("mode", "stdio"),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
        ("span_id", "00f067aa0ba902b7"),
    ] {
        assert_eq!(attribute(&call, key), value, "{key}");
    }
}

#[test]
fn without_a_handshake_each_message_says_who_sent_it() {
    let mut run = Run::new();
    run.client(r#"{"id":1,"method":"tools/call","params":{"name":"t","_meta":{"io.modelcontextprotocol/clientInfo":{"name":"c","version":"9"}}}}"#);
    run.server(r#"{"id":1,"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"8"}}}}"#);
    let call = run.calls().pop().unwrap();
    assert_eq!((call.agent.as_str(), attribute(&call, "server")), ("c/9", "s/8"));
    run.call("2");
    run.server(r#"{"id":2,"result":{}}"#);
    assert_eq!(run.calls().pop().unwrap().agent, "fallback");
}

#[test]
fn outcomes_are_kept_apart() {
    let mut run = Run::new();
    for (id, answer) in [
        ("1", r#""result":{"content":[],"isError":false}"#),
        ("2", r#""result":{"isError":true}"#),
        ("3", r#""error":{"code":-32602,"message":"Unknown tool"}"#),
        ("4", r#""error":{"code":-32001,"message":"Request timed out"}"#),
        ("5", r#""result":{"structuredContent":"isError"}"#),
    ] {
        run.call(id);
        run.server(&format!(r#"{{"jsonrpc":"2.0","id":{id},{answer}}}"#));
    }
    let expected = ["t ok", "t error tool_error", "t error -32602", "t timeout -32001", "t ok"];
    assert_eq!(run.found(), expected);
    run.call("6");
    run.end(Gone::Server);
    run.call("7");
    run.end(Gone::Client);
    assert_eq!(run.found(), ["t lost server_ended", "t lost client_left"]);
}

#[test]
fn the_identifiers_1_and_text_1_differ_and_one_that_comes_again_is_another_call() {
    let mut run = Run::new();
    run.call("1");
    run.call(r#""1""#);
    run.call("1");
    run.server(r#"{"id":"1","result":{"isError":true}}"#);
    run.server(r#"{"id":1.0,"result":{}}"#);
    run.server(r#"{"id":1,"error":{"code":5}}"#);
    run.server(r#"{"id":1,"result":{}}"#);
    let calls = run.calls();
    let ids: Vec<_> = calls.iter().map(|call| (call.id.as_str(), call.outcome)).collect();
    let expected = [("run/2/\"1\"", Outcome::Error), ("run/1/1", Outcome::Ok), ("run/3/1", Outcome::Error)];
    assert_eq!(ids, expected);
}

#[test]
fn a_cancelled_call_is_recorded_when_no_answer_comes_any_more() {
    let cancel = |id: &str, reason: &str| {
        format!(r#"{{"method":"notifications/cancelled","params":{{"requestId":{id},"reason":"{reason}"}}}}"#)
    };
    let mut run = Run::new();
    run.call("1");
    run.pass(2);
    run.client(&cancel("1", "by the user"));
    run.client(&cancel("99", ""));
    run.pass(1);
    assert_eq!(run.found(), [""; 0]);
    run.pass(10);
    let calls = run.calls();
    assert_eq!(calls.iter().map(short).collect::<Vec<_>>(), ["t cancelled"]);
    assert_eq!(calls[0].duration, Some(Duration::from_secs(2)));
    // Some servers answer all the same.
    run.call("2");
    run.client(&cancel("2", ""));
    run.server(r#"{"id":2,"error":{"code":0,"message":"Request cancelled"}}"#);
    // The cancellation came too late.
    run.call("3");
    run.client(&cancel("3", ""));
    run.server(r#"{"id":3,"result":{}}"#);
    // The client has waited for too long.
    run.call("4");
    run.client(&cancel("4", "McpError: MCP error -32001: Request timed out"));
    // The cancellation of another identifier is of no matter.
    run.call("5");
    run.client(&cancel(r#""5""#, ""));
    run.end(Gone::Client);
    assert_eq!(run.found(), ["t cancelled", "t ok", "t timeout", "t lost client_left"]);
}

#[test]
fn a_server_cannot_answer_or_cancel_for_the_client() {
    let mut run = Run::new();
    run.call("1");
    run.client(r#"{"id":1,"result":{}}"#);
    run.server(r#"{"method":"notifications/cancelled","params":{"requestId":1}}"#);
    run.server(r#"{"id":1,"method":"tools/call","params":{"name":"t"}}"#);
    run.pass(60);
    assert_eq!(run.found(), [""; 0]);
    run.server(r#"{"id":1,"result":{}}"#);
    assert_eq!(run.found(), ["t ok"]);
}

#[test]
fn a_call_that_needs_input_and_its_retry_are_one_call() {
    let mut run = Run::with(Settings { starts: true, ..Settings::default() });
    let retry = |id: &str, state: &str| {
        format!(
            r#"{{"id":{id},"method":"tools/call","params":{{"name":"t","arguments":{{"a":1}},"inputResponses":{{"q":{{"action":"accept"}}}}{state}}}}}"#
        )
    };
    run.call("1");
    run.pass(1);
    run.server(
        r#"{"id":1,"result":{"resultType":"input_required","inputRequests":{},"requestState":"abc"}}"#,
    );
    run.pass(30);
    // That of another call.
    run.client(&retry("2", r#","requestState":"def""#));
    run.client(&retry("3", r#","requestState":"abc""#));
    run.pass(1);
    run.server(r#"{"id":3,"result":{"resultType":"input_required","inputRequests":{}}}"#);
    run.client(&retry("4", ""));
    run.server(r#"{"id":4,"result":{"resultType":"complete","content":[]}}"#);
    let calls = run.calls();
    assert_eq!(calls.iter().map(short).collect::<Vec<_>>(), ["t started", "t started", "t ok"]);
    assert_eq!((calls[2].id.as_str(), calls[2].duration), ("run/1/1", Some(Duration::from_secs(32))));
    run.call("5");
    run.server(r#"{"id":5,"result":{"resultType":"input_required","requestState":"x"}}"#);
    run.end(Gone::Client);
    assert_eq!(run.found(), ["t started", "t lost client_left", "t unknown input_required"]);
}

#[test]
fn a_call_whose_server_wants_its_state_back_alone_and_its_retry_are_one_call() {
    let mut run = Run::new();
    let call = |id: u32, state: &str| {
        format!(r#"{{"id":{id},"method":"tools/call","params":{{"name":"t","arguments":{{"a":1}}{state}}}}}"#)
    };
    run.client(&call(1, ""));
    run.server(r#"{"id":1,"result":{"resultType":"input_required","requestState":"abc"}}"#);
    run.client(&call(2, r#","requestState":"abc""#));
    run.server(r#"{"id":2,"result":{"resultType":"complete","content":[]}}"#);
    assert_eq!(run.found(), ["t ok"]);
    // With another state, or none, it is another call.
    for state in [r#","requestState":"def""#, ""] {
        run.client(&call(3, ""));
        run.server(r#"{"id":3,"result":{"resultType":"input_required","requestState":"abc"}}"#);
        run.client(&call(4, state));
        run.server(r#"{"id":4,"result":{"resultType":"complete","content":[]}}"#);
        assert_eq!(run.found(), ["t ok"]);
    }
    run.end(Gone::Client);
    assert_eq!(run.found(), ["t unknown input_required", "t unknown input_required"]);
}

fn task_get(id: &str) -> String {
    format!(r#"{{"id":{id},"method":"tasks/get","params":{{"taskId":"k"}}}}"#)
}

#[test]
fn the_outcome_of_a_task_is_that_of_its_call() {
    let mut run = Run::new();
    for (n, (state, expected)) in [
        (r#""status":"completed","result":{"content":[1]}"#, "t ok"),
        (r#""status":"completed","result":{"isError":true}"#, "t error tool_error"),
        (r#""status":"failed","error":{"code":-32603,"message":""}"#, "t error -32603"),
        (r#""status":"cancelled""#, "t cancelled"),
    ]
    .into_iter()
    .enumerate()
    {
        run.call("1");
        run.server(r#"{"id":1,"result":{"resultType":"task","taskId":"k","status":"working"}}"#);
        run.client(&task_get("2"));
        run.server(r#"{"id":2,"result":{"resultType":"complete","taskId":"k","status":"working"}}"#);
        assert_eq!(run.found(), [""; 0]);
        let end = if n % 2 == 0 {
            run.client(&task_get("3"));
            format!(r#"{{"id":3,"result":{{"resultType":"complete","taskId":"k",{state}}}}}"#)
        } else {
            format!(r#"{{"method":"notifications/tasks","params":{{"taskId":"k",{state}}}}}"#)
        };
        run.server(&end);
        let calls = run.calls();
        assert_eq!(calls.iter().map(short).collect::<Vec<_>>(), [expected]);
        assert_eq!(
            calls[0].out_size,
            if n == 0 {
                15
            } else if n == 1 {
                16
            } else {
                0
            }
        );
    }
}

#[test]
fn a_task_of_2025_has_its_result_in_another_answer() {
    let mut run = Run::new();
    let made = r#"{"id":1,"result":{"task":{"taskId":"k","status":"working","ttl":1}}}"#;
    let result = r#"{"id":3,"method":"tasks/result","params":{"taskId":"k"}}"#;
    let done = |status: &str| format!(r#"{{"id":2,"result":{{"taskId":"k","status":"{status}"}}}}"#);
    for (status, answer, expected) in [
        ("completed", r#""result":{"content":[],"isError":false}"#, "t ok"),
        ("failed", r#""result":{"isError":true}"#, "t error tool_error"),
        ("failed", r#""error":{"code":-32602,"message":"as the call"}"#, "t error -32602"),
    ] {
        run.call("1");
        run.server(made);
        run.client(&task_get("2"));
        run.server(&done(status));
        run.client(result);
        assert_eq!(run.found(), [""; 0]);
        run.server(&format!(r#"{{"id":3,{answer}}}"#));
        assert_eq!(run.found(), [expected]);
    }
    // Nobody asks for the result.
    for (status, expected) in [("completed", "t ok"), ("failed", "t error task_failed")] {
        run.call("1");
        run.server(made);
        run.server(&format!(
            r#"{{"method":"notifications/tasks/status","params":{{"taskId":"k","status":"{status}"}}}}"#
        ));
        run.pass(61);
        assert_eq!(run.found(), [expected]);
    }
}

#[test]
fn a_task_whose_end_nobody_sees_is_recorded_at_the_end() {
    let mut run = Run::new();
    let made = r#"{"id":1,"result":{"resultType":"task","taskId":"k","status":"working"}}"#;
    for (gone, expected) in [(Gone::Client, "t unknown task"), (Gone::Server, "t lost server_ended")] {
        run.call("1");
        run.server(made);
        run.pass(3600);
        assert_eq!(run.found(), [""; 0]);
        run.end(gone);
        assert_eq!(run.found(), [expected]);
    }
    run.call("1");
    run.server(made);
    run.client(r#"{"id":2,"method":"tasks/cancel","params":{"taskId":"k"}}"#);
    run.server(r#"{"id":2,"result":{"resultType":"complete"}}"#);
    run.pass(11);
    assert_eq!(run.found(), ["t cancelled"]);
}

#[test]
fn each_message_of_a_batch_counts() {
    let mut run = Run::new();
    run.client(r#"[{"id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":1}}},{"method":"notifications/x"},{"id":2,"method":"tools/call","params":{"name":"b"}}]"#);
    run.server(r#"[{"id":2,"result":{}},{"id":1,"result":{"isError":true}}]"#);
    let calls = run.calls();
    assert_eq!(calls.iter().map(short).collect::<Vec<_>>(), ["b ok", "a error tool_error"]);
    assert_eq!(calls[1].input, Some(Hasher::default().input(br#"{"x":1}"#)));
}

#[test]
fn a_batch_that_is_too_long_is_told() {
    let batch = format!("[{}]", vec![r#"{"method":"notifications/x"}"#; 2000].join(","));
    let mut sketcher = sketcher(&Hasher::default(), false);
    sketcher.push(batch.as_bytes());
    let messages = Messages::of(sketcher.finish()).unwrap();
    assert_eq!(messages.left_out + messages.all.len(), 2000);
    assert!(messages.left_out > 0);
}

#[test]
fn a_huge_message_hides_nothing_of_what_follows_it() {
    let mut run = Run::new();
    let many = format!("[{}0]", "{\"x\":[1,2,3]},".repeat(100_000));
    run.client(&format!(
        r#"{{"method":"tools/call","params":{{"arguments":{{"m":{many}}},"name":"t"}},"id":5}}"#
    ));
    run.server(&format!(r#"{{"result":{{"content":{many},"isError":true}},"id":5}}"#));
    assert_eq!(run.found(), ["t error tool_error"]);
}

#[test]
fn a_call_without_an_identifier_is_recorded_too() {
    let mut run = Run::new();
    run.client(r#"{"method":"tools/call","params":{"name":"t"}}"#);
    assert_eq!(run.found(), ["t unknown"]);
}

#[test]
fn with_all_every_request_is_recorded_in_both_directions() {
    let mut run = Run::with(Settings { all: true, ..Settings::default() });
    run.client(r#"{"id":1,"method":"resources/read","params":{"uri":"x"}}"#);
    run.server(r#"{"id":1,"method":"sampling/createMessage","params":{}}"#);
    run.client(r#"{"id":1,"error":{"code":-1,"message":"no"}}"#);
    run.server(r#"{"id":1,"result":{}}"#);
    let calls = run.calls();
    let found: Vec<_> = calls.iter().map(|call| (short(call), attribute(call, "sender"))).collect();
    let expected =
        [("sampling/createMessage error -1".to_owned(), "server"), ("resources/read ok".to_owned(), "")];
    assert_eq!(found, expected);
    assert_eq!(calls[1].input, Some(Hasher::default().input(br#"{"uri":"x"}"#)));
}

#[test]
fn a_listing_tells_of_each_tool_by_the_hash_of_its_definition() {
    let mut run = Run::new();
    run.client(r#"{"id":1,"method":"tools/list"}"#);
    run.server(r#"{"id":1,"result":{"tools":[{"name":"a","x":1},{"x":{},"name":"b"}],"nextCursor":"2"}}"#);
    let hash = |json: &[u8]| Hasher::default().input(json).hash;
    let tools = vec![
        ("a".to_owned(), hash(br#"{"name":"a","x":1}"#)),
        ("b".to_owned(), hash(br#"{"name":"b","x":{}}"#)),
    ];
    let page = Page { tools, next: Some("2".into()), ..Page::default() };
    assert_eq!(run.tracker.take(), [Found::Tools { server: Peer::default(), page }]);
    run.client(r#"{"id":1,"method":"tools/list","params":{"cursor":"2"}}"#);
    run.server(r#"{"id":1,"result":{"tools":[]}}"#);
    let page = Page { cursor: "2".into(), ..Page::default() };
    assert_eq!(run.tracker.take(), [Found::Tools { server: Peer::default(), page }]);
}

#[test]
fn a_server_with_very_many_tools_hides_none_of_its_answer() {
    let mut run = Run::new();
    let tools = format!(r#"{{"name":"{}"}},"#, "n".repeat(4096)).repeat(3000);
    run.client(r#"{"id":1,"method":"tools/list"}"#);
    run.server(&format!(r#"{{"result":{{"tools":[{tools}0]}},"id":1}}"#));
    let found = run.tracker.take();
    let [Found::Tools { page, .. }] = &found[..] else { panic!("{}", found.len()) };
    assert_eq!((page.tools.len(), page.is_cut), (1024, true));
    assert!(page.tools.iter().all(|(name, _)| name.len() <= 150));
    run.call("2");
    run.server(&format!(r#"{{"result":{{"tools":[{tools}0],"content":[]}},"id":2}}"#));
    assert_eq!(run.found(), ["t ok"]);
}

#[test]
fn what_waits_is_bounded() {
    let mut run = Run::new();
    for id in 0..MAX_PENDING + 3 {
        run.call(&id.to_string());
    }
    assert_eq!(run.found(), ["t unknown too_many"; 3]);
    run.end(Gone::Client);
    assert_eq!(run.found().len(), MAX_PENDING);
    assert!(!run.tracker.is_waiting());
}

#[test]
fn sessions_and_exchanges_have_identifiers_of_their_own() {
    let mut run = Run::new();
    let call = r#"{"id":1,"method":"tools/call","params":{"name":"t"}}"#;
    let sessions = ["s1", "s2"].map(|id| run.tracker.session(id));
    sessions.iter().for_each(|session| run.tracker.accept_session(*session));
    let exchanges = [run.tracker.channel(), run.tracker.channel()];
    let places: Vec<Place> = sessions
        .into_iter()
        .chain(exchanges)
        .zip(1..)
        .map(|(channel, exchange)| Place { channel, exchange })
        .collect();
    for place in &places {
        run.at(*place, Sender::Client, call);
    }
    run.at(places[1], Sender::Server, r#"{"id":1,"result":{"isError":true}}"#);
    run.at(places[3], Sender::Server, r#"{"id":1,"error":{"code":7}}"#);
    run.at(places[2], Sender::Server, r#"{"error":{"code":8}}"#);
    let calls = run.calls();
    assert_eq!(calls.iter().map(short).collect::<Vec<_>>(), ["t error tool_error", "t error 7", "t error 8"]);
    assert_eq!(calls.iter().map(|call| call.session.as_str()).collect::<Vec<_>>(), ["s2", "run", "run"]);
    // The answer comes in another exchange, which resumes the first.
    run.tracker.end_exchange(places[0], Closed::ByServer, run.now);
    run.pass(5);
    run.at(Place { exchange: 9, ..places[0] }, Sender::Server, r#"{"id":1,"result":{}}"#);
    assert_eq!(run.found(), ["t ok"]);
    run.at(places[0], Sender::Client, call);
    run.tracker.end_session("s1", run.now);
    assert_eq!(run.found(), ["t lost client_left"]);
}

#[test]
fn an_exchange_that_ends_without_an_answer_ends_its_calls() {
    let mut run = Run::new();
    for (modern, closed, expected) in [
        (true, Closed::ByClient, "t cancelled"),
        (false, Closed::ByClient, "t lost client_left"),
        (true, Closed::ByServer, "t lost server_ended"),
        (true, Closed::Broken, "t error transport"),
        (true, Closed::Status(503), "t error transport"),
        (true, Closed::Status(504), "t timeout transport"),
    ] {
        let meta =
            if modern { r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"# } else { "" };
        let place = Place { channel: run.tracker.channel(), exchange: 4 };
        run.at(
            place,
            Sender::Client,
            &format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"t"{meta}}}}}"#),
        );
        run.tracker.end_exchange(place, closed, run.now);
        let calls = run.calls();
        assert_eq!(calls.iter().map(short).collect::<Vec<_>>(), [expected]);
        let status = if let Closed::Status(status) = closed { status.to_string() } else { String::new() };
        assert_eq!(attribute(&calls[0], "http_status"), status);
    }
}

#[test]
fn a_session_is_kept_once_the_server_has_accepted_it_and_a_long_identifier_is_kept_as_its_hash() {
    let mut tracker = Tracker::new(Settings { mode: "http", ..Settings::default() });
    let now = Moment::now();
    for n in 0..100 {
        let channel = tracker.session(&format!("{n}{}", "s".repeat(300_000)));
        tracker.end_exchange(Place { channel, exchange: n }, Closed::Status(404), now);
    }
    assert_eq!((tracker.sessions.len(), tracker.channels.len()), (0, 0));
    let id = "s".repeat(300_000);
    let channel = tracker.session(&id);
    tracker.accept_session(channel);
    tracker.end_exchange(Place { channel, exchange: 1 }, Closed::ByServer, now);
    assert_eq!(tracker.session(&id), channel);
    assert!(tracker.sessions.keys().all(|id| id.len() < 100));
    tracker.end_session(&id, now);
    assert_eq!((tracker.sessions.len(), tracker.channels.len()), (0, 0));
}

#[test]
fn of_very_many_sessions_with_open_calls_the_latest_are_kept() {
    let mut run = Run::new();
    for n in 0..MAX_PENDING as u64 + 500 {
        let channel = run.tracker.session(&n.to_string());
        run.tracker.accept_session(channel);
        let call = format!(r#"{{"id":{n},"method":"tools/call","params":{{"name":"t"}}}}"#);
        run.at(Place { channel, exchange: n }, Sender::Client, &call);
    }
    let tracker = &run.tracker;
    assert!(tracker.sessions.len() <= MAX_SESSIONS + 1 && tracker.waiting <= MAX_PENDING);
    assert!(!tracker.sessions.contains_key("0"));
    assert_eq!(run.calls().iter().map(short).collect::<Vec<_>>(), ["t unknown too_many"; 500]);
}
