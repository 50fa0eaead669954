//! Times of `wasi:clocks/wall-clock`.

use audit_format::time::Timestamp;
use wasi::clocks::wall_clock::Datetime;

/// The nearest timestamp that can be stored.
pub fn timestamp(time: Datetime) -> Timestamp {
    let seconds = i64::try_from(time.seconds).unwrap_or(i64::MAX);
    Timestamp::clamped(seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanoseconds / 1000)))
}
