//! The address of the database: what Spin connects to, what messages call it, and which part of it no message may show.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use audit_sql::failure::Names;

/// What every error about the address says at its end.
const ACCEPTED: &str = "accepted is postgres://USER:PASSWORD@HOST:PORT/DATABASE, or host=HOST port=PORT user=USER \
                        password=PASSWORD dbname=DATABASE";

/// What a server that has gone without a word is noticed by: probes after 5 s of silence, each 2 s, of which 3 may stay
/// without an answer, and data that nobody confirms for 10 s. Their defaults are hours.
const LIVENESS: [(&str, &str); 4] = [
    ("keepalives_idle", "5"),
    ("keepalives_interval", "2"),
    ("keepalives_retries", "3"),
    ("tcp_user_timeout", "10"),
];

/// An address with which a connection can be asked for.
#[derive(Clone)]
pub struct Address {
    text: String,
    names: Names,
    /// What no message may show: the password, as it is written and as it is meant.
    secrets: Vec<String>,
}

impl Address {
    /// Reads an address of either form. `connect` is how long making a connection to a host may take; the address may say
    /// otherwise.
    ///
    /// # Errors
    /// What is wrong with it, without showing any of it.
    pub fn parse(text: &str, connect: Duration) -> Result<Self, String> {
        let text = text.trim();
        let scheme = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let parts = match scheme {
            Some(rest) => Parts::of_url(rest)?,
            None => Parts::of_pairs(text)?,
        };
        if parts.host.is_empty() {
            return Err(format!("the database URL names no host; {ACCEPTED}"));
        }
        let seconds = connect.as_millis().div_ceil(1000).max(1).to_string();
        if !parts.port.chars().all(|sign| sign.is_ascii_digit() || sign == ',') {
            return Err(format!("the port in the database URL is no number; {ACCEPTED}"));
        }
        let mut whole = text.to_owned();
        for (name, value) in [("connect_timeout", seconds.as_str())].into_iter().chain(LIVENESS) {
            if !parts.parameters.iter().any(|given| given == name) {
                let sign = match scheme {
                    // The password may have a question mark.
                    Some(_) if whole.rsplit('@').next().is_some_and(|address| address.contains('?')) => '&',
                    Some(_) => '?',
                    None => ' ',
                };
                whole.push_str(&format!("{sign}{name}={value}"));
            }
        }
        let server = match parts.port.as_str() {
            "" => format!("{}:5432", parts.host),
            port => format!("{}:{port}", parts.host),
        };
        let database = if parts.database.is_empty() { &parts.user } else { &parts.database };
        let names = Names {
            server,
            user: format!("the user \"{}\"", parts.user),
            database: format!("database \"{database}\""),
        };
        Ok(Self { text: whole, names, secrets: parts.secrets })
    }

    /// The whole address, with its password.
    pub fn secret_text(&self) -> &str {
        &self.text
    }

    /// What messages call the server, the user and the database.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The text without what no message may show.
    pub fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

/// The parts of an address.
#[derive(Default)]
struct Parts {
    host: String,
    port: String,
    user: String,
    database: String,
    secrets: Vec<String>,
    parameters: Vec<String>,
}

impl Parts {
    fn of_url(rest: &str) -> Result<Self, String> {
        // As the driver of Spin reads it: all that is before the @, where there may be / and ? too.
        let (credentials, address) = rest.split_once('@').unwrap_or(("", rest));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        if address.contains('@') || user.contains(['/', '?']) || credentials.contains("password=") {
            return Err(
                "it is not clear where the host of the database URL begins; in the user, the password and \
                        parameters, write @ as %40, and / ? # : as %2F %3F %23 %3A"
                    .to_owned(),
            );
        }
        let (before, query) = address.split_once('?').unwrap_or((address, ""));
        let (hosts, database) = before.split_once('/').unwrap_or((before, ""));
        let (host, port) = match hosts.rsplit_once(':') {
            // The colons of an IPv6 address are in brackets.
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (hosts, ""),
        };
        let mut parts = Self {
            host: host.to_owned(),
            port: port.to_owned(),
            user: decoded(user),
            database: decoded(database),
            ..Self::default()
        };
        parts.keep_secret(password);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parts.take(name, &decoded(value));
        }
        Ok(parts)
    }

    fn of_pairs(text: &str) -> Result<Self, String> {
        let wrong = || format!("the database URL cannot be read; {ACCEPTED}");
        let mut parts = Self::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or_else(wrong)?;
            let (value, after) = pair_value(after.trim_start()).ok_or_else(wrong)?;
            parts.take(name.trim_end(), &value);
            rest = after.trim_start();
        }
        Ok(parts)
    }

    fn take(&mut self, name: &str, value: &str) {
        self.parameters.push(name.to_owned());
        let place = match name {
            "host" => &mut self.host,
            "port" => &mut self.port,
            "user" => &mut self.user,
            "dbname" => &mut self.database,
            "password" => return self.keep_secret(value),
            _ => return,
        };
        *place = value.to_owned();
    }

    fn keep_secret(&mut self, password: &str) {
        for secret in [password.to_owned(), decoded(password)] {
            if !secret.is_empty() && !self.secrets.contains(&secret) {
                self.secrets.push(secret);
            }
        }
    }
}

