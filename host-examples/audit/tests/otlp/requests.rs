//! Requests of every kind: each gets a clear status, in the type of the request, and none stops the others.

use std::io::Write as _;
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use serde_json::json;

use crate::client::{
    Answer, JSON, PROTOBUF, answer, connect, export, head, post, post_spans, protobuf, send, text, tool_span,
};
use crate::common::Workspace;
use crate::receiver::Otlp;

const MIB: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, content_type: &str, why: &str) {
    answer.assert(status);
    assert!(answer.headers.contains(&format!("content-type: {content_type}")), "{answer:?}");
    let (code, message) = match content_type {
        JSON => {
            (answer.json()["code"].as_i64().unwrap(), answer.json()["message"].as_str().unwrap().to_owned())
        }
        PROTOBUF => {
            let status = Status::decode(&answer.body[..]).unwrap();
            (status.code.into(), status.message)
        }
        _ => (1, answer.text().to_owned()),
    };
    assert!(code > 0 && message.contains(why), "{message}");
}

#[test]
fn what_cannot_be_read_is_refused_in_the_type_of_the_request() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let port = otlp.port;
    for path in ["/v1/traces", "/v1/logs"] {
        assert_refused(&post(port, path, JSON, b"{\"resource"), 400, JSON, "JSON");
        assert_refused(
            &post(port, path, JSON, br#"{"resourceSpans":5,"resourceLogs":5}"#),
            400,
            JSON,
            "array",
        );
        assert_refused(&post(port, path, PROTOBUF, b"\x0a\x05abc"), 400, PROTOBUF, "cut");
        assert_refused(&post(port, path, PROTOBUF, b"{}"), 400, PROTOBUF, "");
    }
    let deep = format!("{}{}", "[".repeat(MIB), "]".repeat(MIB));
    let deep = format!(r#"{{"resourceSpans":[{{"scopeSpans":{deep}}}]}}"#);
    assert_refused(&post(port, "/v1/traces", JSON, deep.as_bytes()), 400, JSON, "");
    for content_type in ["text/plain", "multipart/form-data", "application/grpc", "application/xml"] {
        let refused = post(port, "/v1/traces", content_type, b"{}");
        assert_refused(&refused, 415, "text/plain", "application/x-protobuf and application/json");
    }
    assert_refused(&send(port, "POST", "/v1/traces", &[], b"{}"), 415, "text/plain", "Content-Type");
    let zstd = [("Content-Type", JSON), ("Content-Encoding", "zstd")];
    assert_refused(&send(port, "POST", "/v1/traces", &zstd, b"{}"), 415, JSON, "gzip");
    assert_refused(&post(port, "/v1/profiles", JSON, b"{}"), 404, JSON, "/v1/traces");
    let get = send(port, "GET", "/v1/traces", &[], b"");
    assert_refused(&get, 405, "text/plain", "POST");
    assert!(get.headers.contains("allow: post"), "{get:?}");
    assert_eq!(otlp.end().code, Some(0));
    assert_eq!(workspace.events(), Vec::<serde_json::Value>::new());
}

#[test]
fn one_bad_value_costs_no_other_span_its_record() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let mut bad = tool_span(2, "bad");
    // The exporter for JavaScript writes a large number so.
    let attribute = json!({ "key": "gen_ai.tool.call.arguments", "value": { "intValue": 1e21 } });
    bad["attributes"].as_array_mut().unwrap().push(attribute);
    bad["startTimeUnixNano"] = json!(-5);
    bad["name"] = json!(5);
    post_spans(otlp.port, &json!([tool_span(1, "good"), bad])).assert(200);
    assert_eq!(workspace.tools(), ["good", "bad"]);
    assert_eq!(workspace.events()[1]["in_size"], "1e+21".len());
    assert_refused(&post(otlp.port, "/v1/traces", JSON, b" "), 400, JSON, "the body is empty");
    assert_refused(&post(otlp.port, "/v1/logs", JSON, b""), 400, JSON, "\"resourceLogs\"");
    let inner = br#"{"resourceSpans":[{"scopeSpans":[{"spans":{}}]}]}"#;
    assert_refused(&post(otlp.port, "/v1/traces", JSON, inner), 400, JSON, "\"spans\": accepted is an array");
}

