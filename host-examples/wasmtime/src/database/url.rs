//! The database URL: what tokio-postgres knows of it, and the parameters of libpq about certificates, which are
//! taken out before. No error shows a part of it that could belong to a password.

#[cfg(test)]
mod tests;

use std::time::Duration;

use audit_sql::failure::Names;
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::database::tls::{self, Connector};

const ACCEPTED: &str = "accepted is postgres://USER:PASSWORD@HOST:PORT/DATABASE or host=HOST user=USER \
                        password=PASSWORD dbname=DATABASE";

/// A connection that is idle for so long is asked whether it is still there, so that no firewall forgets it.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A connection ends that takes nothing for so long.
const UNANSWERED: Duration = Duration::from_secs(30);

/// Parameters that are not tokio-postgres's.
const OWN: [&str; 4] = ["sslmode", "sslrootcert", "sslcert", "sslkey"];

/// Whether a parameter of libpq that tokio-postgres does not know asks for what is so anyway.
fn is_so_anyway(key: &str, value: &str) -> bool {
    match key {
        "client_encoding" => matches!(value.to_ascii_lowercase().as_str(), "utf8" | "utf-8"),
        "gssencmode" => matches!(value, "disable" | "prefer"),
        "sslcompression" => value == "0",
        "sslsni" => value == "1",
        _ => false,
    }
}

/// The others, by which it is told what is wrong.
const KNOWN: [&str; 19] = [
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "sslnegotiation",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
    "sslmode",
];

/// What a database URL says.
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) connector: Connector,
    pub(super) names: Names,
}

impl Target {
    /// Reads the URL. Where it says nothing else, each of several hosts gets its share of `timeout` to answer.
    pub(super) fn parse(url: &str, timeout: Duration) -> Result<Self, String> {
        let url = url.trim();
        let Split { rest, own, others } = match url.split_once("://") {
            Some(("postgres" | "postgresql", address)) => split_url(url, address)?,
            Some((scheme, _)) if !scheme.contains('=') => {
                return Err(format!("the database URL is not one of PostgreSQL; {ACCEPTED}"));
            }
            _ => split_pairs(url)?,
        };
        let mut config: Config = rest.parse().map_err(|_| unreadable(&rest, &others))?;
        check_hosts(&config)?;
        let (mode, connector) = tls::connector(&own, &config)?;
        config.ssl_mode(mode);
        if config.get_application_name().is_none() {
            config.application_name("audit-store");
        }
        if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
            config.keepalives_idle(KEEPALIVE);
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(KEEPALIVE / 6);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNANSWERED);
        }
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1);
        if config.get_connect_timeout().is_none() && hosts > 1 {
            config.connect_timeout(timeout / u32::try_from(hosts).unwrap_or(u32::MAX));
        }
        if config.get_hosts().is_empty() {
            // A certificate is checked against the host.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        if config.get_hosts().iter().all(is_socket) {
            // As in libpq: PostgreSQL does not encrypt them.
            config.ssl_mode(SslMode::Disable);
        }
        let names = names(&config);
        Ok(Self { config, connector, names })
    }
}

/// The parameters of a URL, parted.
struct Split {
    /// The URL without those of `OWN`, and without those that ask for what is so anyway.
    rest: String,
    /// Those of `OWN`.
    own: Vec<(String, String)>,
    /// The others that are left in `rest`.
    others: Vec<(String, String)>,
}

fn split_url(url: &str, address: &str) -> Result<Split, String> {
    if address.matches('@').count() > 1 {
        return Err(
            "the database URL has more than one @; in user, password and parameters it is written %40, and \
                    / ? # : are written %2F %3F %23 %3A"
                .into(),
        );
    }
    // A password may have a question mark.
    let credentials = address.find('@').unwrap_or(0);
    let Some(query) = address[credentials..].find('?') else {
        return Ok(Split { rest: url.into(), own: Vec::new(), others: Vec::new() });
    };
    let (before, query) = url.split_at(url.len() - address.len() + credentials + query);
    let (mut left, mut others, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for parameter in query[1..].split('&').filter(|parameter| !parameter.is_empty()) {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (key, value) = (decode(key)?, decode(value)?);
        if OWN.contains(&key.as_str()) {
            own.push((key, value));
        } else if !is_so_anyway(&key, &value) {
            left.push(parameter);
            others.push((key, value));
        }
    }
    let separator = if left.is_empty() { "" } else { "?" };
    Ok(Split { rest: format!("{before}{separator}{}", left.join("&")), own, others })
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| "a parameter of the database URL is not UTF-8".into())
}

