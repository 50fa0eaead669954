//! Requests over HTTP, as they are on the wire, so that a test can also send what no library would.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use audit_testbed::PATIENCE;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};

pub const JSON: &str = "application/json";
pub const PROTOBUF: &str = "application/x-protobuf";

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub headers: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub fn assert(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
    }
}

/// A connection to a port of this machine.
pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The head of a request to which more headers can be added.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}")
}

/// Sends a request with this body, and reads the answer.
pub fn send(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = connect(port);
    let head = format!("{}Content-Length: {}\r\n\r\n", head(method, path, headers), body.len());
    stream.write_all(head.as_bytes()).unwrap();
    // Who refuses a request need not read all of it.
    let _ = stream.write_all(body);
    answer(stream)
}

/// Reads the answer to the end.
pub fn answer(mut stream: TcpStream) -> Answer {
    let mut all = Vec::new();
    let read = stream.read_to_end(&mut all);
    let end =
        all.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("{read:?} {all:?}"));
    let head = String::from_utf8(all[..end].to_vec()).unwrap().to_ascii_lowercase();
    let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, headers: headers.into(), body: all[end + 4..].to_vec() }
}

/// Posts an export.
pub fn post(port: u16, path: &str, content_type: &str, body: &[u8]) -> Answer {
    send(port, "POST", path, &[("Content-Type", content_type)], body)
}

/// Posts spans as JSON.
pub fn post_spans(port: u16, spans: &Value) -> Answer {
    post(port, "/v1/traces", JSON, export(spans).to_string().as_bytes())
}

/// An export of spans.
pub fn export(spans: &Value) -> Value {
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] })
}

/// A span of the call of a tool. The identifier of the span is made of the number.
pub fn tool_span(number: u64, tool: &str) -> Value {
    json!({
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": format!("{:016x}", number + 1),
        "name": format!("execute_tool {tool}"),
        "startTimeUnixNano": 1_795_708_800_000_000_000 + number,
        "endTimeUnixNano": 1_795_708_800_020_000_000 + number,
        "attributes": [text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", tool)],
    })
}

/// An attribute.
pub fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// The same export in Protobuf. The types of `opentelemetry-proto` take enums as numbers only.
pub fn protobuf(signal: &str, export: &Value) -> Vec<u8> {
    let mut text = export.to_string();
    for (name, number) in [("INTERNAL", 1), ("SERVER", 2), ("CLIENT", 3)] {
        text = text.replace(&format!("\"SPAN_KIND_{name}\""), &number.to_string());
    }
    for (name, number) in [("OK", 1), ("ERROR", 2)] {
        text = text.replace(&format!("\"STATUS_CODE_{name}\""), &number.to_string());
    }
    match signal {
        "traces" => serde_json::from_str::<ExportTraceServiceRequest>(&text).unwrap().encode_to_vec(),
        _ => serde_json::from_str::<ExportLogsServiceRequest>(&text).unwrap().encode_to_vec(),
    }
}
