//! `--forward`: the collector gets each request as it came, and its failures are its client's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use audit_testbed::{NOWHERE, PATIENCE, free_port};
use serde_json::json;

use crate::client::{JSON, PROTOBUF, export, post, post_spans, send, tool_span};
use crate::common::{Workspace, run};
use crate::receiver::Otlp;

/// A collector that gives these answers, one after the other, and then the last one again.
struct Collector {
    url: String,
    requests: Receiver<Got>,
}

/// A request that it got.
#[derive(Debug)]
struct Got {
    line: String,
    /// In lower case, sorted.
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Collector {
    fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (got, requests) = channel();
        thread::spawn(move || {
            let mut answers = answers.iter();
            let mut last = "";
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                // The program may keep the connection.
                while let Some(request) = read(&mut reader) {
                    last = answers.next().copied().unwrap_or(last);
                    if got.send(request).is_err() {
                        return;
                    }
                    if last.is_empty() {
                        break;
                    }
                    reader.get_mut().write_all(last.as_bytes()).unwrap();
                }
            }
        });
        Self { url, requests }
    }

    fn next(&self) -> Got {
        self.requests.recv_timeout(PATIENCE).unwrap()
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Got> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = lines.remove(0);
    let mut headers: Vec<String> = lines.iter().map(|line| line.to_ascii_lowercase()).collect();
    headers.sort_unstable();
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some(Got { line, headers, body })
}

const OK: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Collector: yes\r\nContent-Length: 4\r\n\r\n{ } ";

#[test]
fn a_request_is_passed_on_as_it_came_and_the_answer_back() {
    let (workspace, collector) = (Workspace::new(), Collector::start(&[OK]));
    let otlp = Otlp::start(&workspace, &["--forward", &format!("{}/prefix/", collector.url)]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(export(&json!([tool_span(1, "t")])).to_string().as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Content-Encoding", "gzip"),
        ("Authorization", "Bearer token"),
        ("X-Tenant", "a"),
        ("User-Agent", "OTel-OTLP-Exporter-Python/1.45.2"),
    ];
    let answer = send(otlp.port, "POST", "/v1/traces?project=p%20q", &headers, &body);
    answer.assert(200);
    assert!(answer.headers.contains("x-collector: yes") && answer.body == b"{ } ", "{answer:?}");
    let got = collector.next();
    assert_eq!(got.line, "POST /prefix/v1/traces?project=p%20q HTTP/1.1");
    assert_eq!(got.body, body);
    let host = format!("host: {}", collector.url.strip_prefix("http://").unwrap());
    let expected = [
        "authorization: bearer token",
        &format!("content-length: {}", body.len()),
        "content-encoding: gzip",
        "content-type: application/json; charset=utf-8",
        &host,
        "user-agent: otel-otlp-exporter-python/1.45.2",
        "x-tenant: a",
    ];
    let mut expected: Vec<&str> = expected.to_vec();
    expected.sort_unstable();
    let (of_receiver, of_client): (Vec<_>, Vec<_>) =
        got.headers.into_iter().partition(|line| line.starts_with("audit-forwarded-by: "));
    assert_eq!((of_client.iter().map(String::as_str).collect(), of_receiver.len()), (expected, 1));
    assert_eq!(workspace.events().len(), 1);
    // What is of no concern to the record too.
    post(otlp.port, "/v1/metrics", PROTOBUF, b"metrics").assert(200);
    assert_eq!(collector.next().body, b"metrics");
    send(otlp.port, "GET", "/health", &[], b"").assert(200);
    assert_eq!(collector.next().line, "GET /prefix/health HTTP/1.1");
}

#[test]
fn what_the_collector_refuses_is_sent_again_and_recorded_once() {
    const BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nbusy";
    let (workspace, collector) = (Workspace::new(), Collector::start(&[BUSY, OK]));
    let otlp = Otlp::start(&workspace, &["--forward", &collector.url]);
    let refused = post_spans(otlp.port, &json!([tool_span(1, "t")]));
    refused.assert(429);
    assert!(refused.headers.contains("retry-after: 3") && refused.text() == "busy", "{refused:?}");
    assert_eq!(workspace.events().len(), 1);
    post_spans(otlp.port, &json!([tool_span(1, "t")])).assert(200);
    assert_eq!(workspace.events().len(), 1);
    assert_eq!(collector.next().body, collector.next().body);
}

#[test]
fn a_collector_that_is_not_there_is_a_bad_gateway_and_its_calls_are_recorded() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &["--forward", &format!("http://{NOWHERE}")]);
    let refused = post_spans(otlp.port, &json!([tool_span(1, "t")]));
    refused.assert(502);
    assert!(refused.json()["message"].as_str().unwrap().contains("collector of --forward"), "{refused:?}");
    assert_eq!(workspace.events().len(), 1);
}

