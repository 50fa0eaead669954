//! Instants and days: which texts are accepted, and the one form that is stored.

use crate::show::quoted;
use alloc::format;
use alloc::string::String;
use chrono::{DateTime, Datelike, NaiveDate};
use core::fmt;
use core::ops::RangeInclusive;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The length of a stored timestamp, `2026-11-23T06:30:00.123456Z`, in bytes.
pub const TEXT_LEN: usize = 27;

/// What is accepted as a timestamp, for messages.
const ACCEPTED: &str = "RFC 3339, such as 2026-11-23T06:30:00.123456Z or 2026-11-23T07:30:00+01:00";

/// An instant in microseconds since 1970-01-01T00:00:00Z, in the years 0000 to 9999 of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// Why a text is not a timestamp: what is wrong, and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TimeError(String);

impl Timestamp {
    /// 0000-01-01T00:00:00.000000Z
    pub const MIN: Self = Self(-62_167_219_200_000_000);
    /// 9999-12-31T23:59:59.999999Z
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// The instant `micros` microseconds after 1970-01-01T00:00:00Z; none: it is outside the years 0000 to
    /// 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&micros).then_some(Self(micros))
    }

    /// The instant `micros` microseconds after 1970-01-01T00:00:00Z, or the nearest one in the years 0000 to
    /// 9999.
    pub fn clamped(micros: i64) -> Self {
        Self(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Parses RFC 3339 with any offset; without one, it is UTC. A space may be in the place of the `T`, and the offset may
    /// lack its colon or its minutes. Digits finer than a microsecond are cut off.
    ///
    /// # Errors
    /// If `text` is not RFC 3339, or its year in UTC is not from 0000 to 9999.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        match Self::parse_stored(text.as_bytes()) {
            Some(at) => Ok(at),
            None => parse_instant(text, ACCEPTED).map(|(at, _)| at),
        }
    }

    /// Parses only the stored form, much faster than [`Timestamp::parse`]; most timestamps have this form.
    pub fn parse_stored(text: &[u8]) -> Option<Self> {
        let text = <&[u8; TEXT_LEN]>::try_from(text).ok().filter(|text| is_stored_text(*text))?;
        Some(Self(date_micros(text)? + time_micros(text)?))
    }

    /// The UTC day of this instant.
    pub fn day(self) -> Day {
        Day(self.0.div_euclid(MICROS_PER_DAY) as i32)
    }

    /// The stored form, as ASCII.
    pub fn text(self) -> [u8; TEXT_LEN] {
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let date = NaiveDate::from_epoch_days(self.day().0).unwrap_or_default();
        let micros = self.0.rem_euclid(MICROS_PER_DAY);
        let (seconds, micros) = ((micros / 1_000_000) as u32, (micros % 1_000_000) as u32);
        put_digits(&mut text[0..4], date.year().unsigned_abs());
        put_digits(&mut text[5..7], date.month());
        put_digits(&mut text[8..10], date.day());
        put_digits(&mut text[11..13], seconds / 3600);
        put_digits(&mut text[14..16], seconds / 60 % 60);
        put_digits(&mut text[17..19], seconds % 60);
        put_digits(&mut text[20..26], micros);
        text
    }
}

#[cfg(feature = "std")]
impl From<std::time::SystemTime> for Timestamp {
    fn from(time: std::time::SystemTime) -> Self {
        let micros = match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Self::clamped(micros)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}

/// Whether `text` has the shape of a stored timestamp. Its day or hour may still be one that does not exist.
pub fn is_stored_text(text: &[u8]) -> bool {
    // No stored timestamp has the second 60: a leap second is stored as the next second.
    const LEAST: &[u8; TEXT_LEN] = b"0000-00-00T00:00:00.000000Z";
    const MOST: &[u8; TEXT_LEN] = b"9999-99-99T99:99:59.999999Z";
    let Ok(text) = <&[u8; TEXT_LEN]>::try_from(text) else { return false };
    // Without an early exit the compiler makes this compare 16 bytes at once.
    let mut fits = true;
    for ((byte, least), most) in text.iter().zip(LEAST).zip(MOST) {
        fits &= (least <= byte) & (byte <= most);
    }
    fits
}

/// Parses stored timestamps that follow each other. Most are of the same day as the one before, whose date need not be
/// parsed again.
#[derive(Debug)]
pub struct StoredTimes {
    date: [u8; DATE_LEN],
    day: i64,
}

/// The length of a date, `2026-11-23`, in bytes.
const DATE_LEN: usize = 10;

impl Default for StoredTimes {
    fn default() -> Self {
        Self { date: *b"1970-01-01", day: 0 }
    }
}

impl StoredTimes {
    /// As [`Timestamp::parse_stored`].
    #[inline]
    pub fn parse(&mut self, text: &[u8; TEXT_LEN]) -> Option<Timestamp> {
        if !is_stored_text(text) {
            return None;
        }
        if text[..DATE_LEN] != self.date {
            self.day = date_micros(text)?;
            self.date.copy_from_slice(&text[..DATE_LEN]);
        }
        Some(Timestamp(self.day + time_micros(text)?))
    }
}

/// A number in decimal digits.
fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

/// The first instant of the day of a timestamp in the stored shape, in microseconds since 1970.
fn date_micros(text: &[u8; TEXT_LEN]) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(number(&text[..4]) as i32, number(&text[5..7]), number(&text[8..10]))?;
    Some(i64::from(date.to_epoch_days()) * MICROS_PER_DAY)
}