#[test]
fn a_web_page_cannot_post() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let body = export(&json!([tool_span(1, "t")])).to_string();
    for header in [("Origin", "http://localhost:4318"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]
    {
        let headers = [("Content-Type", JSON), header];
        assert_refused(
            &send(otlp.port, "POST", "/v1/traces", &headers, body.as_bytes()),
            403,
            JSON,
            "web pages",
        );
    }
    let headers = [("Origin", "http://evil.example"), ("Access-Control-Request-Method", "POST")];
    let preflight = send(otlp.port, "OPTIONS", "/v1/traces", &headers, b"");
    preflight.assert(403);
    assert!(!preflight.headers.contains("access-control"), "{preflight:?}");
    assert_eq!(workspace.events().len(), 0);
}

#[test]
fn bodies_come_compressed_in_pieces_and_one_after_the_other() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let body = |number| export(&json!([tool_span(number, &format!("t{number}"))]));
    let json = |number| body(number).to_string().into_bytes();
    let gzipped = [("Content-Type", JSON), ("Content-Encoding", "gzip")];
    send(otlp.port, "POST", "/v1/traces", &gzipped, &gzip(&json(0))).assert(200);
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(&protobuf("traces", &body(1))).unwrap();
    let deflated = [("Content-Type", PROTOBUF), ("Content-Encoding", "deflate")];
    send(otlp.port, "POST", "/v1/traces", &deflated, &deflate.finish().unwrap()).assert(200);
    // In pieces of which none says how long all of them are.
    let mut stream = connect(otlp.port);
    let head = head("POST", "/v1/traces", &[("Content-Type", JSON), ("Transfer-Encoding", "chunked")]);
    write!(stream, "{head}\r\n").unwrap();
    for piece in json(2).chunks(100) {
        write!(stream, "{:x}\r\n", piece.len()).unwrap();
        stream.write_all(piece).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    answer(stream).assert(200);
    // Two requests of one connection.
    let mut stream = connect(otlp.port);
    for (number, connection) in [(3, "keep-alive"), (4, "close")] {
        let body = json(number);
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nHost: h\r\nConnection: {connection}\r\nContent-Type: {JSON}\r\n"
        );
        write!(stream, "{head}Content-Length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(&body).unwrap();
    }
    let both = answer(stream);
    assert_eq!(String::from_utf8_lossy(&both.body).matches("HTTP/1.1 200").count(), 1, "{both:?}");
    for (path, content_type, body) in [("/v1/metrics", JSON, "{}"), ("/v1/metrics", PROTOBUF, "")] {
        let taken = post(otlp.port, path, content_type, b"whatever it is");
        taken.assert(200);
        assert_eq!(taken.text(), body);
    }
    let mut tools = workspace.tools();
    tools.sort_unstable();
    assert_eq!(tools, ["t0", "t1", "t2", "t3", "t4"]);
    let ended = otlp.end();
    let summary = ended.lines.last().unwrap();
    assert!(summary.contains("5 events recorded") && summary.contains("0 rejected"), "{ended:?}");
    assert_eq!(ended.code, Some(0));
}

#[test]
fn spans_of_calls_without_identifiers_are_rejected_and_the_others_recorded() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let mut spans =
        json!([tool_span(1, "good"), tool_span(2, "bad"), tool_span(3, "bad"), tool_span(4, "fine")]);
    spans[1]["spanId"] = json!("0000000000000000");
    spans[2]["traceId"] = json!("abc");
    let taken = post_spans(otlp.port, &spans);
    taken.assert(200);
    assert_eq!(taken.json()["partialSuccess"]["rejectedSpans"], "2");
    let taken = post(
        otlp.port,
        "/v1/traces",
        PROTOBUF,
        &protobuf("traces", &{
            spans[2]["traceId"] = json!("00");
            export(&spans)
        }),
    );
    let partial = ExportTraceServiceResponse::decode(&taken.body[..]).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    assert!(partial.error_message.contains("span_id of 8 bytes"), "{partial:?}");
    assert_eq!(workspace.tools(), ["good", "fine"]);
}