/// Parts `key=value key='value with spaces'`; a backslash takes the next sign as it is.
fn split_pairs(text: &str) -> Result<Split, String> {
    let malformed = || format!("the database URL cannot be read; {ACCEPTED}");
    let (mut rest, mut own, mut others) = (String::new(), Vec::new(), Vec::new());
    let mut left = text.trim_start();
    while !left.is_empty() {
        let (key, after) = left.split_once('=').ok_or_else(malformed)?;
        let key = key.trim_end();
        let after = after.trim_start();
        let quoted = after.starts_with('\'');
        let (value, after) = value(if quoted { &after[1..] } else { after }, quoted).ok_or_else(malformed)?;
        if OWN.contains(&key) {
            own.push((key.to_owned(), value));
        } else if !is_so_anyway(key, &value) {
            rest.push_str(&pair(key, &value));
            others.push((key.to_owned(), value));
        }
        left = after.trim_start();
    }
    Ok(Split { rest, own, others })
}

/// A value at the start of `text`, up to its quote or a space, and what follows.
fn value(text: &str, quoted: bool) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => value.push(signs.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            space if !quoted && space.is_whitespace() => return Some((value, &text[at..])),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, ""))
}

/// A parameter as tokio-postgres reads it.
fn pair(key: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('\'', "\\'");
    format!("{key}='{value}' ")
}

/// What tokio-postgres refuses. No value is shown, and no name that is not known: either could be a part of a password.
fn unreadable(rest: &str, parameters: &[(String, String)]) -> String {
    for (key, value) in parameters {
        if !KNOWN.contains(&key.as_str()) {
            let known = KNOWN.into_iter().chain(OWN.into_iter().skip(1)).collect::<Vec<_>>().join(", ");
            return format!("the database URL has a parameter that is not known; accepted are {known}");
        }
        if pair(key, value).parse::<Config>().is_err() {
            let accepted = match key.as_str() {
                "target_session_attrs" => "; accepted are any, read-write and read-only",
                "load_balance_hosts" => "; accepted are disable and random",
                "channel_binding" => "; accepted are disable, prefer and require",
                "sslnegotiation" => "; accepted are postgres and direct",
                _ => "",
            };
            return format!("the database URL has a wrong value for {key}{accepted}");
        }
    }
    match ports(rest) {
        Some(ports) if pair("port", &ports.join(",")).parse::<Config>().is_err() => {
            "the database URL has a wrong value for port; accepted are numbers from 1 to 65535".into()
        }
        _ => format!("the database URL cannot be read; {ACCEPTED}"),
    }
}

/// The ports behind the hosts of a URL.
fn ports(url: &str) -> Option<Vec<&str>> {
    let (_, address) = url.split_once("://")?;
    let address = address.rsplit_once('@').map_or(address, |(_, hosts)| hosts);
    let hosts = address.split(['/', '?']).next()?;
    Some(hosts.split(',').filter_map(|host| host.rsplit_once(':')).map(|(_, port)| port).collect())
}

fn check_hosts(config: &Config) -> Result<(), String> {
    let (hosts, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
    let count = hosts.max(addresses);
    let blank = |host: &Host| matches!(host, Host::Tcp(name) if name.is_empty());
    if count == 0 || config.get_hosts().iter().any(blank) {
        return Err(format!("the database URL names no host; {ACCEPTED}"));
    }
    if hosts > 0 && addresses > 0 && hosts != addresses {
        return Err(format!("the database URL has {hosts} hosts and {addresses} values of hostaddr"));
    }
    let ports = config.get_ports().len();
    if ports > 1 && ports != count {
        return Err(format!("the database URL has {count} hosts and {ports} ports"));
    }
    Ok(())
}

#[cfg(unix)]
fn is_socket(host: &Host) -> bool {
    matches!(host, Host::Unix(_))
}

#[cfg(not(unix))]
fn is_socket(_host: &Host) -> bool {
    false
}

fn names(config: &Config) -> Names {
    let ports = config.get_ports();
    let port = |n: usize| ports.get(n).or(ports.first()).copied().unwrap_or(5432);
    let server = |(n, host): (usize, &Host)| match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]:{}", port(n)),
        Host::Tcp(name) => format!("{name}:{}", port(n)),
        #[cfg(unix)]
        Host::Unix(folder) => format!("{}/.s.PGSQL.{}", folder.display(), port(n)),
    };
    // tokio-postgres takes the name that the operating system knows the user by.
    let user = config.get_user();
    let database = config.get_dbname().or(user);
    Names {
        server: config.get_hosts().iter().enumerate().map(server).collect::<Vec<_>>().join(", "),
        user: user.map_or_else(
            || "the operating system's user (the database URL names none)".into(),
            |user| format!("the user \"{user}\""),
        ),
        database: database.map_or_else(
            || "database of the operating system's user".into(),
            |database| format!("database \"{database}\""),
        ),
    }
}