/// The microseconds of the day of a timestamp in the stored shape.
fn time_micros(text: &[u8; TEXT_LEN]) -> Option<i64> {
    let (hours, minutes, seconds) = (number(&text[11..13]), number(&text[14..16]), number(&text[17..19]));
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3600 + minutes * 60 + seconds);
    Some(seconds * 1_000_000 + i64::from(number(&text[20..26])))
}

fn put_digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The instant, and whether digits finer than a microsecond were cut off.
fn parse_instant(text: &str, accepted: &str) -> Result<(Timestamp, bool), TimeError> {
    let wrong = || TimeError(format!("{} is not a timestamp; accepted is {accepted}", quoted(text)));
    let at = rfc3339(text).and_then(|text| DateTime::parse_from_rfc3339(&text).ok()).ok_or_else(wrong)?;
    let finer = at.timestamp_subsec_nanos() % 1000 != 0;
    let at = Timestamp::from_micros(at.timestamp_micros()).ok_or_else(|| {
        TimeError(format!(
            "{} is out of range; accepted is a time in the years 0000 to 9999 in UTC",
            quoted(text)
        ))
    })?;
    Ok((at, finer))
}

/// The time as RFC 3339 has it: with a `T` and a whole offset. None: it is not one.
fn rfc3339(text: &str) -> Option<String> {
    const DATE: usize = "2026-11-23".len();
    const SECONDS: usize = "2026-11-23T06:30:00".len();
    // chrono also accepts other characters for `+` and `-`.
    if !text.is_ascii() || text.len() < SECONDS {
        return None;
    }
    let (date, time) = text.split_at(DATE);
    let time = time.strip_prefix(['T', 't', ' '])?;
    let start = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (time, offset) = time.split_at(start);
    Some(match offset.len() {
        0 => format!("{date}T{time}Z"),
        3 => format!("{date}T{time}{offset}:00"),
        5 => format!("{date}T{time}{}:{}", &offset[..3], &offset[3..]),
        _ => format!("{date}T{time}{offset}"),
    })
}

/// Parses a bound of a filter: RFC 3339, or a date, which means the whole day in UTC.
///
/// Returns the instants that the text stands for: one, or those of a day. If it has digits finer than a
/// microsecond, the start is rounded up and the end is cut off, so that neither bound lets in an instant that
/// it excludes. The range is then empty.
///
/// # Errors
/// If `text` is neither a date nor accepted by [`Timestamp::parse`].
pub fn parse_bound(text: &str) -> Result<RangeInclusive<Timestamp>, TimeError> {
    if let Some(day) = Day::parse(text) {
        return Ok(day.first()..=day.last());
    }
    let accepted = format!("{ACCEPTED}, or a date such as 2026-11-23");
    let (at, finer) = parse_instant(text, &accepted)?;
    Ok(Timestamp::clamped(at.0 + i64::from(finer))..=at)
}

/// A day of UTC, in days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i32);

