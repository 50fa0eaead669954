//! How many spans a second `audit otlp` takes from 16 exporters that send batch after batch, how long its answers take, and
//! how much memory it needs at most. It runs the program `audit` of its own target folder.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const CLIENTS: usize = 16;

/// Spans of a batch: a quarter of what exporters send at most by default.
const BATCH: u64 = 128;

/// How long each case takes.
const TIME: Duration = Duration::from_secs(10);

/// What the exporters send.
struct Case {
    name: &'static str,
    /// One of so many spans is a call of a tool.
    one_call_of: u64,
    encoding: Encoding,
}

#[derive(Clone, Copy)]
enum Encoding {
    Protobuf,
    GzippedProtobuf,
    Json,
}

const CASES: [Case; 4] = [
    Case { name: "calls alone, Protobuf", one_call_of: 1, encoding: Encoding::Protobuf },
    Case { name: "calls alone, Protobuf, gzip", one_call_of: 1, encoding: Encoding::GzippedProtobuf },
    Case { name: "calls alone, JSON", one_call_of: 1, encoding: Encoding::Json },
    Case { name: "one call of 8 spans, Protobuf", one_call_of: 8, encoding: Encoding::Protobuf },
];

fn main() -> Result {
    let audit = std::env::current_exe()?;
    let audit = audit.ancestors().nth(2).ok_or("it is in no target folder")?.join("audit");
    println!("{CLIENTS} clients, {BATCH} spans a batch, {} s each", TIME.as_secs());
    println!("{:<32} {:>9} {:>9} {:>10} {:>10} {:>9}", "", "spans/s", "events/s", "median", "99 %", "memory");
    for case in &CASES {
        run(&audit, case)?;
    }
    Ok(())
}

fn run(audit: &Path, case: &Case) -> Result {
    let folder = tempfile::tempdir()?;
    let mut receiver = Receiver::start(audit, folder.path())?;
    let (traces, began) = (AtomicU64::new(1), Instant::now());
    let mut times = thread::scope(|scope| -> Result<Vec<Duration>> {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| client(receiver.port, case, &traces, began))).collect();
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.join().map_err(|_| "a client panicked")??);
        }
        Ok(times)
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let memory = receiver.peak_memory()?;
    let recorded = receiver.end()?;
    let batches = times.len() as u64;
    let calls = batches * (BATCH / case.one_call_of);
    if recorded != calls {
        return Err(format!("{recorded} events are recorded, of {calls} calls that were acknowledged").into());
    }
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default();
    println!(
        "{:<32} {:>9.0} {:>9.0} {:>7.1} ms {:>7.1} ms {:>5} MiB",
        case.name,
        (batches * BATCH) as f64 / seconds,
        calls as f64 / seconds,
        at(0.5).as_secs_f64() * 1e3,
        at(0.99).as_secs_f64() * 1e3,
        memory >> 10,
    );
    Ok(())
}

/// Sends batch after batch, each once the one before is answered. Returns how long the answers took.
fn client(port: u16, case: &Case, traces: &AtomicU64, began: Instant) -> Result<Vec<Duration>> {
    let mut connection = BufReader::new(TcpStream::connect(("127.0.0.1", port))?);
    connection.get_ref().set_nodelay(true)?;
    let mut times = Vec::new();
    while began.elapsed() < TIME {
        let batch = batch(traces.fetch_add(1, Ordering::Relaxed), case.one_call_of);
        let (content_type, body) = match case.encoding {
            Encoding::Protobuf => ("application/x-protobuf", batch.encode_to_vec()),
            Encoding::GzippedProtobuf => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&batch.encode_to_vec())?;
                ("application/x-protobuf\r\nContent-Encoding: gzip", encoder.finish()?)
            }
            Encoding::Json => ("application/json", serde_json::to_vec(&batch)?),
        };
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let sent = Instant::now();
        connection.get_mut().write_all(&[head.as_bytes(), &body].concat())?;
        let status = answer(&mut connection)?;
        if !status.contains(" 200 ") {
            return Err(status.into());
        }
        times.push(sent.elapsed());
    }
    Ok(times)
}

/// Reads an answer, and returns its first line.
fn answer(connection: &mut BufReader<TcpStream>) -> Result<String> {
    let (mut first, mut length) = (String::new(), 0);
    connection.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        connection.read_line(&mut line)?;
        match line.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", number)) => length = number.parse()?,
            Some(_) => {}
            None => break,
        }
    }
    connection.read_exact(&mut vec![0; length])?;
    Ok(first)
}

/// Spans as an agent has them, in a trace of their own.
fn batch(trace: u64, one_call_of: u64) -> ExportTraceServiceRequest {
    let spans = (0..BATCH).map(|number| span(trace, number, number % one_call_of == 0)).collect();
    let resource_spans = ResourceSpans {
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

fn span(trace: u64, number: u64, is_call: bool) -> Span {
    let text = |key: &str, value: String| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(Value::StringValue(value)) }),
        ..KeyValue::default()
    };
    let attributes = if is_call {
        vec![
            text("gen_ai.operation.name", "execute_tool".into()),
            text("gen_ai.tool.name", "search".into()),
            text("gen_ai.tool.call.id", format!("call_{trace}_{number}")),
            text("gen_ai.agent.name", "planner".into()),
            text("gen_ai.conversation.id", format!("conversation-{trace}")),
            text("gen_ai.tool.call.arguments", format!(r#"{{"query":"words to look for","page":{number}}}"#)),
            text("gen_ai.tool.call.result", "one of the results, ".repeat(20)),
        ]
    } else {
        vec![
            text("gen_ai.operation.name", "chat".into()),
            text("gen_ai.input.messages", "a part of the prompt, ".repeat(20)),
        ]
    };
    let start = 1_795_708_800_000_000_000 + number * 1_000_000;
    Span {
        trace_id: u128::from(trace).to_be_bytes().to_vec(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        parent_span_id: 4096_u64.to_be_bytes().to_vec(),
        name: "a span".into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + 500_000,
        attributes,
        ..Span::default()
    }
}

/// A running `audit otlp`.
struct Receiver {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    port: u16,
}

impl Receiver {
    fn start(audit: &Path, folder: &Path) -> Result<Self> {
        let mut command = Command::new(audit);
        command.args(["--backend", "jsonl", "--dir"]).arg(PathBuf::from(folder).join("events"));
        command.args(["otlp", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("it has no stderr")?);
        let mut first = String::new();
        lines.read_line(&mut first)?;
        let port = first.split_once("http://127.0.0.1:").and_then(|(_, rest)| rest.split(' ').next());
        let port = port.ok_or_else(|| format!("it does not listen: {first}"))?.parse()?;
        Ok(Self { child, lines, port })
    }

    /// In KiB.
    fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("the system does not tell")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Ends it, and returns how many events it says that it has recorded.
    fn end(&mut self) -> Result<u64> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest)?;
        self.child.wait()?;
        let recorded =
            rest.lines().find_map(|line| line.strip_prefix("audit: otlp: ")?.split(' ').next()?.parse().ok());
        recorded.ok_or_else(|| format!("it has no summary: {rest}").into())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
