//! Decimal numbers as JSON writes them, such as `45.0`, `12.7` and `1e3`, which the clocks of Python and JavaScript
//! give: rounded exactly, without floating point.

use alloc::vec::Vec;

/// A number that was rounded to a whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rounded {
    /// The nearest whole number from 0 to 2^64 - 1. Halves are rounded to the even one.
    pub number: u64,
    /// Whether the number is the one that was written.
    pub exact: bool,
}

/// Rounds a number; none: `text` is not one.
pub(crate) fn rounded(text: &str) -> Option<Rounded> {
    let decimal = Decimal::parse(text)?;
    if decimal.is_zero() {
        return Some(Rounded { number: 0, exact: true });
    }
    if decimal.negative {
        return Some(Rounded { number: 0, exact: false });
    }
    let Some(whole) = decimal.whole(0) else {
        return Some(Rounded { number: u64::MAX, exact: false });
    };
    let number = match decimal.rest(0) {
        Rest::Zero => return Some(Rounded { exact: u64::try_from(whole).is_ok(), number: clamped(whole) }),
        Rest::MoreThanHalf => whole + 1,
        Rest::Half => whole + whole % 2,
        Rest::LessThanHalf => whole,
    };
    Some(Rounded { number: clamped(number), exact: false })
}

/// Microseconds since 1970 of a number of seconds or, from 10^11 on, of milliseconds. Finer digits are cut off. None:
/// `text` is not a number, or one that no time has.
pub(crate) fn micros(text: &str) -> Option<i64> {
    const MILLISECONDS_FROM: u128 = 100_000_000_000;
    let decimal = Decimal::parse(text)?;
    let is_milliseconds = decimal.whole(0)? >= MILLISECONDS_FROM;
    let shift = if is_milliseconds { 3 } else { 6 };
    let micros = i64::try_from(decimal.whole(shift)?).ok()?;
    Some(match (decimal.negative, decimal.rest(shift)) {
        (false, _) => micros,
        (true, Rest::Zero) => -micros,
        (true, _) => -micros - 1,
    })
}

fn clamped(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A number as its digits, without leading zeros, and how many of them are before the point.
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: i64,
}

/// What is behind the point.
enum Rest {
    Zero,
    LessThanHalf,
    Half,
    MoreThanHalf,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        let point = (whole.len() as i64).saturating_add(exponent).saturating_sub(zeros as i64);
        Some(Self { negative, digits: digits[zeros..].into(), point })
    }

    fn is_zero(&self) -> bool {
        self.digits.iter().all(|digit| *digit == 0)
    }

    /// The whole part of the number times ten to the power of `shift`, without its sign; none: it has more than 30
    /// digits.
    fn whole(&self, shift: i64) -> Option<u128> {
        let point = self.point.saturating_add(shift);
        if self.is_zero() || point <= 0 {
            return Some(0);
        }
        let len = usize::try_from(point).ok().filter(|len| *len <= 30)?;
        let digits = self.digits.iter().chain(core::iter::repeat(&0)).take(len);
        Some(digits.fold(0, |number, digit| number * 10 + u128::from(*digit)))
    }

    /// What is behind the whole part.
    fn rest(&self, shift: i64) -> Rest {
        let point = self.point.saturating_add(shift);
        let rest = match usize::try_from(point) {
            Ok(point) => self.digits.get(point..).unwrap_or_default(),
            Err(_) if self.is_zero() => return Rest::Zero,
            // There are zeros between the point and the first digit.
            Err(_) => return Rest::LessThanHalf,
        };
        let more = rest.iter().skip(1).any(|digit| *digit > 0);
        match rest.first() {
            None | Some(0) if !more => Rest::Zero,
            Some(5) if !more => Rest::Half,
            Some(5..) => Rest::MoreThanHalf,
            _ => Rest::LessThanHalf,
        }
    }
}

/// The exponent; one that is too large for any number is the largest.
fn exponent_of(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    const MOST: i64 = 1 << 40;
    let exponent = digits.parse().map_or(MOST, |exponent: i64| exponent.min(MOST));
    Some(if text.starts_with('-') { -exponent } else { exponent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_rounded_halves_to_even() {
        for (text, number, exact) in [
            ("45.0", 45, true),
            ("1e3", 1000, true),
            ("1.25e2", 125, true),
            ("0.5", 0, false),
            ("1.5", 2, false),
            ("2.5", 2, false),
            ("2.50000000000000000001", 3, false),
            ("12.7", 13, false),
            ("0.05", 0, false),
            ("5e-1", 0, false),
            ("15e-1", 2, false),
            ("0", 0, true),
            ("-0", 0, true),
            ("-0.0", 0, true),
            ("0e999999999999999999999", 0, true),
            ("-5", 0, false),
            ("1e-999999999999999999999", 0, false),
            ("1e999999999999999999999", u64::MAX, false),
            ("18446744073709551615", u64::MAX, true),
            ("18446744073709551615.4", u64::MAX, false),
            ("18446744073709551616", u64::MAX, false),
            ("007", 7, true),
        ] {
            assert_eq!(rounded(text), Some(Rounded { number, exact }), "{text}");
        }
        for text in ["", "-", ".5", "1e", "1e+", "1,5", "0x1", "NaN", "1.5.2", "--1", "é"] {
            assert_eq!(rounded(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_and_milliseconds_are_times() {
        for (text, expected) in [
            ("1795415400", 1_795_415_400_000_000),
            ("1795415400.123456", 1_795_415_400_123_456),
            ("1795415400.1234569", 1_795_415_400_123_456),
            ("1795415400123", 1_795_415_400_123_000),
            ("1795415400123.4567", 1_795_415_400_123_456),
            ("1.795415400e9", 1_795_415_400_000_000),
            ("0", 0),
            ("-1", -1_000_000),
            ("-0.0000001", -1),
            ("99999999999", 99_999_999_999_000_000),
            ("100000000000", 100_000_000_000_000),
        ] {
            assert_eq!(micros(text), Some(expected), "{text}");
        }
        for text in ["1e20", "1e99", "x", ""] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn rounding_is_that_of_floating_point(number in 0.0..9e15_f64) {
            let text = number.to_string();
            prop_assert_eq!(rounded(&text).unwrap().number as f64, number.round_ties_even());
        }

        #[test]
        fn no_text_panics(text in "-?[0-9.eE+-]{0,12}") {
            let _ = rounded(&text);
            let _ = micros(&text);
        }
    }
}
