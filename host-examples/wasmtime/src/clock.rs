//! The current time as the store writes it.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};

/// The current time, RFC 3339 in UTC with microseconds: `2026-11-23T06:30:00.123456Z`.
pub(crate) fn now() -> String {
    format(SystemTime::now())
}

/// A time, RFC 3339 in UTC with microseconds.
fn format(time: SystemTime) -> String {
    let micros = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).ok(),
        Err(before) => i64::try_from(before.duration().as_micros()).ok().map(|micros| -micros),
    };
    text(&micros.and_then(DateTime::from_timestamp_micros).unwrap_or_default())
}

/// A time, RFC 3339 in UTC with microseconds.
pub(crate) fn text(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_have_microseconds_and_one_width() {
        assert_eq!(format(UNIX_EPOCH), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            format(UNIX_EPOCH + Duration::from_micros(1_795_415_400_123_456)),
            "2026-11-23T06:30:00.123456Z"
        );
        assert_eq!(format(UNIX_EPOCH - Duration::from_micros(1)), "1969-12-31T23:59:59.999999Z");
    }
}
