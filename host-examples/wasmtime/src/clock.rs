//! The current time as the store writes it.

use std::time::{SystemTime, UNIX_EPOCH};

use audit_store::time::Timestamp;

/// The current time, RFC 3339 in UTC with microseconds: `2026-11-23T06:30:00.123456Z`.
pub(crate) fn now() -> String {
    timestamp(SystemTime::now()).to_string()
}

fn timestamp(time: SystemTime) -> Timestamp {
    let micros = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    };
    Timestamp::clamped(micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_have_microseconds_and_one_width() {
        let text = |time| timestamp(time).to_string();
        assert_eq!(text(UNIX_EPOCH), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            text(UNIX_EPOCH + Duration::from_micros(1_795_415_400_123_456)),
            "2026-11-23T06:30:00.123456Z"
        );
        assert_eq!(text(UNIX_EPOCH - Duration::from_micros(1)), "1969-12-31T23:59:59.999999Z");
    }
}
