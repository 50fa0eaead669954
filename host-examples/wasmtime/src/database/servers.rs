//! How messages name the server, the user and the database. If somebody has forgotten the host in a URL, or has left an
//! @ in the password as it is, a part of the password stands where the host belongs. So nothing of the URL is named
//! before it is known to lead to a host, or to a folder that exists.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use audit_sql::failure::Names;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// What messages add where the name of a host leads nowhere.
const ADVICE: &str = "check the name of the host, and write an @ in the password as %40";

/// Nobody has asked where the name leads.
const UNASKED: u8 = 0;
/// Somebody has asked, and has no answer, or a negative one.
const ASKED: u8 = 1;
/// The name leads to a host.
const FOUND: u8 = 2;

/// The servers that a database URL names.
pub(super) struct Servers {
    servers: Vec<Server>,
    user: Option<String>,
    database: Option<String>,
}

struct Server {
    /// Host and port.
    name: String,
    /// The name is one of a host only by its form: `34` is 0.0.0.34, and rather the end of a password.
    is_number: bool,
    state: AtomicU8,
}

impl Servers {
    pub(super) fn new(config: &Config) -> Self {
        let (addresses, ports) = (config.get_hostaddrs(), config.get_ports());
        let server = |(n, host): (usize, &Host)| {
            let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
            let server = |name, is_number, state| Server { name, is_number, state: AtomicU8::new(state) };
            let address = addresses.get(n).map(IpAddr::to_string);
            match host {
                Host::Tcp(name) => {
                    let name = address.as_ref().unwrap_or(name);
                    let state = if leads_to_a_host(name) { FOUND } else { UNASKED };
                    let host = if name.contains(':') { format!("[{name}]") } else { name.clone() };
                    server(format!("{host}:{port}"), state == UNASKED && is_number(name), state)
                }
                #[cfg(unix)]
                Host::Unix(folder) => {
                    let state = if folder.is_dir() { FOUND } else { UNASKED };
                    server(format!("{}/.s.PGSQL.{port}", folder.display()), false, state)
                }
            }
        };
        Self {
            servers: config.get_hosts().iter().enumerate().map(server).collect(),
            user: config.get_user().map(str::to_owned),
            database: config.get_dbname().or(config.get_user()).map(str::to_owned),
        }
    }

    /// Notes that somebody asks where the `n`-th name leads.
    pub(super) fn ask(&self, n: usize) {
        self.note(n, ASKED);
    }

    /// Notes that the `n`-th name leads to a host.
    pub(super) fn find(&self, n: usize) {
        if self.servers.get(n).is_some_and(|server| !server.is_number) {
            self.note(n, FOUND);
        }
    }

    fn note(&self, n: usize, state: u8) {
        if let Some(server) = self.servers.get(n) {
            server.state.fetch_max(state, Ordering::Relaxed);
        }
    }

    fn any(&self, state: u8) -> bool {
        self.servers.iter().any(|server| server.state.load(Ordering::Relaxed) == state)
    }

    /// Whether any of the names leads to a host.
    pub(super) fn is_any_found(&self) -> bool {
        self.any(FOUND)
    }

    /// What to do about a name that leads nowhere. `None` if there is none.
    pub(super) fn advice(&self) -> Option<&'static str> {
        self.any(ASKED).then_some(ADVICE)
    }

    pub(super) fn names(&self) -> Names {
        if !self.is_any_found() {
            let hosts = if self.servers.len() > 1 { "hosts" } else { "host" };
            return Names {
                server: format!("the {hosts} that the database URL names"),
                user: "the user that the database URL names".into(),
                database: "database that the database URL names".into(),
            };
        }
        let name = |server: &Server| match server.state.load(Ordering::Relaxed) {
            FOUND => server.name.clone(),
            _ => "another host that the database URL names".into(),
        };
        Names {
            server: self.servers.iter().map(name).collect::<Vec<_>>().join(", "),
            // Without a user in the URL, tokio-postgres uses the name of the operating system's user.
            user: self.user.as_ref().map_or_else(
                || "the operating system's user (the database URL names none)".into(),
                |user| format!("the user \"{user}\""),
            ),
            database: self.database.as_ref().map_or_else(
                || "database of the operating system's user".into(),
                |database| format!("database \"{database}\""),
            ),
        }
    }
}

/// Whether that is known without asking.
fn leads_to_a_host(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

/// Whether the last part of the name is a number, as in no name of a host:
/// <https://url.spec.whatwg.org/#ends-in-a-number-checker>.
fn is_number(name: &str) -> bool {
    let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_hexadecimal = last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    is_hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit())
}
