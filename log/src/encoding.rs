//! Numbers and bytes as the formats of C2SP write them. There is one text for each value: whatever was read is
//! written as the same bytes.

use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding as _};

/// Base 64 with padding (RFC 4648, section 4).
pub fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// The bytes of a text in base 64, unless it is another text than `base64` makes of them.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok()
}

/// A decimal number without leading zeros.
pub fn from_decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_has_one_text() {
        for text in ["", "00", "01", "+1", "-1", " 1", "1 ", "1_0", "0x1", "18446744073709551616"] {
            assert_eq!(from_decimal(text), None, "{text:?}");
        }
        assert_eq!(from_decimal("0"), Some(0));
        assert_eq!(from_decimal("18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn bytes_have_one_text() {
        // Without padding, with bits that no byte has, with whitespace, in the alphabet of URLs.
        for text in ["QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "QQ == ", "_-8=", "=", "===="] {
            assert_eq!(from_base64(text), None, "{text:?}");
        }
        assert_eq!(from_base64("QQ==").as_deref(), Some(&b"A"[..]));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_the_same_text(text in "[A-Za-z0-9+/]{0,12}={0,2}") {
            if let Some(bytes) = from_base64(&text) {
                prop_assert_eq!(base64(&bytes), text);
            }
        }
    }
}
