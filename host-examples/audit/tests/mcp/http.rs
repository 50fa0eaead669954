//! What passes over HTTP, and what is recorded of it.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use audit_testbed::{NOWHERE, wait_until};
use serde_json::{Value, json};

use crate::common::{Workspace, run, text};
use crate::short;
use crate::web::{Exchange, Proxy, answer, begin_events, plain, server, wait_for_close};

fn call(id: impl Into<Value>, tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": {"name": tool, "arguments": {}}})
}

/// A call as since 2026-07-28.
fn modern(id: impl Into<Value>, tool: &str, client: &str) -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": client, "version": "1"},
    });
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call", "params": {"name": tool, "_meta": meta}})
}

#[test]
fn calls_over_http_are_recorded_and_equal_identifiers_of_clients_are_kept_apart() {
    let workspace = Workspace::new();
    let proxy = Proxy::start(&workspace, &server(plain), &[]);
    for (client, tool) in [("a", "t"), ("b", "bad"), ("c", "fail")] {
        let reply = Exchange::post(proxy.port, &[], &modern(1, tool, client)).reply();
        assert_eq!((reply.status, reply.json()["id"].as_u64()), (200, Some(1)));
    }
    let batch = json!([call(1, "t"), call("1", "t")]);
    assert_eq!(Exchange::post(proxy.port, &[], &batch).reply().status, 202);
    proxy.stop();
    let events = workspace.events();
    let expected = [
        "t ok",
        "bad error tool_error",
        "fail error -32602",
        "t unknown answered_elsewhere",
        "t unknown answered_elsewhere",
    ];
    assert_eq!(short(&events), expected);
    assert_eq!((&events[1]["agent_id"], &events[1]["attributes"]["mode"]), (&json!("b/1"), &json!("http")));
    let mut ids: Vec<_> = events.iter().map(|event| event["req_id"].to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[test]
fn headers_and_paths_pass_and_those_of_a_connection_do_not() {
    let workspace = Workspace::new();
    let seen = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&seen);
    let url = server(move |request, stream| {
        *keep.lock().unwrap() = Some(request);
        let headers = "X-Server: s\r\nKeep-Alive: timeout=5\r\nMcp-Session-Id: abc\r\n";
        answer(stream, 200, "application/json", headers, "{}");
    });
    let proxy = Proxy::start(&workspace, &url, &[]);
    let headers = [
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/call",
        "Mcp-Name: =?base64?SGVsbG8=?=",
        "Mcp-Param-Region: us-west1",
        "Authorization: Bearer token",
        "Accept-Encoding: gzip, br",
        "Connection: close, X-Hop",
        "X-Hop: 1",
        "TE: trailers",
    ];
    let body = br#"{"x": "not a message"}"#;
    let reply = Exchange::send(proxy.port, "POST /mcp/sub?a=b%20c", &headers, body).reply();
    assert_eq!((reply.headers["x-server"].as_str(), reply.headers["mcp-session-id"].as_str()), ("s", "abc"));
    assert!(!reply.headers.contains_key("keep-alive"));
    let request = seen.lock().unwrap().take().unwrap();
    assert_eq!((request.what.as_str(), request.body.as_slice()), ("POST /mcp/sub?a=b%20c", &body[..]));
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "=?base64?SGVsbG8=?="),
        ("mcp-param-region", "us-west1"),
        ("authorization", "Bearer token"),
        ("accept-encoding", "identity"),
        ("content-length", "22"),
        ("host", url.trim_start_matches("http://").trim_end_matches("/mcp")),
    ] {
        assert_eq!(request.headers.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!request.headers.contains_key("x-hop") && !request.headers.contains_key("te"));
    // The root stands for the server's own path.
    Exchange::send(proxy.port, "DELETE /", &[], b"").reply();
    assert_eq!(seen.lock().unwrap().take().unwrap().what, "DELETE /mcp");
    proxy.stop();
}