#[test]
fn what_cannot_be_read_is_passed_on_and_its_client_told() {
    let (workspace, collector) = (Workspace::new(), Collector::start(&[OK]));
    let otlp = Otlp::start(&workspace, &["--forward", &collector.url]);
    post(otlp.port, "/v1/traces", JSON, b"new format").assert(400);
    assert_eq!(collector.next().body, b"new format");
    let zstd = [("Content-Type", JSON), ("Content-Encoding", "zstd")];
    send(otlp.port, "POST", "/v1/logs", &zstd, b"zstd").assert(415);
    assert_eq!(collector.next().body, b"zstd");
    // But nothing of a web page.
    send(otlp.port, "POST", "/v1/logs", &[("Content-Type", JSON), ("Origin", "http://a")], b"{}").assert(403);
    assert!(collector.requests.try_recv().is_err());
}

#[test]
fn what_cannot_be_recorded_is_not_passed_on_before_it_can() {
    let (workspace, collector) = (Workspace::new(), Collector::start(&[OK]));
    std::fs::create_dir(workspace.path().join("ops")).unwrap();
    let obstacle = workspace.file("ops/audit", "no folder");
    let otlp = Otlp::start(&workspace, &["--forward", &collector.url]);
    post_spans(otlp.port, &json!([tool_span(1, "t")])).assert(503);
    assert!(collector.requests.try_recv().is_err());
    std::fs::remove_file(obstacle).unwrap();
    post_spans(otlp.port, &json!([tool_span(1, "t")])).assert(200);
    collector.next();
    assert!(collector.requests.try_recv().is_err());
}

mod slow {
    use super::*;

    #[test]
    fn a_collector_that_does_not_answer_is_given_up() {
        let (workspace, collector) = (Workspace::new(), TcpListener::bind("127.0.0.1:0").unwrap());
        let url = format!("http://{}", collector.local_addr().unwrap());
        let otlp = Otlp::start(&workspace, &["--forward", &url]);
        let began = Instant::now();
        post_spans(otlp.port, &json!([tool_span(1, "t")])).assert(504);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(workspace.events().len(), 1);
    }
}

#[test]
fn it_does_not_forward_to_itself() {
    let workspace = Workspace::new();
    let port = free_port();
    for host in ["127.0.0.1", "localhost", "0.0.0.0"] {
        let (listen, url) = (format!("127.0.0.1:{port}"), format!("http://{host}:{port}"));
        let output = run(workspace.audit(["otlp", "--listen", &listen, "--forward", &url]));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("--forward") && stderr.contains("accepted is"), "{stderr}");
    }
}

#[test]
fn a_circle_of_receivers_ends_after_one_round() {
    let workspace = Workspace::new();
    // What comes to this port goes to the receiver, as through a proxy.
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", door.local_addr().unwrap());
    let otlp = Otlp::start(&workspace, &["--forward", &url]);
    let port = otlp.port;
    thread::spawn(move || {
        for stream in door.incoming() {
            let (mut from, mut to) = (stream.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
            let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
        }
    });
    let began = Instant::now();
    let refused = post_spans(port, &json!([tool_span(1, "t")]));
    refused.assert(508);
    assert!(refused.json()["message"].as_str().unwrap().contains("--forward"), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(workspace.tools(), ["t"]);
}

#[test]
fn an_address_to_listen_on_that_is_none_is_told_what_is_accepted() {
    let workspace = Workspace::new();
    let output = run(workspace.audit(["otlp", "--listen", "localhost:4318"]));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--listen") && stderr.contains("127.0.0.1:4318"), "{stderr}");
}
