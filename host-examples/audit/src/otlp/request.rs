//! What a request gets for an answer. 200 means that the store has all calls that the request told of.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::body::{self, Compression, Leave};
use super::export::{Export, MAX_CALLS, Names, Refusal, most_room};
use super::forward::{Collector, Passing};
use super::read::{Encoding, Signal};
use super::recorder::{Counts, Job, Message};
use super::reply::{Refused, Reply, taken};
use crate::call::input::Hasher;

/// How many bytes the calls of all requests may take until they are recorded.
const MAX_WAITING: usize = 256 << 20;

/// The unit in which this room is given, in bytes.
const UNIT: usize = 1024;

/// How long a request waits until its calls are recorded.
const MAX_TIME: Duration = Duration::from_secs(30);

/// What all requests share.
pub(super) struct Receiver {
    pub(super) names: Names,
    pub(super) hasher: Hasher,
    pub(super) counts: Arc<Counts>,
    pub(super) recorder: mpsc::Sender<Message>,
    pub(super) collector: Option<Collector>,
    leave: Leave,
    room: Arc<Semaphore>,
}

/// What the path of a request stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Export(Signal),
    /// They tell of no call. An exporter of all signals is content if they are taken.
    Metrics,
}

impl Receiver {
    pub(super) fn new(
        names: Names,
        hasher: Hasher,
        counts: Arc<Counts>,
        recorder: mpsc::Sender<Message>,
        collector: Option<Collector>,
    ) -> Self {
        let room = Arc::new(Semaphore::new(MAX_WAITING / UNIT));
        Self { names, hasher, counts, recorder, collector, leave: Leave::default(), room }
    }

    /// Answers a request. `has_come` is called once all of it has come.
    pub(super) async fn answer(&self, mut request: Request<Incoming>, has_come: impl Fn()) -> Reply {
        let encoding = encoding(request.headers());
        let reply = self
            .try_to_answer(&mut request, encoding, has_come)
            .await
            .unwrap_or_else(|refused| refused.reply(encoding));
        if reply.status().is_client_error() || reply.status().is_server_error() {
            body::discard(&mut request).await;
        }
        reply
    }

    async fn try_to_answer(
        &self,
        request: &mut Request<Incoming>,
        encoding: Option<Encoding>,
        has_come: impl Fn(),
    ) -> Result<Reply, Refused> {
        refuse_browsers(request.headers())?;
        if let Some(collector) = &self.collector {
            collector.refuse_loop(request.headers())?;
        }
        let target = target(request.method(), request.uri().path());
        // Without a collector, a body that cannot be read anyway need not come first.
        let readable = target.clone().and_then(|target| {
            let encoding = encoding.ok_or_else(|| unknown_type(request.headers()))?;
            Ok((target, encoding, Compression::of(request.headers())?))
        });
        if self.collector.is_none() {
            readable.clone()?;
        }
        let (body, mut granted) = body::read(request, &self.leave).await?;
        has_come();
        let recorded = match readable {
            Ok((Target::Export(signal), encoding, compression)) => {
                match body::decompress(body.clone(), compression, &self.leave, &mut granted).await {
                    Ok(plain) => self.record(signal, encoding, plain).await,
                    Err(refused) => Err(refused),
                }
            }
            Ok((Target::Metrics, encoding, _)) => Ok(taken(None, encoding, 0)),
            Err(refused) => Err(refused),
        };
        match &self.collector {
            // The client tries again, and the collector then gets the request once.
            Some(_) if matches!(&recorded, Err(refused) if refused.status == StatusCode::SERVICE_UNAVAILABLE) => {
                recorded
            }
            Some(collector) => {
                let passed = collector.pass(passing(request, body)).await?;
                // What the collector refuses is not hidden, and neither is what cannot be recorded.
                if passed.status().is_success() && target.is_ok() {
                    recorded.map(|_| passed)
                } else {
                    Ok(passed)
                }
            }
            None => recorded,
        }
    }