#[test]
fn strange_hosts_and_origins_are_refused_and_never_reach_the_server() {
    let workspace = Workspace::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let url = server(move |request, stream| {
        count.fetch_add(1, Ordering::Relaxed);
        plain(request, stream);
    });
    let options = ["--allow-host", "dev.example", "--allow-origin", "https://page.example"];
    let proxy = Proxy::start(&workspace, &url, &options);
    let status = |headers: &[&str]| Exchange::post(proxy.port, headers, &call(1, "t")).reply().status;
    assert_eq!(status(&["Host: evil.example"]), 403);
    assert_eq!(status(&["Origin: https://evil.example"]), 403);
    assert_eq!(status(&["Origin: null"]), 403);
    assert_eq!(requests.load(Ordering::Relaxed), 0);
    assert_eq!(status(&["Host: dev.example:80", "Origin: https://page.example"]), 200);
    assert_eq!(status(&["Origin: http://localhost:6274"]), 200);
    proxy.stop();
    assert_eq!(short(&workspace.events()), ["t ok"; 2]);
}

#[test]
fn each_event_passes_at_once_and_so_do_keep_alives() {
    let workspace = Workspace::new();
    let url = server(|_, stream| {
        begin_events(stream);
        for piece in [
            ": keep-alive\n\n",
            "event: message\ndata: {\"jsonrpc\":\"2.0\",",
            "\"method\":\"notifications/progress\"}\n\n",
        ] {
            stream.write_all(piece.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(300));
        }
        // Only when the client has seen all of that.
        wait_for_line(stream);
        stream
            .write_all(b"data: {\"jsonrpc\":\"2.0\",\"id\":1,\ndata: \"result\":{\"isError\":true}}\n\n")
            .unwrap();
    });
    let proxy = Proxy::start(&workspace, &url, &[]);
    let began = Instant::now();
    let mut exchange = Exchange::post(proxy.port, &[], &call(1, "t"));
    assert_eq!(exchange.head(), 200);
    exchange.wait_for(": keep-alive\n\n");
    assert!(began.elapsed() < Duration::from_secs(20));
    exchange.wait_for("notifications/progress");
    let seen_after = began.elapsed();
    SEEN.store(true, Ordering::Relaxed);
    exchange.wait_for("isError");
    assert!(seen_after >= Duration::from_millis(300));
    proxy.stop();
    let events = workspace.events();
    assert_eq!(short(&events), ["t error tool_error"]);
    assert!(events[0]["duration_ms"].as_u64().unwrap() >= 600);
}

static SEEN: AtomicBool = AtomicBool::new(false);

fn wait_for_line(_: &mut std::net::TcpStream) {
    wait_until("the client has seen the events", || SEEN.load(Ordering::Relaxed));
}

#[test]
fn a_client_that_closes_its_stream_cancels_at_the_server_too() {
    let workspace = Workspace::new();
    let noticed = Arc::new(AtomicUsize::new(0));
    let notice = Arc::clone(&noticed);
    let url = server(move |request, stream| {
        if !text(&request.body).contains("silent") {
            begin_events(stream);
            stream.write_all(b": working\n\n").unwrap();
        }
        notice.fetch_add(1, Ordering::Relaxed);
        wait_until("the client is gone", || wait_for_close(stream));
        notice.fetch_add(10, Ordering::Relaxed);
    });
    let proxy = Proxy::start(&workspace, &url, &[]);
    let mut exchange = Exchange::post(proxy.port, &[], &modern(1, "t", "c"));
    exchange.head();
    exchange.wait_for("working");
    drop(exchange);
    wait_until("the server has noticed", || noticed.load(Ordering::Relaxed) == 11);
    // Before anything of the answer has come, too.
    let exchange = Exchange::post(proxy.port, &[], &modern(2, "silent", "c"));
    wait_until("the server has the call", || noticed.load(Ordering::Relaxed) == 12);
    drop(exchange);
    wait_until("the server has noticed", || noticed.load(Ordering::Relaxed) == 22);
    wait_until("the calls are recorded", || workspace.events().len() == 2);
    proxy.stop();
    assert_eq!(short(&workspace.events()), ["t cancelled", "silent cancelled"]);
}

