//! What environment and variables say of the database.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

/// The environment variables that have the URL, in the order in which they count.
const URLS: [&str; 2] = ["DATABASE_URL", "POSTGRES_DSN"];

/// The variable of the Spin application that has the URL where the environment has none.
const VARIABLE: &str = "database_url";

/// The environment variable that says how long a statement may take.
const TIME: &str = "AUDIT_DATABASE_TIMEOUT_MS";

/// How long a statement may take where nothing is said, in milliseconds.
const DEFAULT_TIME: u64 = 2000;

/// The most that can be said, in milliseconds.
const MAX_TIME: u64 = 3_600_000;

/// The settings.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// The URL of the database; none: there is no database.
    pub url: Option<String>,
    /// How long connecting, and a statement, may take.
    pub time: Duration,
    /// What is wrong with a setting, and what holds instead.
    pub warning: Option<String>,
}

/// Reads the settings from the environment, and from a variable of the application.
///
/// # Errors
/// Why the variable has no value, although there is one.
pub fn read(
    environment: &[(String, String)],
    variable: impl FnOnce(&str) -> Result<Option<String>, String>,
) -> Result<Settings, String> {
    let set = |name: &str| {
        let found = environment.iter().find(|(known, value)| known == name && !value.trim().is_empty());
        found.map(|(_, value)| value.trim())
    };
    let url = match URLS.into_iter().find_map(set) {
        Some(url) => Some(url.to_owned()),
        None => {
            let value = variable(VARIABLE);
            let value = value.map_err(|text| format!("the variable {VARIABLE} cannot be read: {text}"))?;
            value.filter(|url| !url.trim().is_empty())
        }
    };
    let given = set(TIME);
    let time = given.map(|text| text.parse().ok().filter(|time| (1..=MAX_TIME).contains(time)));
    let warning = matches!(time, Some(None)).then(|| {
        format!(
            "{TIME} is {:?}; accepted are milliseconds from 1 to {MAX_TIME}, and {DEFAULT_TIME} is used",
            given.unwrap_or_default()
        )
    });
    let time = Duration::from_millis(time.flatten().unwrap_or(DEFAULT_TIME));
    Ok(Settings { url, time, warning })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn url(pairs: &[(&str, &str)], variable: Option<&str>) -> Option<String> {
        read(&environment(pairs), |name| {
            assert_eq!(name, "database_url");
            Ok(variable.map(ToOwned::to_owned))
        })
        .unwrap()
        .url
    }

    #[test]
    fn the_environment_comes_before_the_variable() {
        let both = [("POSTGRES_DSN", "dsn"), ("DATABASE_URL", "url")];
        assert_eq!(url(&both, Some("variable")).as_deref(), Some("url"));
        assert_eq!(url(&both[..1], Some("variable")).as_deref(), Some("dsn"));
        assert_eq!(url(&[("DATABASE_URL", " ")], Some("variable")).as_deref(), Some("variable"));
        for none in [None, Some(""), Some(" ")] {
            assert_eq!(url(&[], none), None);
        }
    }

    #[test]
    fn a_variable_that_cannot_be_read_is_an_error() {
        let error = read(&[], |_| Err("the vault is sealed".to_owned())).unwrap_err();
        assert_eq!(error, "the variable database_url cannot be read: the vault is sealed");
    }

    #[test]
    fn a_wrong_time_is_a_warning_and_the_default_holds() {
        let read = |text| read(&environment(&[(TIME, text)]), |_| Ok(None)).unwrap();
        assert_eq!((read("150").time, read("150").warning), (Duration::from_millis(150), None));
        for wrong in ["0", "-1", "2s", "3600001"] {
            let settings = read(wrong);
            assert_eq!(settings.time, Duration::from_secs(2));
            assert!(settings.warning.unwrap().contains("accepted are milliseconds from 1 to 3600000"));
        }
    }
}
