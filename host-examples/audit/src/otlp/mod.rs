//! `audit otlp`: receives what agents tell through OpenTelemetry, and records the calls of tools in it.
//!
//! A request is read (`read`), the calls in it are recognised (`recognise`), those of one call become one (`collate`), and it is
//! answered once the store has them (`recorder`).

mod attributes;
mod body;
mod collate;
mod export;
mod forward;
pub mod inputs;
mod lineage;
mod read;
mod recognise;
mod recorder;
mod reply;
mod request;
mod says_error;
mod serve;
mod sighting;
mod traits;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use audit_host::{AuditStore, Status};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use self::export::Names;
use self::forward::Collector;
use self::recorder::{Counts, Message, Recorder};
use self::request::Receiver;
use self::sighting::Defaults;
use crate::args::{OtlpArgs, StoreArgs};
use crate::call::recent::Recent;
use crate::end;
use crate::message::{Failure, TROUBLE, count, warn};

/// How many requests may wait for the thread that records.
const QUEUE: usize = 64;

/// How many threads read and decompress at a time.
const READERS: usize = 4;

pub(super) fn run(args: OtlpArgs, store: StoreArgs) -> Result<ExitCode, Failure> {
    let hasher = args.hash.hasher()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(READERS)
        .enable_all()
        .build()?;
    let collector = args.forward.as_deref().map(Collector::new).transpose()?;
    let listener = runtime
        .block_on(TcpListener::bind(args.listen))
        .map_err(|error| Failure::because(format!("--listen: cannot listen on {}", args.listen), error))?;
    let address = listener.local_addr()?;
    collector.as_ref().map_or(Ok(()), |collector| collector.refuse_itself(address))?;
    let end = runtime.block_on(async { end::told() })?;
    let keeps_nothing = store.keeps_nothing();
    let options = store.options()?.no_call_limit();
    let store = AuditStore::open(options.clone())?;
    let recent = Recent::beside(&options, keeps_nothing);
    let counts = Arc::new(Counts::default());
    let names = Names::default();
    let (recorder, messages) = mpsc::channel(QUEUE);
    let defaults = Defaults {
        workspace: args.workspace.unwrap_or_default(),
        agent: args.agent.unwrap_or_default(),
        user: args.user.unwrap_or_default(),
    };
    let wait = Duration::from_millis(args.wait);
    let recording = Recorder::new(store.handle(), wait, names.clone(), defaults, Arc::clone(&counts), recent);
    let handle = runtime.handle().clone();
    let recording =
        thread::Builder::new().name("otlp-record".into()).spawn(move || recording.run(messages, &handle))?;
    let status = store.status()?;
    let place = if status.jsonl_dir.is_empty() { String::new() } else { format!(" in {}", status.jsonl_dir) };
    let onward = args.forward.as_deref().map(|url| format!(", and forwards to {url}")).unwrap_or_default();
    warn(format_args!("otlp listens on http://{address} and records ({}){place}{onward}", status.requested));
    if !address.ip().is_loopback() {
        warn("otlp: whoever can reach this address can add events to the record");
    }

    let receiver = Arc::new(Receiver::new(names, hasher, Arc::clone(&counts), recorder.clone(), collector));
    runtime.block_on(async {
        let end = async {
            tokio::select! {
                () = end => {}
                // Without the thread that records, there is nothing more to do.
                () = recorder.closed() => {}
            }
            // Those that wait for more of their calls are answered now.
            let _ = recorder.send(Message::Hurry).await;
        };
        serve::serve(listener, receiver, end).await;
    });
    // The thread ends once nobody sends to it, and needs the runtime until then.
    drop(recorder);
    let panicked = recording.join().is_err();
    runtime.shutdown_timeout(Duration::from_secs(1));
    let status = store.close()?;
    Ok(summarise(&counts, &status, panicked))
}

/// Says what became of everything.
fn summarise(counts: &Counts, status: &Status, panicked: bool) -> ExitCode {
    let get = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    let lost = status.counts.dropped.unwritable + status.counts.dropped.invalid;
    let mut summary = format!(
        "{} recorded, {} of calls that were recorded before, {} of no call forgotten, {} rejected",
        count(get(&counts.recorded), "event"),
        get(&counts.known),
        get(&counts.forgotten),
        get(&counts.rejected),
    );
    if lost > 0 {
        summary += &format!(", {lost} not taken by the store");
    }
    warn(format_args!("otlp: {summary}"));
    ExitCode::from(if lost > 0 || panicked { TROUBLE } else { 0 })
}
