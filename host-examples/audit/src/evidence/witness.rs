//! Asks a witness over HTTP (C2SP tlog-witness).

use std::future::Future;
use std::time::Duration;

use audit_evidence::CosignerKey;
use audit_evidence::publish::Post;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::uri::Scheme;
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::http::causes;
use crate::message::Failure;

/// How long a witness may take.
const MAX_TIME: Duration = Duration::from_secs(10);

/// The longest answer, in bytes: a hundred cosignatures have less.
const MAX_ANSWER: usize = 64 << 10;

/// The path at which a witness takes checkpoints.
const PATH: &str = "/add-checkpoint";

/// A witness, and how to reach it.
pub(super) struct Witness {
    pub(super) key: CosignerKey,
    uri: Uri,
    runtime: Runtime,
    client: Connected,
}

/// Only TLS needs the system's certificates.
enum Connected {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Witness {
    pub(super) fn new(url: &str, key: CosignerKey) -> Result<Self, Failure> {
        let uri = uri_of(url).map_err(|why| {
            let accepted = "accepted is the URL of a witness, such as https://witness.example.org";
            Failure::because("--witness", format_args!("{why}; {accepted}"))
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = if uri.scheme() == Some(&Scheme::HTTPS) {
            let connector = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| {
                Failure::because("--witness: the certificates of this machine cannot be read", error)
            })?;
            let connector = connector.https_only().enable_http1().build();
            Connected::Tls(Client::builder(TokioExecutor::new()).build(connector))
        } else {
            Connected::Plain(Client::builder(TokioExecutor::new()).build_http())
        };
        Ok(Self { key, uri, runtime, client })
    }

    fn ask(&self, body: String) -> impl Future<Output = Result<(u16, Vec<u8>), String>> {
        let mut request = Request::post(self.uri.clone()).body(Full::new(Bytes::from(body)));
        if let Ok(request) = &mut request {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        }
        async {
            let request = request.map_err(|error| error.to_string())?;
            let answer = match &self.client {
                Connected::Plain(client) => client.request(request).await,
                Connected::Tls(client) => client.request(request).await,
            };
            let (head, body) = answer.map_err(|error| format!("{error}{}", causes(&error)))?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
            Ok((head.status.as_u16(), body.to_bytes().into()))
        }
    }
}

impl Post for Witness {
    fn post(&mut self, body: String) -> Result<(u16, Vec<u8>), String> {
        let slow = |_| format!("it does not answer within {} s", MAX_TIME.as_secs());
        self.runtime.block_on(async { timeout(MAX_TIME, self.ask(body)).await.map_err(slow)? })
    }
}

/// Where a witness of this URL takes checkpoints.
fn uri_of(url: &str) -> Result<Uri, String> {
    let uri = url.parse::<Uri>().map_err(|error| error.to_string())?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err("it has no scheme or no host".into());
    };
    if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
        return Err("it is neither http nor https".into());
    }
    if authority.as_str().contains('@') {
        return Err("it has a user or a password, which a witness has no use for".into());
    }
    if uri.query().is_some() {
        return Err("it has a query".into());
    }
    let path = uri.path().trim_end_matches('/');
    let path = if path.ends_with(PATH) { path.to_owned() } else { format!("{path}{PATH}") };
    Uri::builder()
        .scheme(scheme.clone())
        .authority(authority.clone())
        .path_and_query(path)
        .build()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_takes_checkpoints_below_its_url() {
        for (url, expected) in [
            ("https://witness.example.org", "https://witness.example.org/add-checkpoint"),
            ("http://127.0.0.1:8080/w/", "http://127.0.0.1:8080/w/add-checkpoint"),
            ("https://witness.example.org/add-checkpoint", "https://witness.example.org/add-checkpoint"),
        ] {
            assert_eq!(uri_of(url).unwrap(), expected);
        }
        for url in ["", "witness", "ftp://host", "http://u:secret@host", "https://host/?a=b"] {
            let refused = uri_of(url).unwrap_err();
            assert!(!refused.contains("secret"), "{url}: {refused}");
        }
    }
}
