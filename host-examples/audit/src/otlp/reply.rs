//! The answers to requests, in the type of the request: the responses of OTLP, and `google.rpc.Status` for what went wrong.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use serde_json::json;

use super::read::{Encoding, Signal};

pub(super) type Reply = Response<Full<Bytes>>;

/// After how many seconds a client tries again.
const RETRY_AFTER: &str = "5";

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    /// In the type of the request, or as plain text if that is none of OTLP's.
    pub(super) fn reply(&self, encoding: Option<Encoding>) -> Reply {
        let code = rpc_code(self.status);
        let (body, media_type) = match encoding {
            Some(Encoding::Protobuf) => {
                let status = RpcStatus { code, message: self.why.clone() };
                (status.encode_to_vec(), media_type(Encoding::Protobuf))
            }
            Some(Encoding::Json) => {
                let status = json!({ "code": code, "message": self.why });
                (status.to_string().into_bytes(), media_type(Encoding::Json))
            }
            None => (format!("{}\n", self.why).into_bytes(), "text/plain; charset=utf-8"),
        };
        let mut reply = reply(self.status, media_type, body);
        let headers = reply.headers_mut();
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        reply
    }
}

/// `google.rpc.Status`, without its details.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The number of `google.rpc.Code`.
fn rpc_code(status: StatusCode) -> i32 {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => 4,
        StatusCode::NOT_FOUND => 5,
        StatusCode::FORBIDDEN => 7,
        StatusCode::PAYLOAD_TOO_LARGE => 8,
        StatusCode::METHOD_NOT_ALLOWED => 12,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => 14,
        _ => 3,
    }
}

/// The export was taken. So many of its spans or log records were not.
pub(super) fn taken(signal: Option<Signal>, encoding: Encoding, rejected: u64) -> Reply {
    let why = "spans of calls need a trace_id of 16 bytes and a span_id of 8 bytes, which are not all zero";
    let count = i64::try_from(rejected).unwrap_or(i64::MAX);
    let body = match (encoding, signal) {
        (Encoding::Json, _) if rejected == 0 => b"{}".to_vec(),
        (Encoding::Json, signal) => {
            let name = if signal == Some(Signal::Logs) { "rejectedLogRecords" } else { "rejectedSpans" };
            json!({ "partialSuccess": { name: count.to_string(), "errorMessage": why } })
                .to_string()
                .into_bytes()
        }
        // An empty message, whatever the signal is.
        (Encoding::Protobuf, _) if rejected == 0 => Vec::new(),
        (Encoding::Protobuf, Some(Signal::Logs)) => {
            let rejected_log_records = count;
            let partial = ExportLogsPartialSuccess { rejected_log_records, error_message: why.into() };
            ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        (Encoding::Protobuf, _) => {
            let partial = ExportTracePartialSuccess { rejected_spans: count, error_message: why.into() };
            ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
    };
    reply(StatusCode::OK, media_type(encoding), body)
}

fn media_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    }
}

fn reply(status: StatusCode, media_type: &'static str, body: Vec<u8>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    reply
}
