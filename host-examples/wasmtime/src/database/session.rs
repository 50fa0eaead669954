//! What a session begins with: it gets the settings that the statements need, whatever the server's are. And it is checked
//! that it has the search path and the role that `options` in the database URL ask for. A pooler may drop `options` without
//! a word, and the events would land in another schema.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::HookError;
use tokio_postgres::{Client, Config, SimpleQueryMessage, SimpleQueryRow};

/// The settings that decide where events land. The answer has their values in this order.
const SETTINGS: [&str; 2] = ["search_path", "role"];

const ASK: &str = "SELECT pg_catalog.current_setting('search_path'), pg_catalog.current_setting('role')";

/// Takes `pg_catalog` out of the search path, where it may stand behind a schema that has functions of the same names: not
/// named, it comes first.
const CATALOG_FIRST: &str = "
    SELECT pg_catalog.set_config('search_path', pg_catalog.array_to_string(ARRAY(
        SELECT pg_catalog.quote_ident(schema)
        FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS path (schema, place)
        WHERE schema OPERATOR(pg_catalog.<>) 'pg_catalog'
        ORDER BY place
    ), ', '), false)";

/// What a session begins with.
#[derive(Clone)]
pub(super) struct Session {
    statements: Arc<str>,
    asked: Option<Arc<Asked>>,
}

impl Session {
    /// A session whose statements may take this time, and may wait this time for a lock.
    pub(super) fn new(time: Duration, lock_time: Duration, asked: Option<Arc<Asked>>) -> Self {
        let millis = |time: Duration| time.as_millis().clamp(1, i32::MAX as u128);
        let (millis, lock_millis) = (millis(time), millis(lock_time));
        // The server itself ends statements that nobody waits for any more. A time without an offset, in the table of
        // another program, is in UTC. An insert waits for another one of the same rows, where a higher level of isolation
        // would fail. A prepared statement is planned for the table as it is by then, which may have grown since.
        let statements = format!(
            "{ASK}; SET statement_timeout = {millis}; SET lock_timeout = {lock_millis}; \
             SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET standard_conforming_strings = on; SET default_transaction_isolation = 'read committed'; \
             SET plan_cache_mode = force_custom_plan"
        );
        Self { statements: statements.into(), asked }
    }

    pub(super) async fn begin(&self, client: &Client) -> Result<(), HookError> {
        let answer = client.simple_query(&self.statements).await.map_err(HookError::Backend)?;
        let first = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let Some(row) = first else { return Ok(()) };
        if let Some(asked) = &self.asked {
            asked.check(row)?;
        }
        let path = row.try_get(0).map_err(HookError::Backend)?.unwrap_or_default();
        if names(path).iter().any(|name| name == "pg_catalog") {
            client.batch_execute(CATALOG_FIRST).await.map_err(HookError::Backend)?;
        }
        Ok(())
    }
}

/// What `options` ask for.
pub(super) struct Asked {
    /// Of each of [`SETTINGS`] the value, if it is set.
    values: [Option<String>; 2],
    /// The user of the URL.
    user: Option<String>,
}

impl Asked {
    /// `None` if the URL asks for none of the settings.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let set = settings(config.get_options()?);
        // As on the server, the last value counts.
        let value = |name| set.iter().rev().find(|(set, _)| set == name).map(|(_, value)| value.clone());
        let values = SETTINGS.map(value);
        let user = config.get_user().map(str::to_owned);
        values.iter().any(Option::is_some).then_some(Self { values, user })
    }

    /// Fails if a value of the session is another than the one that was asked for.
    fn check(&self, row: &SimpleQueryRow) -> Result<(), HookError> {
        for (n, (name, asked)) in SETTINGS.iter().zip(&self.values).enumerate() {
            let found = row.try_get(n).map_err(HookError::Backend)?.unwrap_or_default();
            if let Some(asked) = asked.as_ref().filter(|asked| names(asked) != names(found)) {
                return Err(HookError::message(self.differs(name, asked, found)));
            }
        }
        Ok(())
    }

    fn differs(&self, name: &str, asked: &str, found: &str) -> String {
        let user =
            self.user.as_ref().map_or("…".into(), |user| format!("\"{}\"", user.replace('"', "\"\"")));
        format!(
            "the database drops options of the database URL, as some poolers do: {name} is {found}, and not {asked}, so \
             that events would land in another place; let the user have it without options: ALTER ROLE {user} SET \
             {name} = {asked}"
        )
    }
}

/// The settings in `options`, which are the arguments of a server: `-c NAME=VALUE`, `-cNAME=VALUE` and `--NAME=VALUE`.
fn settings(options: &str) -> Vec<(String, String)> {
    let mut arguments = arguments(options).into_iter();
    let mut found = Vec::new();
    while let Some(argument) = arguments.next() {
        let setting = match argument.strip_prefix("--").or_else(|| argument.strip_prefix("-c")) {
            Some("") => arguments.next().unwrap_or_default(),
            Some(setting) => setting.to_owned(),
            None => continue,
        };
        if let Some((name, value)) = setting.split_once('=') {
            found.push((name.to_ascii_lowercase().replace('-', "_"), value.to_owned()));
        }
    }
    found
}

/// Splits at spaces. A backslash escapes the next character.
fn arguments(options: &str) -> Vec<String> {
    let (mut arguments, mut last) = (Vec::new(), None::<String>);
    let mut chars = options.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => last.get_or_insert_default().extend(chars.next()),
            space if space.is_ascii_whitespace() => arguments.extend(last.take()),
            other => last.get_or_insert_default().push(other),
        }
    }
    arguments.extend(last);
    arguments
}

/// The names in a list such as `"$user", public`, as the server understands them.
fn names(list: &str) -> Vec<String> {
    let (mut names, mut quoted) = (vec![String::new()], false);
    let mut chars = list.chars().peekable();
    while let Some(char) = chars.next() {
        let name = names.last_mut().expect("there is always one");
        match char {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => name.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => names.push(String::new()),
            space if !quoted && space.is_whitespace() => {}
            other if quoted => name.push(other),
            other => name.extend(other.to_lowercase()),
        }
    }
    names
}