#[test]
fn a_server_that_breaks_off_or_is_not_there_is_an_error_in_words() {
    let workspace = Workspace::new();
    let url = server(|request, stream| match text(&request.body) {
        body if body.contains("\"half\"") => {
            begin_events(stream);
            stream.write_all(b"data: {\"id\":1,\"result\"").unwrap();
        }
        body if body.contains("\"short\"") => {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"id\"";
            stream.write_all(head.as_bytes()).unwrap();
        }
        body if body.contains("\"busy\"") => answer(stream, 503, "text/plain", "", "later"),
        body if body.contains("\"late\"") => answer(stream, 504, "text/plain", "", "too late"),
        body if body.contains("\"modern\"") => {
            let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"Header mismatch"}}"#;
            answer(stream, 400, "application/json", "", error);
        }
        _ => {}
    });
    let proxy = Proxy::start(&workspace, &url, &[]);
    for (tool, status) in [("half", 200), ("busy", 503), ("late", 504), ("modern", 400), ("nothing", 502)] {
        let mut exchange = Exchange::post(proxy.port, &[], &modern(1, tool, "c"));
        assert_eq!(exchange.head(), status, "{tool}");
        exchange.rest();
        let expected = ["half", "busy", "late", "modern", "nothing"].iter().position(|name| *name == tool);
        wait_until("the call is recorded", || workspace.events().len() == expected.unwrap() + 1);
    }
    let mut exchange = Exchange::post(proxy.port, &[], &modern(1, "short", "c"));
    exchange.head();
    exchange.wait_for("{\"id\"");
    wait_until("the call is recorded", || workspace.events().len() == 6);
    proxy.stop();
    let proxy = Proxy::start(&workspace, &format!("http://{NOWHERE}/mcp"), &[]);
    let reply = Exchange::post(proxy.port, &[], &call(1, "away")).reply();
    assert_eq!(reply.status, 502);
    assert!(reply.text().contains(NOWHERE) && reply.text().contains("refused"), "{}", reply.text());
    let said = proxy.stop();
    assert!(said.contains("does not answer"), "{said}");
    let events = workspace.events();
    let expected = [
        "half lost server_ended",
        "busy error transport",
        "late timeout transport",
        "modern error -32020",
        "nothing error transport",
        "short error transport",
        "away error transport",
    ];
    assert_eq!(short(&events), expected);
    assert_eq!(events[1]["attributes"]["http_status"], "503");
}

#[test]
fn sessions_of_older_revisions_pass_with_their_streams_and_ends() {
    let workspace = Workspace::new();
    let url = server(|request, stream| {
        let session = request.headers.get("mcp-session-id").cloned();
        let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (request.what.split(' ').next().unwrap(), session.as_deref()) {
            ("POST", None) => {
                let result = json!({"serverInfo": {"name": "old", "version": "3"}});
                let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string();
                let client = message["params"]["clientInfo"]["name"].as_str().unwrap();
                let header = format!("Mcp-Session-Id: session-{client}\r\n");
                answer(stream, 200, "application/json", &header, &body);
            }
            ("POST", Some("session-gone")) => answer(stream, 404, "text/plain", "", "no such session"),
            ("POST", Some(_)) if message["params"]["name"] == "resumed" => {
                begin_events(stream);
                stream.write_all(b"id: 1\ndata:\n\n").unwrap();
            }
            ("GET", Some(_)) => {
                begin_events(stream);
                let asks =
                    json!({"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {}});
                stream.write_all(format!("data: {asks}\n\n").as_bytes()).unwrap();
                if request.headers.contains_key("last-event-id") {
                    let late = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}});
                    stream.write_all(format!("data: {late}\n\n").as_bytes()).unwrap();
                }
                wait_until("the client is gone", || wait_for_close(stream));
            }
            _ => plain(request, stream),
        }
    });
    let proxy = Proxy::start(&workspace, &url, &["--all"]);
    let initialize = |name: &str| {
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {"clientInfo": {"name": name, "version": "1"}}})
    };
    for name in ["one", "two"] {
        let reply = Exchange::post(proxy.port, &[], &initialize(name)).reply();
        assert_eq!(reply.headers["mcp-session-id"], format!("session-{name}"));
    }
    let (one, two) = (["Mcp-Session-Id: session-one"], ["Mcp-Session-Id: session-two"]);
    Exchange::post(proxy.port, &one, &call(1, "first")).reply();
    Exchange::post(proxy.port, &two, &call(1, "bad")).reply();
    // Two streams of one client, and a request of the server, which the client answers elsewhere.
    let get = |headers: &[&str]| Exchange::send(proxy.port, "GET /mcp", headers, b"");
    let mut streams = [get(&one), get(&one)];
    for stream in &mut streams {
        assert_eq!(stream.head(), 200);
        stream.wait_for("sampling/createMessage");
    }
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"role": "assistant"}});
    assert_eq!(Exchange::post(proxy.port, &one, &answer).reply().status, 200);
    drop(streams);
    // An answer that comes on a stream that resumes the one of its request.
    Exchange::post(proxy.port, &two, &call(7, "resumed")).reply();
    let mut resumed = get(&["Mcp-Session-Id: session-two", "Last-Event-ID: 1"]);
    resumed.wait_for("\"id\":7");
    drop(resumed);
    // The server was started anew, and does not know the session: the client shall hear that.
    let reply = Exchange::post(proxy.port, &["Mcp-Session-Id: session-gone"], &call(1, "t")).reply();
    assert_eq!((reply.status, reply.text()), (404, "no such session"));
    let reply = Exchange::send(proxy.port, "DELETE /mcp", &one, b"").reply();
    assert_eq!(reply.status, 202);
    proxy.stop();
    let events = workspace.events();
    let of = |tool: &str| {
        let found: Vec<_> = events.iter().filter(|event| event["tool"] == tool).collect();
        found.into_iter().next().unwrap_or_else(|| panic!("no {tool} in {events:?}")).clone()
    };
    let first = of("first");
    assert_eq!((&first["graph_run_id"], &first["agent_id"]), (&json!("session-one"), &json!("one/1")));
    assert_eq!((&of("bad")["agent_id"], &of("bad")["status"]), (&json!("two/1"), &json!("error")));
    assert_eq!(of("resumed")["status"], "ok");
    assert_eq!(of("t")["attributes"]["http_status"], "404");
    assert_eq!(of("sampling/createMessage")["attributes"]["sender"], "server");
    assert_eq!(first["attributes"]["server"], "old/3");
}