impl Day {
    /// Parses `YYYY-MM-DD`; none: it is another text, or no day of the calendar.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 10
            && bytes.iter().enumerate().all(|(i, b)| match i {
                4 | 7 => *b == b'-',
                _ => b.is_ascii_digit(),
            });
        if !shaped {
            return None;
        }
        let number = |range: core::ops::Range<usize>| text[range].parse::<u32>().ok();
        let date = NaiveDate::from_ymd_opt(number(0..4)? as i32, number(5..7)?, number(8..10)?)?;
        Some(Self(date.to_epoch_days()))
    }

    /// Days since 1970-01-01.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The day's first instant.
    pub fn first(self) -> Timestamp {
        Timestamp::clamped(i64::from(self.0) * MICROS_PER_DAY)
    }

    /// The day's last instant.
    pub fn last(self) -> Timestamp {
        Timestamp::clamped(i64::from(self.0) * MICROS_PER_DAY + (MICROS_PER_DAY - 1))
    }

    /// The day `days` later.
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.first().text();
        f.write_str(core::str::from_utf8(&text[..10]).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn stored(text: &str) -> String {
        Timestamp::parse(text).unwrap().to_string()
    }

    #[test]
    fn any_offset_is_stored_in_utc_with_microseconds() {
        for (given, expected) in [
            ("2026-11-23T06:30:00Z", "2026-11-23T06:30:00.000000Z"),
            ("2026-11-23t06:30:00.5z", "2026-11-23T06:30:00.500000Z"),
            ("2026-11-23T00:30:00+01:00", "2026-11-22T23:30:00.000000Z"),
            ("2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000000Z"),
            ("2028-02-29T23:59:59.9999999Z", "2028-02-29T23:59:59.999999Z"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
            ("2026-11-23T06:30:00", "2026-11-23T06:30:00.000000Z"),
            ("2026-11-23 06:30:00.25", "2026-11-23T06:30:00.250000Z"),
            ("2026-11-23 06:30:00+01:00", "2026-11-23T05:30:00.000000Z"),
            ("2026-11-23T06:30:00-0130", "2026-11-23T08:00:00.000000Z"),
            ("2026-11-23T06:30:00+01", "2026-11-23T05:30:00.000000Z"),
        ] {
            assert_eq!(stored(given), expected);
        }
    }

    #[test]
    fn other_texts_are_invalid_and_the_error_says_what_is_accepted() {
        for text in [
            "2026-11-23",
            "2026-11-23T06:30",
            "2026-11-23  06:30:00",
            "2026-11-23T06:30:00+1",
            "2026-11-23T06:30:00+0100Z",
            "2026-02-29T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T06:30:00Z ",
            " 2026-11-23T06:30:00Z",
            "2026-11-23T06:30:00\u{2212}01:00",
            "../../etc/passwd",
            "+2026-11-23T06:30:00Z",
            "12026-11-23T06:30:00Z",
            "1763879400",
        ] {
            let error = Timestamp::parse(text).unwrap_err().to_string();
            assert!(error.contains("accepted is RFC 3339"), "{text}: {error}");
        }
        for text in ["0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"] {
            let error = Timestamp::parse(text).unwrap_err().to_string();
            assert!(error.contains("years 0000 to 9999"), "{text}: {error}");
        }
    }

    #[test]
    fn a_bound_is_an_instant_or_a_whole_day_and_rounds_inwards() {
        let day = parse_bound("2028-02-29").unwrap();
        assert_eq!(day.start().to_string(), "2028-02-29T00:00:00.000000Z");
        assert_eq!(day.end().to_string(), "2028-02-29T23:59:59.999999Z");
        let finer = parse_bound("2026-11-23T00:00:00.0000005Z").unwrap();
        assert_eq!(finer.start().to_string(), "2026-11-23T00:00:00.000001Z");
        assert_eq!(finer.end().to_string(), "2026-11-23T00:00:00.000000Z");
        assert!(parse_bound("2026-02-29").is_err());
        assert!(parse_bound("2026-2-9").is_err());
    }

    #[cfg(feature = "std")]
    #[test]
    fn times_of_the_system_are_converted_to_microseconds() {
        use std::time::{Duration, UNIX_EPOCH};
        let text = |time| Timestamp::from(time).to_string();
        assert_eq!(text(UNIX_EPOCH), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            text(UNIX_EPOCH + Duration::from_micros(1_795_415_400_123_456)),
            "2026-11-23T06:30:00.123456Z"
        );
        assert_eq!(text(UNIX_EPOCH - Duration::from_micros(1)), "1969-12-31T23:59:59.999999Z");
    }

    proptest! {
        #[test]
        fn text_order_is_time_order_and_text_round_trips(
            a in Timestamp::MIN.0..=Timestamp::MAX.0,
            b in Timestamp::MIN.0..=Timestamp::MAX.0,
        ) {
            let (a, b) = (Timestamp(a), Timestamp(b));
            prop_assert_eq!(a.cmp(&b), a.text().cmp(&b.text()));
            prop_assert_eq!(Timestamp::parse(&a.to_string()).unwrap(), a);
            prop_assert_eq!(Timestamp::parse_stored(&a.text()), Some(a));
            prop_assert_eq!(parse_instant(&a.to_string(), "").unwrap(), (a, false));
            prop_assert_eq!(Day::parse(&a.day().to_string()), Some(a.day()));
            prop_assert!(a.day().first() <= a && a <= a.day().last());
        }

        #[test]
        fn the_fast_parser_reads_what_the_general_one_reads(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{6}Z",
        ) {
            let slow = parse_instant(&text, "").ok().map(|(at, _)| at);
            prop_assert_eq!(Timestamp::parse(&text).ok(), slow);
            if let Some(fast) = Timestamp::parse_stored(text.as_bytes()) {
                prop_assert_eq!(Some(fast), slow);
            }
            let mut times = StoredTimes::default();
            for text in [&*text, "2026-11-23T06:30:00.123456Z", &*text] {
                let parsed = times.parse(text.as_bytes().try_into().unwrap());
                prop_assert_eq!(parsed, Timestamp::parse_stored(text.as_bytes()));
            }
        }

        #[test]
        fn a_stored_text_is_one_of_which_each_byte_is(
            place in 0..TEXT_LEN,
            byte in any::<u8>(),
            digits in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-6][0-9]\\.[0-9]{6}Z",
        ) {
            let mut text = digits.into_bytes();
            text[place] = byte;
            let is_stored = text.iter().zip(b"dddd-dd-ddTdd:dd:5d.ddddddZ").all(|(byte, shape)| match shape {
                b'd' => byte.is_ascii_digit(),
                b'5' => (b'0'..=b'5').contains(byte),
                _ => byte == shape,
            });
            prop_assert_eq!(is_stored_text(&text), is_stored);
            prop_assert!(!is_stored_text(&text[1..]));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Timestamp::parse(&text);
            let _ = parse_bound(&text);
        }
    }
}
