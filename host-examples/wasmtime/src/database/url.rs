//! Parses the database URL. The parameters about certificates are taken out first, because tokio-postgres
//! does not know them, and it parses the rest. No error shows a part of the URL that could belong to a
//! password.

#[cfg(test)]
mod tests;

use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::database::libpq::{Libpq, Passwords};
use crate::database::servers::Servers;
use crate::database::tls::{self, Connector};

/// What errors say about the form of a URL.
const ACCEPTED: &str = "accepted is postgres://USER:PASSWORD@HOST:PORT/DATABASE or host=HOST user=USER \
                        password=PASSWORD dbname=DATABASE";

/// After this time without traffic, TCP probes the connection, so that no firewall forgets it.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A connection is closed if the server does not acknowledge sent data for this time.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The parameters that tokio-postgres does not know as libpq does, and that are handled here.
const TLS_PARAMETERS: [&str; 4] = ["sslmode", "sslrootcert", "sslcert", "sslkey"];

/// The parameters that are left to tokio-postgres, and `sslmode`. Errors list them.
const DRIVER_PARAMETERS: [&str; 19] = [
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

/// Whether a parameter of libpq, which tokio-postgres does not know, asks for what tokio-postgres does
/// anyway.
fn is_redundant(key: &str, value: &str) -> bool {
    match key {
        "client_encoding" => matches!(value.to_ascii_lowercase().as_str(), "utf8" | "utf-8"),
        "gssencmode" => matches!(value, "disable" | "prefer"),
        "sslcompression" => value == "0",
        "sslsni" => value == "1",
        _ => false,
    }
}

/// The server that a database URL names, and how to connect to it.
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) connector: Connector,
    pub(super) servers: Servers,
    /// For a URL without a password.
    pub(super) passwords: Passwords,
}

impl Target {
    /// Parses the URL, and adds what libpq's variables say where the URL does not. Without `connect_timeout`, each of
    /// several hosts gets an equal share of `timeout` to answer.
    pub(super) fn parse(url: &str, libpq: &Libpq, timeout: Duration) -> Result<Self, String> {
        let url = url.trim();
        let Split { rest, tls, driver } = match url.split_once("://") {
            Some(("postgres" | "postgresql", address)) => split_url(url, address)?,
            Some((scheme, _)) if !scheme.contains('=') => {
                return Err(format!("the database URL is not one of PostgreSQL; {ACCEPTED}"));
            }
            _ => split_pairs(url)?,
        };
        let mut config: Config = rest.parse().map_err(|_| invalid(&rest, &driver))?;
        check_hosts(&config)?;
        let (mode, connector) = tls::connector(&tls, libpq, &config)?;
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
            config.tcp_user_timeout(TCP_USER_TIMEOUT);
        }
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1);
        if config.get_connect_timeout().is_none() && hosts > 1 {
            config.connect_timeout(timeout / u32::try_from(hosts).unwrap_or(u32::MAX));
        }
        if config.get_hosts().is_empty() {
            // The certificate is checked against the name of the host, so there has to be one.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        if config.get_hosts().iter().all(is_socket) {
            // As in libpq: PostgreSQL does not encrypt connections by a Unix socket.
            config.ssl_mode(SslMode::Disable);
        }
        let passwords = match config.get_password() {
            None | Some([]) => libpq.passwords(&config),
            Some(_) => Passwords::default(),
        };
        Ok(Self { servers: Servers::new(&config), config, connector, passwords })
    }
}

/// A URL and its parameters, split.
struct Split {
    /// The URL without the parameters of `tls` and those that are redundant.
    rest: String,
    /// The `TLS_PARAMETERS` of the URL.
    tls: Vec<(String, String)>,
    /// The parameters that are left in `rest`.
    driver: Vec<(String, String)>,
}

