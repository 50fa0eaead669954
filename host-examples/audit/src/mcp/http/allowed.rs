//! Who may call: programs of this machine, and web pages of this machine. A web page of another could otherwise call through the
//! browser of whoever looks at it, under a name of its own that it lets stand for this machine (DNS rebinding).

use std::net::SocketAddr;

use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderMap, StatusCode, header};

use crate::args::HttpArgs;

/// The names of this machine for itself.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

pub(super) struct Allowed {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Allowed {
    pub(super) fn new(address: SocketAddr, args: &HttpArgs) -> Self {
        let own = match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        let given = args.allow_host.iter().map(|host| name_of(host));
        let hosts = LOCAL.map(str::to_owned).into_iter().chain([own]).chain(given);
        let hosts = hosts.filter(|host| !host.is_empty()).collect();
        let origin = |origin: &String| origin.trim_end_matches('/').to_ascii_lowercase();
        Self { hosts, origins: args.allow_origin.iter().map(origin).collect() }
    }

    /// Why a request is refused.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), (StatusCode, String)> {
        for name in [header::HOST, header::ORIGIN] {
            if headers.get_all(&name).iter().count() > 1 {
                return Err((StatusCode::BAD_REQUEST, format!("the header {name} is there several times")));
            }
        }
        self.check_each(uri, headers).map_err(|reason| (StatusCode::FORBIDDEN, reason))
    }

    fn check_each(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
        let text =
            |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let host =
            uri.authority().map(ToString::to_string).or_else(|| text(header::HOST)).unwrap_or_default();
        if !self.hosts.contains(&name_of(&host)) {
            return Err(format!("the host {host:?} is not allowed; --allow-host allows it"));
        }
        match text(header::ORIGIN) {
            Some(origin) if !self.is_allowed(&origin) => {
                Err(format!("the origin {origin:?} is not allowed; --allow-origin allows it"))
            }
            _ => Ok(()),
        }
    }

    fn is_allowed(&self, origin: &str) -> bool {
        let uri: Option<Uri> = origin.parse().ok();
        let is_local = uri.is_some_and(|uri| {
            let host = uri.authority().map(|authority| name_of(authority.as_str()));
            matches!(uri.scheme_str(), Some("http" | "https"))
                && host.is_some_and(|host| LOCAL.contains(&host.as_str()))
        });
        is_local || self.origins.contains(&origin.to_ascii_lowercase())
    }
}

/// The name without a port, in lower case. Empty: it is none.
fn name_of(host: &str) -> String {
    let authority: Option<Authority> = host.parse().ok().filter(|_| !host.contains('@'));
    authority.map(|authority| authority.host().to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(args: &HttpArgs, host: &str, origin: Option<&str>) -> bool {
        let allowed = Allowed::new("127.0.0.1:8080".parse().unwrap(), args);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        allowed.check(&Uri::from_static("/mcp"), &headers).is_ok()
    }

    #[test]
    fn only_names_and_pages_of_this_machine_are_allowed_unless_others_are_given() {
        let none = HttpArgs::default();
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080"] {
            assert!(allows(&none, host, None), "{host}");
        }
        for host in ["", "evil.example", "127.0.0.1.evil.example:8080", "localhost@evil.example", "[::2]"] {
            assert!(!allows(&none, host, None), "{host}");
        }
        for origin in ["http://localhost:6274", "https://127.0.0.1", "http://[::1]:3000"] {
            assert!(allows(&none, "localhost", Some(origin)), "{origin}");
        }
        for origin in
            ["null", "", "https://evil.example", "http://localhost.evil.example", "file://localhost"]
        {
            assert!(!allows(&none, "localhost", Some(origin)), "{origin}");
        }
        let given = HttpArgs {
            allow_host: vec!["Dev.example:80".into(), String::new()],
            allow_origin: vec!["https://page.example/".into()],
            ..HttpArgs::default()
        };
        assert!(allows(&given, "dev.example:8080", Some("https://page.example")));
        assert!(!allows(&given, "dev.example:8080", Some("https://page.example:444")));
        assert!(!allows(&given, "page.example", None) && !allows(&given, "", None));
    }
}
