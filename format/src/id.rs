//! UUIDv7 identifiers (RFC 9562, section 5.7) that strictly increase within one generator, even while the
//! clock stands still or is set back.

use crate::time::Timestamp;
use uuid::{Builder, Uuid};

/// The bits after the milliseconds: `rand_a` and `rand_b` of RFC 9562.
const TAIL_BITS: u32 = 74;
const TAIL_MASK: u128 = (1 << TAIL_BITS) - 1;

/// Generates identifiers: 48 bits of milliseconds, then a tail of 74 bits, which is random for the first
/// identifier of a millisecond and counts up for the next ones (RFC 9562, section 6.2, method 2).
#[derive(Debug, Default)]
pub struct Ids {
    /// The milliseconds and the tail of the last identifier.
    last: Option<(u64, u128)>,
}

impl Ids {
    /// The next identifier. `random` is called for the first one of a millisecond.
    pub fn next(&mut self, now: Timestamp, random: impl FnOnce() -> u128) -> Uuid {
        let millis = u64::try_from(now.micros().div_euclid(1000)).unwrap_or(0);
        let (millis, tail) = match self.last {
            Some((last, tail)) if millis <= last => (last, tail + 1),
            // The highest bit starts as 0, so that counting up cannot overflow.
            _ => (millis, random() & (TAIL_MASK >> 1)),
        };
        self.last = Some((millis, tail));
        let rand_a = (tail >> 62) as u16 & 0x0fff;
        let rand_b = tail as u64 & (u64::MAX >> 2);
        let mut random_bytes = [0; 10];
        random_bytes[..2].copy_from_slice(&rand_a.to_be_bytes());
        random_bytes[2..].copy_from_slice(&rand_b.to_be_bytes());
        Builder::from_unix_timestamp_millis(millis, &random_bytes).into_uuid()
    }
}

/// Parses an identifier in the form that a store writes: lower-case, with hyphens, not nil.
pub fn parse(text: &str) -> Option<Uuid> {
    if text.len() != 36 {
        return None;
    }
    let mut id = 0_u128;
    for (place, byte) in text.bytes().enumerate() {
        let digit = match (place, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        id = id << 4 | u128::from(digit);
    }
    (id != 0).then(|| Uuid::from_u128(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_strictly_increase_whatever_the_clock_does(
            clock in proptest::collection::vec((-10_000i64..10_000_000_000_000, any::<u128>()), 1..50),
        ) {
            let mut ids = Ids::default();
            let mut last: Option<Uuid> = None;
            for (micros, random) in clock {
                for _ in 0..3 {
                    let id = ids.next(Timestamp::clamped(micros), || random);
                    prop_assert_eq!(id.get_version_num(), 7);
                    prop_assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
                    if let Some(last) = last {
                        prop_assert!(id > last);
                        prop_assert!(id.to_string() > last.to_string());
                    }
                    last = Some(id);
                }
            }
        }
    }

    #[test]
    fn an_id_contains_its_millisecond() {
        let at = Timestamp::parse("2026-11-23T06:30:00.123456Z").unwrap();
        let id = Ids::default().next(at, || 0);
        assert_eq!(id.as_u128() >> 80, at.micros() as u128 / 1000);
    }

    #[test]
    fn only_the_form_that_a_store_writes_is_accepted() {
        let text = "01934c5e-7b1a-7000-8000-00000000000a";
        assert_eq!(parse(text), Uuid::try_parse(text).ok());
        assert!(parse("00000000-0000-0000-0000-000000000000").is_none());
        assert!(parse(&text.to_uppercase()).is_none());
        assert!(parse(&text.replace('-', "")).is_none());
    }
}
