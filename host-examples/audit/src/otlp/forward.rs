//! Passes requests on to the collector that was there before, as they came, and its answers back.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::process;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use super::reply::{Refused, Reply};
use crate::http::{causes, remove_hop_by_hop};
use crate::message::Failure;

/// How long the collector may take. Clients wait for ten seconds by default.
const MAX_TIME: Duration = Duration::from_secs(8);

/// The longest answer of the collector, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// The headers that the client of this module sets itself.
const OWN: [HeaderName; 3] = [header::CONTENT_LENGTH, header::EXPECT, header::HOST];

/// The header that names the programs that have passed a request on, so that none passes it on twice.
const PASSED_ON_BY: HeaderName = HeaderName::from_static("audit-forwarded-by");

/// The collector.
#[derive(Debug)]
pub(super) struct Collector {
    /// What this process calls itself in [`PASSED_ON_BY`].
    own: HeaderValue,
    scheme: Scheme,
    authority: Authority,
    /// What stands before the path of a request; without a slash at the end.
    prefix: String,
    client: Connected,
}

/// Only TLS needs the system's certificates.
#[derive(Debug)]
enum Connected {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// A request to be passed on.
pub(super) struct Passing {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Collector {
    pub(super) fn new(url: &str) -> Result<Self, Failure> {
        let refuse = |why: &str| {
            let accepted = "accepted is the URL of a collector, such as http://127.0.0.1:4319";
            Failure::because("--forward", format!("{why}; {accepted}"))
        };
        let parts = url.parse::<Uri>().map_err(|error| refuse(&error.to_string()))?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(refuse("it has no scheme or no host"));
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(refuse("it is neither http nor https"));
        }
        if authority.as_str().contains('@') {
            return Err(refuse("it has a user or a password, which belong into the headers of who sends"));
        }
        let path = parts.path_and_query.unwrap_or(PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err(refuse("it has a query"));
        }
        let client = if scheme == Scheme::HTTPS {
            let connector = HttpsConnectorBuilder::new()
                .with_native_roots()
                .map_err(|error| refuse(&format!("the system's certificates cannot be read: {error}")))?
                .https_only()
                .enable_http1()
                .build();
            Connected::Tls(Client::builder(TokioExecutor::new()).build(connector))
        } else {
            Connected::Plain(Client::builder(TokioExecutor::new()).build_http())
        };
        let own = RandomState::new().hash_one(process::id());
        let own =
            HeaderValue::from_str(&format!("{own:016x}")).map_err(|error| refuse(&error.to_string()))?;
        Ok(Self { own, scheme, authority, prefix: path.path().trim_end_matches('/').to_owned(), client })
    }

    /// Refuses the address on which this program listens. A name that is not found now may be later.
    pub(super) fn refuse_itself(&self, listens: SocketAddr) -> Result<(), Failure> {
        let is_https = self.scheme == Scheme::HTTPS;
        let port = self.authority.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        if port != listens.port() {
            return Ok(());
        }
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_own = |address: IpAddr| {
            let is_here = |address: IpAddr| address.is_loopback() || address.is_unspecified();
            // Whoever listens on all addresses does so on each of this machine.
            address == listens.ip()
                || (address.is_unspecified() && is_here(listens.ip()))
                || (listens.ip().is_unspecified() && (is_here(address) || is_of_this_machine(address)))
        };
        let found = (host, port).to_socket_addrs();
        if found.is_ok_and(|mut found| found.any(|address| is_own(address.ip().to_canonical()))) {
            let why = format!(
                "it leads back to {listens}, where this listens; accepted is the URL of another collector, such as \
                 http://127.0.0.1:4319"
            );
            return Err(Failure::because("--forward", why));
        }
        Ok(())
    }