#[test]
fn a_body_that_ends_too_early_is_refused_and_records_nothing() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let body = export(&json!([tool_span(1, "t")])).to_string();
    let zipped = gzip(body.as_bytes());
    let headers = [("Content-Type", JSON), ("Content-Encoding", "gzip")];
    for cut in [&zipped[..zipped.len() - 9], &zipped[..5], b"no gzip", &[&zipped[..], b"more"].concat()] {
        assert_refused(&send(otlp.port, "POST", "/v1/traces", &headers, cut), 400, JSON, "compressed");
    }
    let mut stream = connect(otlp.port);
    let head = head("POST", "/v1/traces", &[("Content-Type", JSON), ("Content-Length", "9999")]);
    write!(stream, "{head}\r\n{body}").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    // It is gone, or answered.
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut rest);
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&rest));
    assert_eq!(workspace.events().len(), 0);
    post(otlp.port, "/v1/traces", JSON, body.as_bytes()).assert(200);
    assert_eq!(workspace.events().len(), 1);
}

#[test]
fn bombs_take_no_more_memory_than_a_body_may_and_others_are_answered_meanwhile() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let port = otlp.port;
    post_spans(port, &json!([tool_span(1, "before")])).assert(200);
    let before = otlp.peak_memory();
    // Members of one MiB each, which are one stream of a GiB.
    let zeros = gzip(&vec![0; MIB]).repeat(1024);
    // Objects and messages of two and three bytes, which would be very many spans.
    let few = gzip(&b"{},".repeat(MIB / 3));
    let json =
        [&gzip(br#"{"resourceSpans":[{"scopeSpans":[{"spans":["#)[..], &few.repeat(10), &gzip(b"{}]}]}]}")]
            .concat();
    let scope = |size: usize| {
        // The fields of the messages around the spans, with their lengths: the inner one takes five bytes of the outer one.
        let mut head = Vec::new();
        for (tag, more) in [(0x0A, 5), (0x12, 0)] {
            head.push(tag);
            prost::encoding::encode_varint((size + more) as u64, &mut head);
        }
        head
    };
    let size = 10 * MIB;
    let messages = [gzip(&scope(size)), gzip(&[0x12, 0].repeat(MIB / 2)).repeat(10)].concat();
    let bombs =
        [(JSON, &zeros, 413), (JSON, &json, 200), (PROTOBUF, &messages, 200), (PROTOBUF, &zeros, 413)];
    thread::scope(|scope| {
        for (content_type, bomb, status) in bombs {
            let headers = [("Content-Type", content_type), ("Content-Encoding", "gzip")];
            scope.spawn(move || {
                let answer = send(port, "POST", "/v1/traces", &headers, bomb);
                // It may have had to wait for too long.
                assert!(answer.status == status || answer.status == 503, "{answer:?}");
            });
        }
        for number in 2..12 {
            let began = Instant::now();
            post_spans(port, &json!([tool_span(number, "meanwhile")])).assert(200);
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        }
    });
    let more = otlp.peak_memory() - before;
    assert!(more < 2 * 64 * MIB + 64 * MIB, "{} MiB", more / MIB);
    assert_eq!(workspace.events().len(), 11);
}

/// An export of so many calls whose resource has seven texts of four KiB.
fn of_large_resource(trace: usize, calls: usize) -> Vec<u8> {
    let keys =
        ["workspace.id", "user.id", "session.id", "gen_ai.agent.id", "gen_ai.agent.name", "service.name"];
    let large = "é".repeat(2048);
    let resource: Vec<_> = keys.into_iter().chain(["service.version"]).map(|key| text(key, &large)).collect();
    let span = |number| {
        let attributes = [text("gen_ai.operation.name", "execute_tool")];
        json!({ "traceId": format!("{trace:032x}"), "spanId": format!("{number:016x}"), "attributes": attributes })
    };
    let spans: Vec<_> = (1..=calls).map(span).collect();
    let of_resource = json!({ "resource": { "attributes": resource }, "scopeSpans": [{ "spans": spans }] });
    json!({ "resourceSpans": [of_resource] }).to_string().into_bytes()
}

#[test]
fn what_a_resource_tells_takes_no_memory_for_each_of_its_calls() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let port = otlp.port;
    post_spans(port, &json!([tool_span(1, "before")])).assert(200);
    let before = otlp.peak_memory();
    let body = gzip(&of_large_resource(1, 6000));
    assert!(body.len() < MIB, "{}", body.len());
    send(port, "POST", "/v1/traces", &[("Content-Type", JSON), ("Content-Encoding", "gzip")], &body)
        .assert(200);
    let more = otlp.peak_memory() - before;
    assert!(more < 100 * MIB, "{} MiB", more / MIB);
    // And none of these needs leave.
    let bodies: Vec<_> = (2..8).map(|trace| of_large_resource(trace, 1200)).collect();
    assert!(bodies.iter().all(|body| body.len() < 256 << 10), "{}", bodies[0].len());
    thread::scope(|scope| {
        for body in &bodies {
            scope.spawn(move || post(port, "/v1/traces", JSON, body).assert(200));
        }
    });
    let more = otlp.peak_memory() - before;
    assert!(more < 128 * MIB, "{} MiB", more / MIB);
    assert!(otlp.end().lines.last().unwrap().contains("13201 events recorded"));
}

