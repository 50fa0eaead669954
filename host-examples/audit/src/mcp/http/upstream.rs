//! The server that requests are passed on to.

use std::time::Duration;

use axum::body::Body;
use axum::http::uri::{PathAndQuery, Uri};
use axum::http::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::http::causes;
use crate::message::Failure;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(15);

/// How long a connection stays open that nobody uses: less than the five seconds after which Node.js closes it.
const IDLE: Duration = Duration::from_secs(4);

enum Transport {
    Plain(Client<HttpConnector, Body>),
    Tls(Client<HttpsConnector<HttpConnector>, Body>),
}

pub(super) struct Upstream {
    transport: Transport,
    to: Uri,
}

impl Upstream {
    pub(super) fn new(to: &Uri) -> Result<Self, Failure> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        connector.enforce_http(false);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE).pool_timer(hyper_util::rt::TokioTimer::new());
        let transport = if to.scheme_str() == Some("https") {
            let tls = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| {
                Failure::because("--to: the certificates of this machine cannot be read", error)
            })?;
            let connector = tls.https_only().enable_http1().wrap_connector(connector);
            Transport::Tls(builder.build(connector))
        } else {
            Transport::Plain(builder.build(connector))
        };
        Ok(Self { transport, to: to.clone() })
    }

    /// The same path at the server. The root stands for the path of its URL.
    pub(super) fn uri(&self, uri: &Uri) -> Option<Uri> {
        let own = self.to.path_and_query();
        let path = uri.path_and_query().filter(|path| path.as_str() != "/").or(own);
        let mut parts = self.to.clone().into_parts();
        parts.path_and_query = path.cloned().or(Some(PathAndQuery::from_static("/")));
        Uri::from_parts(parts).ok()
    }

    /// The value of the header `Host`.
    pub(super) fn host(&self) -> &str {
        self.to.authority().map_or("", |authority| authority.as_str())
    }

    /// Its URL, without the query, in which there may be a secret.
    pub(super) fn shown(&self) -> String {
        let query = if self.to.query().is_some() { "?…" } else { "" };
        let scheme = self.to.scheme_str().unwrap_or_default();
        format!("{scheme}://{}{}{query}", self.host(), self.to.path())
    }

    /// The path and the query of a URL, if it is one of this server.
    pub(super) fn path_of(&self, url: &str) -> Option<String> {
        let scheme = self.to.scheme_str()?;
        let whole = if url.starts_with("//") { format!("{scheme}:{url}") } else { url.to_owned() };
        let uri: Uri = whole.parse().ok()?;
        let port =
            |uri: &Uri| uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let is_same = uri.scheme_str() == Some(scheme)
            && uri.host()?.eq_ignore_ascii_case(self.to.host()?)
            && port(&uri) == port(&self.to);
        is_same.then(|| uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string))
    }

    /// Passes a request on. The error says in words why there is no answer.
    pub(super) async fn request(&self, request: Request<Body>) -> Result<Response<Body>, String> {
        let answer = match &self.transport {
            Transport::Plain(client) => client.request(request).await,
            Transport::Tls(client) => client.request(request).await,
        };
        let silent = |error| format!("{} does not answer{}", self.shown(), causes(&error));
        answer.map(|answer| answer.map(Body::new)).map_err(silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_stands_for_the_path_of_the_server_and_other_paths_stay() {
        let upstream = Upstream::new(&Uri::from_static("http://h:3001/mcp?k=1")).ok().unwrap();
        let to = |path: &'static str| upstream.uri(&Uri::from_static(path)).unwrap().to_string();
        assert_eq!(to("/"), "http://h:3001/mcp?k=1");
        assert_eq!(to("/mcp"), "http://h:3001/mcp");
        assert_eq!(to("/.well-known/x?y=z"), "http://h:3001/.well-known/x?y=z");
        assert_eq!(upstream.host(), "h:3001");
        assert_eq!(upstream.shown(), "http://h:3001/mcp?…");
    }

    #[test]
    fn a_url_is_one_of_the_server_if_scheme_host_and_port_are_its() {
        let upstream = Upstream::new(&Uri::from_static("http://h/mcp")).ok().unwrap();
        for (url, path) in [
            ("http://h/mcp/?a=b", Some("/mcp/?a=b")),
            ("http://H:80", Some("/")),
            ("//h/x", Some("/x")),
            ("https://h/mcp/", None),
            ("http://h:81/mcp/", None),
            ("http://other/mcp/", None),
            ("/mcp/", None),
            ("", None),
        ] {
            assert_eq!(upstream.path_of(url).as_deref(), path, "{url}");
        }
    }
}
