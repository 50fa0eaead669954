//! One exchange: a request of a client, passed on, and its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use http_body_util::{BodyExt as _, Limited};

use super::allowed::Allowed;
use super::body::{Answer, Tap, Upload};
use super::upstream::Upstream;
use crate::http::remove_hop_by_hop;
use crate::mask::masked;
use crate::mcp::observer::{Framing, Observer, Stream};
use crate::mcp::tracker::{Closed, Moment, Place, Sender};
use crate::mcp::watch::Watch;
use crate::message::warn;

/// The longest request, in bytes, that is held until it is recorded. A longer one is refused.
const MAX_HELD: usize = 64 << 20;

/// How long the client may take to send the rest of a request that the server does not take.
const UPLOAD: Duration = Duration::from_secs(10);

/// The session of a client, until 2025-11-25.
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

pub(super) struct Proxy {
    allowed: Allowed,
    upstream: Upstream,
    watch: Arc<Watch>,
    observer: Observer,
    fail_closed: bool,
    exchanges: AtomicU64,
    has_told_charset: AtomicBool,
}

/// An exchange until its end, which is the client's doing unless something else is said.
pub(super) struct Exchange {
    observer: Observer,
    place: Place,
    /// What the status of the answer says of its end.
    status: Option<Closed>,
    closed: Closed,
}

impl Exchange {
    /// The answer has ended.
    pub(super) fn end(mut self, closed: Closed) {
        self.closed = match (closed, self.status) {
            (Closed::ByServer, Some(status)) => status,
            _ => closed,
        };
    }

    fn stream(&self, sender: Sender, framing: Framing) -> Stream {
        Stream { number: self.place.exchange << 1 | sender as u64, place: self.place, sender, framing }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let (place, closed) = (self.place, self.closed);
        self.observer.work(move |tracker, now| tracker.end_exchange(place, closed, now));
    }
}

/// Passes a request on, and its answer back.
pub(super) async fn pass_on(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Err((status, reason)) = proxy.allowed.check(&parts.uri, &parts.headers) {
        return text(status, &reason);
    }
    let Some(uri) = proxy.upstream.uri(&parts.uri) else {
        return text(StatusCode::BAD_REQUEST, "the path is not valid");
    };
    let session = parts.headers.get(&SESSION).and_then(|id| id.to_str().ok()).map(str::to_owned);
    let exchange = proxy.begin(session.as_deref());
    let ends_session = session.clone().filter(|_| parts.method == Method::DELETE);
    let form = Form::of(&parts.headers);
    let mut upload = None;
    // A server may take a message whatever the method.
    let body = match (!body.is_end_stream(), proxy.fail_closed) {
        (false, _) => body,
        (true, true) => match proxy.admit(&exchange, body, form).await {
            Ok(body) => body,
            Err(response) => {
                exchange.end(Closed::ByServer);
                return *response;
            }
        },
        (true, false) if form == Form::Encoded => {
            warn("a request of the client has a content coding, and was passed on without a record");
            body
        }
        (true, false) => {
            if form == Form::OtherCharset && !proxy.has_told_charset.swap(true, Ordering::Relaxed) {
                warn("a request of the client has another charset than UTF-8: a call in it may be missing");
            }
            let tap = Tap::new(&proxy.observer, exchange.stream(Sender::Client, Framing::Whole));
            let observed = Upload::new(body, tap);
            upload = Some(observed.clone());
            Body::new(observed)
        }
    };
    parts.uri = uri;
    proxy.change_headers(&mut parts.headers);
    // The connection to the server has a version of its own.
    parts.version = Default::default();
    match proxy.upstream.request(Request::from_parts(parts, body)).await {
        Ok(answer) => proxy.answer(exchange, answer, session.is_none(), ends_session),
        Err(reason) => {
            let reason = masked(&reason);
            warn(&reason);
            if let Some(upload) = upload {
                let _ = tokio::time::timeout(UPLOAD, upload.finish()).await;
            }
            exchange.end(Closed::Broken);
            text(StatusCode::BAD_GATEWAY, &reason)
        }
    }
}

impl Proxy {
    pub(super) fn new(
        allowed: Allowed,
        upstream: Upstream,
        watch: Arc<Watch>,
        observer: Observer,
        fail_closed: bool,
    ) -> Self {
        Self {
            allowed,
            upstream,
            watch,
            observer,
            fail_closed,
            exchanges: AtomicU64::new(1),
            has_told_charset: AtomicBool::new(false),
        }
    }

    fn begin(&self, session: Option<&str>) -> Exchange {
        let channel = {
            let mut tracker = self.watch.tracker();
            session.map_or_else(|| None, |id| Some(tracker.session(id))).unwrap_or_else(|| tracker.channel())
        };
        let exchange = self.exchanges.fetch_add(1, Ordering::Relaxed);
        let place = Place { channel, exchange };
        Exchange { observer: self.observer.clone(), place, status: None, closed: Closed::ByClient }
    }