#[test]
fn bodies_and_exports_that_are_too_large_are_refused() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let mut stream = connect(otlp.port);
    let length = (64 * MIB + 1).to_string();
    let announced = head("POST", "/v1/traces", &[("Content-Type", JSON), ("Content-Length", &length)]);
    write!(stream, "{announced}\r\n").unwrap();
    assert_refused(&answer(stream), 413, JSON, "64 MiB");
    let mut stream = connect(otlp.port);
    let head = head("POST", "/v1/traces", &[("Content-Type", PROTOBUF), ("Transfer-Encoding", "chunked")]);
    write!(stream, "{head}\r\n").unwrap();
    let piece = [format!("{MIB:x}\r\n").into_bytes(), vec![0; MIB], b"\r\n".to_vec()].concat();
    // Nobody reads to the end.
    while stream.write_all(&piece).is_ok() {}
    let mut spans: Vec<_> = (0..32_769).map(|number| tool_span(number, "many")).collect();
    assert_refused(&post_spans(otlp.port, &json!(spans)), 413, JSON, "32768 calls");
    assert_eq!(workspace.events().len(), 0);
    spans.pop();
    post_spans(otlp.port, &json!(spans)).assert(200);
    let ended = otlp.end();
    assert!(ended.lines.last().unwrap().contains("32768 events recorded"), "{ended:?}");
}

#[test]
fn many_connections_without_requests_do_not_stop_others() {
    let workspace = Workspace::new();
    let otlp = Otlp::start(&workspace, &[]);
    let mut idle: Vec<_> = (0..700).map(|_| connect(otlp.port)).collect();
    // Some of them have begun to send the headers or the body of a request.
    let head = head("POST", "/v1/traces", &[("Content-Type", JSON), ("Content-Length", "100")]);
    for (number, stream) in idle.iter_mut().enumerate() {
        let _ = match number % 3 {
            0 => stream.write_all(&head.as_bytes()[..20]),
            1 => write!(stream, "{head}\r\n{{"),
            _ => Ok(()),
        };
    }
    let began = Instant::now();
    for number in 0..5 {
        post_spans(otlp.port, &json!([tool_span(number, "t")])).assert(200);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(workspace.events().len(), 5);
    drop(idle);
    assert_eq!(otlp.end().code, Some(0));
}

mod slow {
    use super::*;

    #[test]
    fn who_sends_too_slowly_is_sent_away_and_holds_up_nobody() {
        let workspace = Workspace::new();
        let otlp = Otlp::start(&workspace, &[]);
        let mut bodies: Vec<_> = (0..40).map(|_| connect(otlp.port)).collect();
        let head = head("POST", "/v1/traces", &[("Content-Type", JSON), ("Content-Length", "5000000")]);
        bodies.iter_mut().for_each(|stream| write!(stream, "{head}\r\n{{").unwrap());
        let mut headers = connect(otlp.port);
        headers.write_all(b"POST /v1/traces HTTP/1.1\r\nHos").unwrap();
        let began = Instant::now();
        post_spans(otlp.port, &json!([tool_span(1, "t")])).assert(200);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let statuses: Vec<u16> = bodies.into_iter().map(|stream| answer(stream).status).collect();
        // Two had their leave; the others waited for it in vain.
        assert!(statuses.iter().all(|status| [408, 503].contains(status)), "{statuses:?}");
        assert!(statuses.contains(&408), "{statuses:?}");
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut headers, &mut rest).unwrap();
        assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
        assert_eq!(workspace.events().len(), 1);
    }
}
