//! HTTP by hand: a client that shows each byte as it comes, and servers that do what a test says.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use audit_testbed::PATIENCE;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{Workspace, end_of, text};

/// The proxy, in front of a server.
pub struct Proxy {
    /// Until it was stopped.
    child: Option<Child>,
    pub port: u16,
    lines: Receiver<String>,
}

impl Proxy {
    pub fn start(workspace: &Workspace, to: &str, options: &[&str]) -> Self {
        let mut command = workspace.audit(["mcp", "--http", "0", "--to", to]);
        command.args(options);
        Self::run(command)
    }

    pub fn run(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
        let first = lines.recv_timeout(PATIENCE).expect("it says where it listens");
        let address = first.split("http://").nth(1).expect(&first).split(['/', ',']).next().unwrap();
        let port = address.rsplit(':').next().unwrap().parse().unwrap();
        Self { child: Some(child), port, lines }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// Ends it as a service is ended. Returns what else it said.
    pub fn stop(mut self) -> String {
        let child = self.child.take().unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let output = end_of(child);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        self.lines.iter().map(|line| line + "\n").collect()
    }
}

impl Drop for Proxy {
    /// A test that fails leaves no proxy behind.
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A request as it came.
pub struct Received {
    /// `POST /mcp`
    pub what: String,
    /// With their names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// A message that begins with a line and headers.
fn receive(stream: &mut impl std::io::BufRead) -> Option<(String, HashMap<String, String>)> {
    let mut line = String::new();
    if stream.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some((line.trim_end().to_owned(), headers))
}

/// A body with its length in front, or in chunks, or until the end.
fn body(stream: &mut impl std::io::BufRead, headers: &HashMap<String, String>, to_end: bool) -> Vec<u8> {
    let mut body = Vec::new();
    if let Some(len) = headers.get("content-length") {
        stream.take(len.parse().unwrap()).read_to_end(&mut body).unwrap();
    } else if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size).unwrap();
            let size = u64::from_str_radix(size.trim(), 16).unwrap();
            stream.take(size).read_to_end(&mut body).unwrap();
            stream.read_line(&mut String::new()).unwrap();
            if size == 0 {
                break;
            }
        }
    } else if to_end {
        stream.read_to_end(&mut body).unwrap();
    }
    body
}

/// Starts a server, which answers each request on a connection of its own. Returns its URL.
pub fn server(respond: impl Fn(Received, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let respond = std::sync::Arc::new(respond);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, respond) = (stream.unwrap(), std::sync::Arc::clone(&respond));
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let Some((line, headers)) = receive(&mut reader) else { return };
                let body = body(&mut reader, &headers, false);
                let what = line.rsplit_once(' ').unwrap().0.to_owned();
                respond(Received { what, headers, body }, &mut stream);
            });
        }
    });
    url
}

/// Answers with a body of known length.
pub fn answer(stream: &mut TcpStream, status: u16, kind: &str, headers: &str, body: &str) {
    let head = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: {kind}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
}

/// Begins a stream of events.
pub fn begin_events(stream: &mut TcpStream) {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
}

/// The answer of an MCP server that does as the name of the tool says, in JSON.
pub fn plain(request: Received, stream: &mut TcpStream) {
    let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let id = &message["id"];
    if id.is_null() {
        return answer(stream, 202, "text/plain", "", "");
    }
    let body = match message["params"]["name"].as_str() {
        Some("fail") => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32602,"message":"no"}}}}"#),
        Some("bad") => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"isError":true}}}}"#),
        _ => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#),
    };
    answer(stream, 200, "application/json", "", &body);
}

/// A connection of a client, with a request that was sent.
pub struct Exchange(BufReader<TcpStream>);

pub struct Reply {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> &str {
        text(&self.body)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{:?}", self.text()))
    }
}

impl Exchange {
    /// Sends a request. `headers` has a line for each, without the line's end.
    pub fn send(port: u16, what: &str, headers: &[&str], body: &[u8]) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let has_host = headers.iter().any(|header| header.to_ascii_lowercase().starts_with("host:"));
        let host = if has_host { String::new() } else { format!("Host: 127.0.0.1:{port}\r\n") };
        let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!(
            "{what} HTTP/1.1\r\n{host}Connection: close\r\n{lines}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn post(port: u16, headers: &[&str], message: &Value) -> Self {
        let own = ["Content-Type: application/json", "Accept: application/json, text/event-stream"];
        Self::send(port, "POST /mcp", &[&own, headers].concat(), message.to_string().as_bytes())
    }

    /// Waits for all of the answer.
    pub fn reply(mut self) -> Reply {
        let (line, headers) = receive(&mut self.0).expect("an answer comes");
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let body = body(&mut self.0, &headers, true);
        Reply { status, headers, body }
    }

    /// Waits for the head of the answer.
    pub fn head(&mut self) -> u16 {
        let (line, _) = receive(&mut self.0).expect("an answer comes");
        line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Waits for the end of the answer, however it ends.
    pub fn rest(mut self) {
        let _ = self.0.read_to_end(&mut Vec::new());
    }

    /// Waits until this text has come, chunk sizes aside.
    pub fn wait_for(&mut self, wanted: &str) {
        let mut seen = String::new();
        while !seen.contains(wanted) {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {seen:?}"));
            seen.push(byte[0] as char);
        }
    }
}

/// Waits until the other side has closed the connection.
pub fn wait_for_close(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    matches!(stream.read(&mut [0]), Ok(0)) || stream.take_error().ok().flatten().is_some()
}