#[test]
fn bodies_of_any_size_pass() {
    let workspace = Workspace::new();
    let url = server(|request, stream| {
        let len = request.body.len();
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"text":"{}"}}],"len":{len}}}}}"#,
            "z".repeat(30_000_000)
        );
        answer(stream, 200, "application/json", "", &body);
    });
    let proxy = Proxy::start(&workspace, &url, &[]);
    let mut message = call(1, "t");
    message["params"]["arguments"] = json!({"blob": "y".repeat(30_000_000)});
    let len = message.to_string().len();
    let reply = Exchange::post(proxy.port, &[], &message).reply();
    assert_eq!(reply.json()["result"]["len"], len);
    proxy.stop();
    let event = workspace.event();
    assert_eq!((event["status"].as_str(), event["in_size"].as_u64()), (Some("ok"), Some(30_000_011)));
    assert!(event["out_size"].as_u64().unwrap() > 30_000_000);
}

#[test]
fn fail_closed_lets_no_call_reach_the_server_that_is_not_on_record() {
    let workspace = Workspace::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    let folder = workspace.path().to_owned();
    let url = server(move |request, stream| {
        let folder = folder.join("ops/audit");
        let starts = if folder.is_dir() { audit_testbed::files(&folder, "tool_audit").len() } else { 0 };
        keep.lock().unwrap().push((text(&request.body).to_owned(), starts));
        plain(request, stream);
    });
    workspace.file("ops", "in the way of the folder");
    let proxy = Proxy::start(&workspace, &url, &["--fail-closed"]);
    let reply = Exchange::post(proxy.port, &[], &call("x", "t")).reply();
    assert_eq!((reply.status, &reply.json()["id"]), (200, &json!("x")));
    assert_eq!(reply.json()["error"]["code"], -31000);
    let encoded = Exchange::post(proxy.port, &["Content-Encoding: gzip"], &call(1, "t")).reply();
    assert_eq!(encoded.status, 415);
    assert_eq!(Exchange::post(proxy.port, &[], &json!("no message")).reply().status, 403);
    std::fs::remove_file(workspace.path().join("ops")).unwrap();
    assert_eq!(Exchange::post(proxy.port, &[], &call(2, "t")).reply().status, 200);
    proxy.stop();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].0.contains("\"id\":2") && seen[0].1 > 0, "{seen:?}");
    let mut found = short(&workspace.events());
    found.sort();
    let expected = ["denied not_understood", "t denied not_recorded", "t ok", "t started"];
    assert_eq!(found, expected);
}