    /// Records the calls of an export. What is answered is true once it returns.
    async fn record(&self, signal: Signal, encoding: Encoding, body: Bytes) -> Result<Reply, Refused> {
        let busy = |why: &str| {
            Refused::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not all is recorded, send it again: {why}"),
            )
        };
        let (names, hasher) = (self.names.clone(), self.hasher.clone());
        // Before they are there.
        let mut room = timeout(MAX_TIME, self.room(most_room(body.len())))
            .await
            .map_err(|_| busy("too much waits to be recorded"))??;
        let read = move || Export::read(signal, encoding, &body, &names, &hasher).map_err(refused);
        let export = body::on_thread(read).await?;
        // What it does not need is for others.
        drop(room.split(room.num_permits().saturating_sub(units(export.room))));
        let rejected = export.rejected;
        self.counts.forgotten.fetch_add(export.forgotten, Ordering::Relaxed);
        self.counts.rejected.fetch_add(rejected, Ordering::Relaxed);
        let recording = async {
            let (answer, answered) = oneshot::channel();
            let ended = |_| busy("the program ends");
            self.recorder
                .send(Message::Export(Job { export, answer, room }))
                .await
                .map_err(|_| busy("the program ends"))?;
            answered.await.map_err(ended)?.map_err(|why| busy(&why.0))
        };
        timeout(MAX_TIME, recording).await.map_err(|_| busy("the store takes too long"))??;
        Ok(taken(Some(signal), encoding, rejected))
    }

    /// Room of so many bytes for calls.
    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refused> {
        let units = u32::try_from(units(bytes).min(MAX_WAITING / UNIT)).unwrap_or(u32::MAX);
        let ended = |_| {
            Refused::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not all is recorded, send it again: the program ends",
            )
        };
        Arc::clone(&self.room).acquire_many_owned(units).await.map_err(ended)
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

fn refused(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::Undecodable(why) => Refused::new(StatusCode::BAD_REQUEST, why),
        Refusal::TooManyCalls => {
            let why = format!("the export has more than {MAX_CALLS} calls of tools; send smaller batches");
            Refused::new(StatusCode::PAYLOAD_TOO_LARGE, why)
        }
    }
}

/// A page in a browser may be anybody's. A browser says that it is one.
fn refuse_browsers(headers: &HeaderMap) -> Result<(), Refused> {
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Err(Refused::new(StatusCode::FORBIDDEN, "requests of web pages are not accepted"));
    }
    Ok(())
}

fn target(method: &Method, path: &str) -> Result<Target, Refused> {
    let target = match path {
        "/v1/traces" => Target::Export(Signal::Traces),
        "/v1/logs" => Target::Export(Signal::Logs),
        "/v1/metrics" => Target::Metrics,
        _ => {
            let why = "there is nothing here; OTLP is accepted at /v1/traces and /v1/logs, and metrics at /v1/metrics are forgotten";
            return Err(Refused::new(StatusCode::NOT_FOUND, why));
        }
    };
    if method != Method::POST {
        return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "accepted is POST"));
    }
    Ok(target)
}

/// The encoding that the type of the body names. None: it is none of OTLP's.
fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    match value.split(';').next()?.trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

fn unknown_type(headers: &HeaderMap) -> Refused {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let hint = if value.starts_with(b"application/grpc") {
        "; set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf"
    } else {
        ""
    };
    let why = format!("Content-Type: accepted are application/x-protobuf and application/json{hint}");
    Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why)
}

fn passing(request: &Request<Incoming>, body: Bytes) -> Passing {
    Passing {
        method: request.method().clone(),
        uri: request.uri().clone(),
        headers: request.headers().clone(),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_body_may_have_parameters_and_any_case() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            encoding(&headers)
        };
        assert_eq!(of("application/JSON; charset=utf-8"), Some(Encoding::Json));
        assert_eq!(of("application/x-protobuf"), Some(Encoding::Protobuf));
        // A page may send these without asking first.
        for simple in ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded"] {
            assert_eq!(of(simple), None);
        }
    }

    #[test]
    fn another_path_or_method_is_told_what_is_accepted() {
        let status = |method: Method, path: &str| target(&method, path).map_err(|refused| refused.status);
        assert_eq!(status(Method::POST, "/v1/traces"), Ok(Target::Export(Signal::Traces)));
        assert_eq!(status(Method::GET, "/v1/logs"), Err(StatusCode::METHOD_NOT_ALLOWED));
        assert_eq!(status(Method::OPTIONS, "/v1/traces"), Err(StatusCode::METHOD_NOT_ALLOWED));
        assert_eq!(status(Method::POST, "/"), Err(StatusCode::NOT_FOUND));
        assert_eq!(status(Method::POST, "/v1/traces/.."), Err(StatusCode::NOT_FOUND));
    }
}
