//! The times that reads are limited to: as RFC 3339, as a date, or by how long ago they were.

use std::time::{Duration, SystemTime};

use audit_format::query::{Filter, PageRequest, Query};
use audit_format::show::quoted;
use audit_format::time::{Timestamp, parse_bound};
use clap::Args;
use clap::builder::TypedValueParser;

use super::fields::text;
use crate::message::Failure;

const ACCEPTED: &str = "accepted is RFC 3339 such as 2026-11-23T06:30:00Z, a date such as 2026-11-23, `today`, `yesterday`, \
    `now`, or how long ago: a whole number and s, m, h, d or w, such as 90s, 15m, 2h, 7d or 2w";

/// From when to when the events are.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Period {
    /// The earliest time of an event, such as 2026-11-23, yesterday or 2h (ago)
    #[arg(long, value_name = "TIME", value_parser = time(), help_heading = "Filters")]
    from: Option<String>,
    /// The same as --from: --since 2h shows the events of the last two hours
    #[arg(long, value_name = "TIME", value_parser = time(), conflicts_with = "from", help_heading = "Filters")]
    since: Option<String>,
    /// The latest time of an event
    #[arg(long, value_name = "TIME", value_parser = time(), help_heading = "Filters")]
    pub(crate) to: Option<String>,
}

impl Period {
    /// The earliest time: RFC 3339 or a date.
    pub(crate) fn from(&self) -> Option<&str> {
        self.from.as_deref().or(self.since.as_deref())
    }

    /// The first and the last instant.
    pub(crate) fn span(&self) -> Result<(Timestamp, Timestamp), Failure> {
        let filter =
            Filter { from_ts: self.from().map(str::to_owned), to_ts: self.to.clone(), ..Filter::default() };
        let query = Query::new(filter, &PageRequest::default()).map_err(|invalid| {
            let option = if invalid.field == "to_ts" { "--to" } else { "--from" };
            Failure::because(option, invalid.reason)
        })?;
        let (from, to) = query.span();
        if from > to {
            return Err(Failure::because(
                "--to",
                format_args!("{to} is before --from, {from}: the time ends before it begins"),
            ));
        }
        Ok((from, to))
    }
}

/// A time, as RFC 3339 or a date.
fn time() -> impl TypedValueParser<Value = String> {
    text().try_map(|text| absolute(&text, SystemTime::now()))
}

/// The time that the text stands for at `now`, as RFC 3339 or a date.
fn absolute(text: &str, now: SystemTime) -> Result<String, String> {
    let day = |days: i32| Timestamp::from(now).day().plus(days).to_string();
    match text {
        "now" => Ok(Timestamp::from(now).to_string()),
        "today" => Ok(day(0)),
        "yesterday" => Ok(day(-1)),
        _ if parse_bound(text).is_ok() => Ok(text.to_owned()),
        _ => match ago(text) {
            None => Err(format!("{} is no time; {ACCEPTED}", quoted(text))),
            Some(ago) => match ago.and_then(|ago| now.checked_sub(ago)) {
                Some(at) if Timestamp::from(at) > Timestamp::MIN => Ok(Timestamp::from(at).to_string()),
                _ => {
                    Err(format!("{} is too long ago; the earliest time is {}", quoted(text), Timestamp::MIN))
                }
            },
        },
    }
}

/// How long ago `2h` is. `Some(None)`: longer than can be told.
pub(super) fn ago(text: &str) -> Option<Option<Duration>> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    // `parse` would take a sign.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse::<u64>().ok();
    Some(number.and_then(|number| number.checked_mul(seconds)).map(Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-23T06:30:00Z
    const NOW: u64 = 1_795_415_400;

    fn at_now(text: &str) -> Result<String, String> {
        absolute(text, SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
    }

    #[test]
    fn a_time_may_be_given_by_how_long_ago_it_was() {
        for (text, expected) in [
            ("now", "2026-11-23T06:30:00.000000Z"),
            ("90s", "2026-11-23T06:28:30.000000Z"),
            ("15m", "2026-11-23T06:15:00.000000Z"),
            ("2h", "2026-11-23T04:30:00.000000Z"),
            ("7d", "2026-11-16T06:30:00.000000Z"),
            ("2w", "2026-11-09T06:30:00.000000Z"),
            ("0s", "2026-11-23T06:30:00.000000Z"),
            ("today", "2026-11-23"),
            ("yesterday", "2026-11-22"),
            ("2026-11-01", "2026-11-01"),
            ("2026-11-23T06:30:00+01:00", "2026-11-23T06:30:00+01:00"),
        ] {
            assert_eq!(at_now(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn any_other_text_is_refused_with_what_is_accepted() {
        for text in ["", "h", "2", "+2h", "-2h", "2 h", "2.5h", "2y", "tomorrow", "2026-13-01"] {
            let error = at_now(text).unwrap_err();
            assert!(error.contains("is no time") && error.contains("90s, 15m, 2h, 7d or 2w"), "{error}");
        }
    }

    #[test]
    fn what_is_too_long_ago_is_of_an_accepted_form() {
        for text in ["99999999999999w", "99999999999999999999s", "9999999999h"] {
            let error = at_now(text).unwrap_err();
            assert!(
                error.contains("too long ago; the earliest time is ") && !error.contains("no time"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_time_that_ends_before_it_begins_is_refused() {
        let period = |from: &str, to: &str| {
            Period { from: Some(from.into()), since: None, to: Some(to.into()) }
                .span()
                .map_err(Failure::into_text)
        };
        let error = period("2026-11-23", "2026-11-22").unwrap_err();
        assert!(error.starts_with("--to: ") && error.contains("ends before it begins"), "{error}");
        assert!(period("2026-11-23", "2026-11-23").is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,20}|[0-9]{0,22}[smhdw]") {
            let _ = at_now(&text);
        }
    }
}