#[test]
fn the_end_of_the_proxy_records_what_is_open() {
    let workspace = Workspace::new();
    let url = server(|_, stream| {
        begin_events(stream);
        wait_until("the proxy is gone", || wait_for_close(stream));
    });
    let proxy = Proxy::start(&workspace, &url, &[]);
    let mut exchange = Exchange::post(proxy.port, &[], &call(1, "t"));
    exchange.head();
    proxy.stop();
    assert_eq!(short(&workspace.events()), ["t lost client_left"]);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let workspace = Workspace::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let held = std::net::TcpListener::bind(&taken).unwrap();
    let output = run(workspace.audit(["mcp", "--http", &taken, "--to", "http://127.0.0.1:1/mcp"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains(&format!("--http {taken}")), "{output:?}");
    drop(held);
}

#[test]
fn a_call_is_seen_whatever_the_method_and_refused_in_another_charset() {
    let workspace = Workspace::new();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let url = server(move |request, stream| {
        count.fetch_add(1, Ordering::Relaxed);
        plain(request, stream);
    });
    let message = call(1, "t").to_string();
    let methods = ["POST", "post", "PUT", "PATCH", "DELETE", "GET", "FOO"];
    let proxy = Proxy::start(&workspace, &url, &[]);
    for method in methods {
        let reply = Exchange::send(proxy.port, &format!("{method} /mcp"), &[], message.as_bytes()).reply();
        assert_eq!(reply.status, 200, "{method}");
    }
    let kind = "Content-Type: application/json; charset=\"UTF-7\"";
    for _ in 0..2 {
        Exchange::send(proxy.port, "POST /mcp", &[kind], b"+AHs").reply();
    }
    let said = proxy.stop();
    assert_eq!(said.matches("charset").count(), 1, "{said}");
    assert_eq!(short(&workspace.events()), ["t ok"; 7]);
    let passed = seen.swap(0, Ordering::Relaxed);
    assert_eq!(passed, 9);
    // A name that is there twice is no call that can be recorded.
    let twice = message.replace("\"name\"", "\"name\":\"a\",\"name\"");
    let proxy = Proxy::start(&workspace, &url, &["--fail-closed"]);
    for method in methods {
        let reply = Exchange::send(proxy.port, &format!("{method} /mcp"), &[], twice.as_bytes()).reply();
        assert_eq!(reply.json()["error"]["code"], -31000, "{method}");
    }
    for charset in ["utf-7", "\"utf-16\"", "latin1; charset=utf-8", "utf-8; charset=utf-7"] {
        let kind = format!("Content-Type: application/json; charset={charset}");
        let reply = Exchange::send(proxy.port, "POST /mcp", &[&kind], message.as_bytes()).reply();
        assert_eq!(reply.status, 415, "{charset}");
    }
    assert_eq!(seen.load(Ordering::Relaxed), 0);
    let kind = "Content-Type: application/json;charset=\"UTF-8\"";
    assert_eq!(Exchange::send(proxy.port, "POST /mcp", &[kind], message.as_bytes()).reply().status, 200);
    proxy.stop();
}

#[test]
fn a_redirect_to_the_server_leads_to_the_proxy() {
    let workspace = Workspace::new();
    let url = server(|request, stream| {
        let host = &request.headers["host"];
        let header = match request.what.as_str() {
            "GET /own" => format!("Location: http://{host}/mcp/?a=b\r\n"),
            _ => "Location: http://other.example/mcp\r\n".to_owned(),
        };
        answer(stream, 307, "text/plain", &header, "");
    });
    let proxy = Proxy::start(&workspace, &url, &[]);
    let location = |path: &str| {
        let reply = Exchange::send(proxy.port, &format!("GET {path}"), &[], b"").reply();
        reply.headers["location"].clone()
    };
    assert_eq!(
        (location("/own").as_str(), location("/x").as_str()),
        ("/mcp/?a=b", "http://other.example/mcp")
    );
    proxy.stop();
}

#[test]
fn the_query_of_the_server_is_shown_to_nobody_and_headers_that_are_there_twice_are_refused() {
    let workspace = Workspace::new();
    let mut command = workspace.audit(["mcp", "--http", "127.0.0.1:0"]);
    command.args(["--to", &format!("http://{NOWHERE}/mcp?key=s3cr3t")]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut stderr, &mut first).unwrap();
    let port = first.split("127.0.0.1:").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    let reply = Exchange::post(port, &[], &call(1, "t")).reply();
    let twice =
        |header: &str, other: &str| Exchange::post(port, &[header, other], &call(1, "t")).reply().status;
    let statuses = (
        twice("Host: localhost", "Host: evil.example"),
        twice("Origin: http://localhost", "Origin: https://evil.example"),
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
    assert_eq!((reply.status, statuses), (502, (400, 400)));
    for text in [reply.text(), &first, &said] {
        assert!(text.contains("/mcp?…") && !text.contains("s3cr3t"), "{text}");
    }
}
