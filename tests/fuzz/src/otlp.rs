//! What agents tell through OpenTelemetry.

use audit_cli::inputs::otlp::{Refused, Told, export};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::Value;

use crate::event::assert_recordable;
use crate::next_byte;

fn assert_told(told: &Result<Told, Refused>) {
    match told {
        Ok(told) => told.calls.iter().for_each(assert_recordable),
        Err(Refused::Undecodable(why)) => {
            assert!(!why.is_empty());
        }
        Err(Refused::TooManyCalls) => {}
    }
}

/// How many spans or log records were counted.
fn count(told: &Told) -> usize {
    told.calls.len() + told.allowed + usize::try_from(told.forgotten + told.rejected).unwrap_or(usize::MAX)
}

/// If the first byte is odd, the rest are log records, else spans, as Protobuf.
///
/// What another implementation reads is read, each span and log record counts once, and as JSON it tells the same.
pub fn otlp_protobuf(mut input: &[u8]) {
    let is_logs = next_byte(&mut input) & 1 == 1;
    let told = export(is_logs, false, input);
    assert_told(&told);
    let (items, json) = if is_logs {
        let Ok(logs) = ExportLogsServiceRequest::decode(input) else { return };
        let scopes = logs.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        (scopes.map(|scope| scope.log_records.len()).sum::<usize>(), serde_json::to_vec(&logs))
    } else {
        let Ok(spans) = ExportTraceServiceRequest::decode(input) else { return };
        let scopes = spans.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        (scopes.map(|scope| scope.spans.len()).sum::<usize>(), serde_json::to_vec(&spans))
    };
    if told == Err(Refused::TooManyCalls) {
        return;
    }
    let told = told.expect("what another implementation reads is read");
    assert_eq!(count(&told), items, "each span and log record counts once");
    let json = json.expect("a message has a text");
    // That implementation writes numbers that are none as null.
    if has_null(&json) {
        return;
    }
    let of_json = export(is_logs, true, &json);
    if !matches!(&of_json, Err(Refused::Undecodable(why)) if why.contains("recursion limit")) {
        assert_eq!(of_json, Ok(told), "{}", String::from_utf8_lossy(&json));
    }
}

fn has_null(json: &[u8]) -> bool {
    memchr::memmem::find(json, b"null").is_some()
}

/// If the first byte is odd, the rest are log records, else spans, as JSON.
///
/// What is no JSON is refused, an object of other fields alone tells of nothing, and what is read is the same with other white
/// space.
pub fn otlp_json(mut input: &[u8]) {
    let is_logs = next_byte(&mut input) & 1 == 1;
    let told = export(is_logs, true, input);
    assert_told(&told);
    let Ok(value) = serde_json::from_slice::<Value>(input) else { return };
    if !value.is_object() {
        assert!(matches!(told, Err(Refused::Undecodable(_))), "what is no object is read");
        return;
    }
    if has_key_twice(input, &value) {
        return;
    }
    let spaced = serde_json::to_vec_pretty(&value).expect("a value has a text");
    let again = export(is_logs, true, &spaced);
    let is_read =
        |told: &Result<Told, Refused>| told.as_ref().ok().map(|told| (count(told), told.calls.len()));
    assert_eq!(is_read(&told), is_read(&again), "with other white space");
}

/// Whether the value has fewer members than its text.
fn has_key_twice(text: &[u8], value: &Value) -> bool {
    let plain = |text: &[u8]| text.iter().filter(|byte| **byte == b':').count();
    plain(text) != plain(value.to_string().as_bytes())
}