    /// Refuses a request that this process has passed on already.
    pub(super) fn refuse_loop(&self, headers: &HeaderMap) -> Result<(), Refused> {
        // Who stands between may have put several of them into one line.
        let is_own = |value: &HeaderValue| {
            let own = self.own.as_bytes();
            value.as_bytes().split(|byte| *byte == b',').any(|name| name.trim_ascii() == own)
        };
        if headers.get_all(PASSED_ON_BY).iter().any(is_own) {
            let why = "--forward leads back to this program; give it the URL of another collector";
            return Err(Refused::new(StatusCode::LOOP_DETECTED, why));
        }
        Ok(())
    }

    /// Passes a request on, and returns the answer of the collector, whatever it says.
    pub(super) async fn pass(&self, passing: Passing) -> Result<Reply, Refused> {
        let bad =
            |why: String| Refused::new(StatusCode::BAD_GATEWAY, format!("the collector of --forward: {why}"));
        let Passing { method, uri, headers, body } = passing;
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let target = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.prefix))
            .build();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target.map_err(|error| bad(error.to_string()))?;
        *request.headers_mut() = end_to_end(headers);
        request.headers_mut().append(PASSED_ON_BY, self.own.clone());
        let answer = async {
            let answer = match &self.client {
                Connected::Plain(client) => client.request(request).await,
                Connected::Tls(client) => client.request(request).await,
            };
            let answer = answer.map_err(|error| bad(format!("{error}{}", causes(&error))))?;
            let (mut head, body) = answer.into_parts();
            let body =
                Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| bad(error.to_string()))?;
            head.headers = end_to_end(head.headers);
            Ok(Reply::from_parts(head, Full::new(body.to_bytes())))
        };
        let slow =
            |_| Refused::new(StatusCode::GATEWAY_TIMEOUT, "the collector of --forward does not answer");
        timeout(MAX_TIME, answer).await.map_err(slow)?
    }
}

/// Whether the address is one of this machine: only on such a one a socket can be opened.
fn is_of_this_machine(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// The headers that are passed on.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    remove_hop_by_hop(&mut headers);
    for name in OWN {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_connection_are_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("host", "localhost"),
            ("transfer-encoding", "chunked"),
            ("authorization", "Bearer secret"),
            ("content-encoding", "gzip"),
        ] {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        let passed = end_to_end(headers);
        let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "content-encoding"]);
    }

    #[test]
    fn a_url_that_is_none_of_a_collector_is_refused_with_what_is_accepted() {
        for url in
            ["", "collector", "/v1", "ftp://host", "http://u:secret@host", "http://host/?a=b", "http://"]
        {
            let refused = Collector::new(url).err().unwrap().into_reason();
            assert!(
                refused.contains("accepted is the URL") && !refused.contains("secret"),
                "{url}: {refused}"
            );
        }
        let listens = |address: &str| address.parse().unwrap();
        for (url, address, expected) in [
            ("http://127.0.0.1:4318", "127.0.0.1:4318", false),
            ("http://localhost:4318/v1", "127.0.0.1:4318", false),
            ("http://0.0.0.0:4318", "127.0.0.1:4318", false),
            ("http://127.0.0.1:4318", "0.0.0.0:4318", false),
            ("https://127.0.0.1", "127.0.0.1:443", false),
            ("http://[::ffff:127.0.0.1]:4318", "127.0.0.1:4318", false),
            ("http://127.0.0.1:4319", "127.0.0.1:4318", true),
            ("http://192.0.2.1:4318", "0.0.0.0:4318", true),
            ("http://192.0.2.1:4318", "127.0.0.1:4318", true),
        ] {
            let refused = Collector::new(url).ok().unwrap().refuse_itself(listens(address));
            assert_eq!(refused.is_ok(), expected, "{url} {address}");
        }
        let collector = Collector::new("https://host:4319/otlp/").ok().unwrap();
        let mut headers = HeaderMap::new();
        for (value, is_loop) in [("another", false), (collector.own.to_str().unwrap(), true)] {
            headers.insert(PASSED_ON_BY, format!("0, {value} ,1").parse().unwrap());
            assert_eq!(collector.refuse_loop(&headers).is_err(), is_loop, "{headers:?}");
        }
        assert_eq!((collector.prefix.as_str(), collector.authority.as_str()), ("/otlp", "host:4319"));
    }
}