/// The value at the beginning of the text, and what is behind it. Quotes keep spaces together, and a backslash keeps the
/// next character as it is. None: a quote is not closed.
fn pair_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let quoted = text.starts_with('\'');
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            space if !quoted && space.is_whitespace() => return Some((value, &text[at..])),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, ""))
}

/// The text with its `%40` and the like replaced by what they stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| core::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: Duration = Duration::from_millis(2500);

    #[track_caller]
    fn names(text: &str) -> (String, String, String) {
        let Names { server, user, database } = Address::parse(text, CONNECT).unwrap().names;
        (server, user, database)
    }

    #[test]
    fn both_forms_name_server_user_and_database() {
        let expected =
            ("db:6432".to_owned(), "the user \"me\"".to_owned(), "database \"audit log\"".to_owned());
        assert_eq!(names("postgres://me:pw@db:6432/audit%20log?sslmode=require"), expected);
        assert_eq!(names("host=db port = 6432 user=me password='p w' dbname='audit log'"), expected);
        assert_eq!(names("postgresql://db?user=me").0, "db:5432");
        assert_eq!(names("postgres://me@[::1]:1/").0, "[::1]:1");
        assert_eq!(names("postgres://me@[::1]").2, "database \"me\"");
    }

    #[test]
    fn limits_are_added_that_the_address_does_not_have() {
        let whole = |text| Address::parse(text, CONNECT).unwrap().text;
        let liveness = "keepalives_idle=5&keepalives_interval=2&keepalives_retries=3&tcp_user_timeout=10";
        assert_eq!(whole("postgres://db/a"), format!("postgres://db/a?connect_timeout=3&{liveness}"));
        assert_eq!(
            whole("postgres://db?connect_timeout=9"),
            format!("postgres://db?connect_timeout=9&{liveness}")
        );
        assert!(whole("host=db").starts_with("host=db connect_timeout=3 keepalives_idle=5"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_address() {
        for text in ["", "postgres://", "postgres:///s3cret", "s3cret", "host='s3cret", "user=s3cret"] {
            let error = Address::parse(text, CONNECT).err().unwrap();
            assert!(error.contains("accepted is") && !error.contains("s3cret"), "{error}");
        }
        let error = Address::parse("postgres://me:s3@cret@db", CONNECT).err().unwrap();
        assert!(error.contains("%40") && !error.contains("cret@"), "{error}");
    }

    /// As the driver reads it, a password may have these signs as they are. No name that messages show may have a part of it.
    #[test]
    fn a_password_with_the_signs_of_a_url_is_a_password() {
        for text in [
            "postgres://me:s3/cret@db/audit",
            "postgres://me:s3?cret@db:5432/audit?sslmode=require",
            "postgres://me:s3:cret@db/audit",
            "postgres://me:s3#cr/et?@db/audit",
        ] {
            let address = Address::parse(text, CONNECT).unwrap();
            let (_, password) = text.split_once("me:").unwrap();
            let password = password.split('@').next().unwrap();
            assert_eq!(address.names().server, "db:5432", "{text}");
            assert_eq!(address.names().database, "database \"audit\"", "{text}");
            assert_eq!(address.without_secrets(&format!("it is {password}")), "it is …");
            assert!(
                address.text.contains("?") && address.text.contains("connect_timeout=3"),
                "{}",
                address.text
            );
        }
        let whole = Address::parse("postgres://me:s3?cret@db/audit", CONNECT).unwrap().text;
        assert!(whole.starts_with("postgres://me:s3?cret@db/audit?connect_timeout=3&"), "{whole}");
    }

    #[test]
    fn an_address_that_is_not_clear_is_refused_before_a_message_shows_it() {
        for text in [
            "postgres://me:s3cret",
            "postgres://me:s3cret/audit",
            "postgres://db/audit?user=me&password=s3@cret",
            "postgres://db:5432/audit?password=s3@cret",
            "postgres://me/s3cret@db/audit",
            "host=db port=s3cret",
        ] {
            let error = Address::parse(text, CONNECT).err().unwrap_or_else(|| panic!("{text}"));
            assert!(!error.contains("s3") && !error.contains("cret"), "{error}");
        }
    }

    #[test]
    fn no_message_shows_the_password() {
        for text in ["postgres://me:a%2Fb@db", "postgres://db?password=a%2Fb", "host=db password=a/b"] {
            let address = Address::parse(text, CONNECT).unwrap();
            assert_eq!(address.without_secrets("cannot resolve a/b at db"), "cannot resolve … at db");
        }
        let address = Address::parse("postgres://me:a%2Fb@db", CONNECT).unwrap();
        assert_eq!(address.without_secrets("a%2Fb"), "…");
    }
}