    /// Records what a request begins, before it may go on. Else the answer for the client.
    async fn admit(&self, exchange: &Exchange, body: Body, form: Form) -> Result<Body, Box<Response>> {
        let refuse = |status, reason: &str| Err(Box::new(text(status, reason)));
        if let Some(reason) = form.refusal() {
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason);
        }
        let Ok(held) = Limited::new(body, MAX_HELD).collect().await else {
            let reason =
                format!("a request of more than {MAX_HELD} bytes cannot be recorded before it goes on");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, &reason);
        };
        let (held, now, place) = (held.to_bytes(), Moment::now(), exchange.place);
        if held.trim_ascii().is_empty() {
            return Ok(Body::from(held));
        }
        let (watch, observer, message) = (Arc::clone(&self.watch), self.observer.clone(), held.clone());
        let admitted = tokio::task::spawn_blocking(move || {
            // Who the client of a session is, stands in an answer that passed before.
            observer.settle();
            let mut sketcher = watch.sketcher();
            sketcher.push(&message);
            watch.admit(place, sketcher.finish(), Some(&message), None, now)
        });
        match admitted.await {
            Ok(Ok(())) => Ok(Body::from(held)),
            Ok(Err(answer)) if answer.is_empty() => {
                refuse(StatusCode::FORBIDDEN, "the message could not be recorded, and was not passed on")
            }
            Ok(Err(answer)) => {
                let mut response = Response::new(Body::from(answer));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                Err(Box::new(response))
            }
            Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the message could not be recorded"),
        }
    }

    fn change_headers(&self, headers: &mut HeaderMap) {
        remove_hop_by_hop(headers);
        // What the server compresses cannot be observed.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        match HeaderValue::from_str(self.upstream.host()) {
            Ok(host) => drop(headers.insert(header::HOST, host)),
            Err(_) => drop(headers.remove(header::HOST)),
        }
    }

    /// A client that is sent to the server's own URL shall stay with this program.
    fn change_location(&self, headers: &mut HeaderMap) {
        let Some(location) = headers.get(header::LOCATION).and_then(|location| location.to_str().ok()) else {
            return;
        };
        if let Some(path) = self.upstream.path_of(location).and_then(|path| path.parse().ok()) {
            headers.insert(header::LOCATION, path);
        }
    }

    fn answer(
        &self,
        mut exchange: Exchange,
        answer: Response,
        may_begin_session: bool,
        ends_session: Option<String>,
    ) -> Response {
        let (mut parts, body) = answer.into_parts();
        remove_hop_by_hop(&mut parts.headers);
        self.change_location(&mut parts.headers);
        let status = parts.status;
        exchange.status = match status {
            StatusCode::ACCEPTED => Some(Closed::Accepted),
            _ if status.is_success() => None,
            _ => Some(Closed::Status(status.as_u16())),
        };
        let (place, channel) = (exchange.place, exchange.place.channel);
        if let Some(closed) = exchange.status {
            self.observer.work(move |tracker, _| tracker.answer_begins(place, closed));
        }
        if !may_begin_session && !status.is_client_error() && !status.is_server_error() {
            self.observer.work(move |tracker, _| tracker.accept_session(channel));
        }
        let begun = parts.headers.get(&SESSION).and_then(|id| id.to_str().ok()).map(str::to_owned);
        if let Some(id) = begun.filter(|_| may_begin_session) {
            self.observer.work(move |tracker, _| tracker.begin_session(channel, &id));
        }
        if let Some(id) = ends_session.filter(|_| status.is_success()) {
            self.observer.work(move |tracker, now| tracker.end_session(&id, now));
        }
        let framing = framing(&parts.headers);
        if framing.is_some() && is_encoded(&parts.headers) {
            warn(
                "an answer of the server has a content coding that it was not asked for, and is not observed",
            );
            self.observer.work(move |tracker, _| tracker.missed(channel));
        }
        let framing = framing.filter(|_| !is_encoded(&parts.headers));
        let tap = framing.map(|framing| Tap::new(&self.observer, exchange.stream(Sender::Server, framing)));
        Response::from_parts(parts, Body::new(Answer::new(body, tap, exchange)))
    }
}

fn text(status: StatusCode, reason: &str) -> Response {
    let mut response = Response::new(Body::from(Bytes::from(format!("audit: {reason}\n"))));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// How the text of a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Utf8,
    /// With a content coding.
    Encoded,
    /// In a charset in which the same bytes may be another text.
    OtherCharset,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        if is_encoded(headers) {
            return Self::Encoded;
        }
        let kinds = headers.get_all(header::CONTENT_TYPE);
        let mut kinds =
            kinds.iter().map(|kind| String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase());
        let is_known = |charset: &str| matches!(charset, "utf-8" | "utf8" | "us-ascii" | "ascii");
        let is_other = |kind: String| {
            let charset = |part: &str| {
                let name = part.trim_start_matches(|c: char| c == '*' || c == '=' || c.is_whitespace());
                let name = name.split([';', ',']).next().unwrap_or_default();
                name.trim_matches(|c: char| c == '"' || c == '\'' || c.is_whitespace()).to_owned()
            };
            kind.split("charset").skip(1).any(|part| !is_known(&charset(part)))
        };
        if kinds.any(is_other) { Self::OtherCharset } else { Self::Utf8 }
    }

    /// Why it cannot be recorded before it goes on.
    fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Utf8 => None,
            Self::Encoded => Some("a request with a content coding cannot be recorded"),
            Self::OtherCharset => Some("a request in another charset than UTF-8 cannot be recorded"),
        }
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let is_other = |coding: &HeaderValue| !coding.as_bytes().eq_ignore_ascii_case(b"identity");
    headers.get_all(header::CONTENT_ENCODING).iter().any(is_other)
}

/// How messages follow each other in a body. None: there are none.
fn framing(headers: &HeaderMap) -> Option<Framing> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    match kind.split(';').next()?.trim().to_ascii_lowercase().as_str() {
        "application/json" => Some(Framing::Whole),
        "text/event-stream" => Some(Framing::Events),
        _ => None,
    }
}