/// Splits `postgres://ADDRESS?KEY=VALUE&…`.
fn split_url(url: &str, address: &str) -> Result<Split, String> {
    if address.matches('@').count() > 1 {
        return Err(
            "the database URL has more than one @; in the user, the password and parameters, write @ as \
             %40, and / ? # : as %2F %3F %23 %3A"
                .into(),
        );
    }
    // The password may have a question mark, so the query begins behind the @.
    let credentials = address.find('@').unwrap_or(0);
    let Some(query) = address[credentials..].find('?') else {
        return Ok(Split { rest: url.into(), tls: Vec::new(), driver: Vec::new() });
    };
    let (before, query) = url.split_at(url.len() - address.len() + credentials + query);
    let (mut left, mut driver, mut tls) = (Vec::new(), Vec::new(), Vec::new());
    for parameter in query[1..].split('&').filter(|parameter| !parameter.is_empty()) {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (key, value) = (decode(key)?, decode(value)?);
        if TLS_PARAMETERS.contains(&key.as_str()) {
            tls.push((key, value));
        } else if !is_redundant(&key, &value) {
            left.push(parameter);
            driver.push((key, value));
        }
    }
    let separator = if left.is_empty() { "" } else { "?" };
    Ok(Split { rest: format!("{before}{separator}{}", left.join("&")), tls, driver })
}

/// Decodes percent-encoding.
fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| "a parameter of the database URL is not UTF-8".into())
}

/// Splits `KEY=VALUE KEY='VALUE WITH SPACES'`. A backslash escapes the next character.
fn split_pairs(text: &str) -> Result<Split, String> {
    let malformed = || format!("the database URL cannot be read; {ACCEPTED}");
    let (mut rest, mut tls, mut driver) = (String::new(), Vec::new(), Vec::new());
    let mut left = text.trim_start();
    while !left.is_empty() {
        let (key, after) = left.split_once('=').ok_or_else(malformed)?;
        let key = key.trim_end();
        let after = after.trim_start();
        let quoted = after.starts_with('\'');
        let (value, after) = value(if quoted { &after[1..] } else { after }, quoted).ok_or_else(malformed)?;
        if TLS_PARAMETERS.contains(&key) {
            tls.push((key.to_owned(), value));
        } else if !is_redundant(key, &value) {
            rest.push_str(&pair(key, &value));
            driver.push((key.to_owned(), value));
        }
        left = after.trim_start();
    }
    Ok(Split { rest, tls, driver })
}

/// The value at the start of `text`, up to its closing quote or a space, and the text behind it. `None` if
/// the quote is not closed.
fn value(text: &str, quoted: bool) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => value.push(chars.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            space if !quoted && space.is_whitespace() => return Some((value, &text[at..])),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, ""))
}

/// A parameter in the syntax that tokio-postgres parses.
fn pair(key: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('\'', "\\'");
    format!("{key}='{value}' ")
}

/// Says why tokio-postgres does not accept the URL. The text shows no values and no unknown names, because
/// they could be a part of a password.
fn invalid(rest: &str, parameters: &[(String, String)]) -> String {
    for (key, value) in parameters {
        if !DRIVER_PARAMETERS.contains(&key.as_str()) {
            // `sslmode` is in both lists.
            let known = DRIVER_PARAMETERS.into_iter().chain(TLS_PARAMETERS.into_iter().skip(1));
            let known = known.collect::<Vec<_>>().join(", ");
            return format!("the database URL has an unknown parameter; accepted are {known}");
        }
        if pair(key, value).parse::<Config>().is_err() {
            let accepted = match key.as_str() {
                "target_session_attrs" => "; accepted are any, read-write and read-only",
                "load_balance_hosts" => "; accepted are disable and random",
                "channel_binding" => "; accepted are disable, prefer and require",
                "sslnegotiation" => "; accepted are postgres and direct",
                _ => "",
            };
            return format!("the database URL has an invalid value for {key}{accepted}");
        }
    }
    match ports(rest) {
        Some(ports) if pair("port", &ports.join(",")).parse::<Config>().is_err() => {
            "the database URL has an invalid value for port; accepted are numbers from 1 to 65535".into()
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

/// Checks that there are hosts, and as many ports and addresses as hosts.
fn check_hosts(config: &Config) -> Result<(), String> {
    let (hosts, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
    let count = hosts.max(addresses);
    let blank = |host: &Host| matches!(host, Host::Tcp(name) if name.is_empty());
    if count == 0 || config.get_hosts().iter().any(blank) {
        return Err(format!("the database URL names no host; {ACCEPTED}"));
    }
    if hosts > 0 && addresses > 0 && hosts != addresses {
        return Err(format!(
            "the numbers of hosts ({hosts}) and of values of hostaddr ({addresses}) in the database URL \
             differ; accepted is one hostaddr for each host"
        ));
    }
    let ports = config.get_ports().len();
    if ports > 1 && ports != count {
        return Err(format!(
            "the numbers of hosts ({count}) and of ports ({ports}) in the database URL differ; accepted is \
             one port for each host, or one for all"
        ));
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
