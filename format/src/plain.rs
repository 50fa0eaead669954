//! A shortcut for plain lines: known fields once each, texts without escapes, whole numbers, null. That is
//! nearly every line, and costs a third of the general way. What is not plain is left to a general reader,
//! which also says what is wrong with it.

use crate::fields::{Fields, Name};
use crate::json::Json;
use crate::line::Parsed;
use alloc::borrow::Cow;

/// The line, if it is plain.
pub(crate) fn parse(line: &str) -> Option<Parsed<'_>> {
    let mut rest = Rest { line, at: 0 };
    let mut fields = Fields::default();
    rest.expect(b'{')?;
    loop {
        rest.expect(b'"')?;
        let name = Name::of(rest.text()?)?;
        rest.expect(b':')?;
        fields.put(name, rest.value()?).ok()?;
        match rest.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    rest.next().is_none().then(|| fields.finish())
}

/// What is not read yet.
struct Rest<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    fn bytes(&self) -> &'a [u8] {
        &self.line.as_bytes()[self.at..]
    }

    /// The next byte that is not white space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.line.as_bytes().get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(byte);
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn value(&mut self) -> Option<Json<'a>> {
        match self.next()? {
            b'"' => Some(Json::Text(Cow::Borrowed(self.text()?))),
            b'n' => {
                self.at += self.bytes().starts_with(b"ull").then_some(3)?;
                Some(Json::Null)
            }
            digit @ b'0'..=b'9' => self.number(digit),
            _ => None,
        }
    }

    /// A whole number after its first digit; what follows it is checked by the caller.
    fn number(&mut self, digit: u8) -> Option<Json<'a>> {
        let mut number = u64::from(digit - b'0');
        while let Some(digit @ b'0'..=b'9') = self.bytes().first() {
            // JSON has no leading zeros.
            if number == 0 {
                return None;
            }
            number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        Some(Json::Number(number))
    }

    /// A text after its opening quote, without escapes.
    fn text(&mut self) -> Option<&'a str> {
        let start = self.at;
        let len = plain_len(self.bytes());
        self.at += len + 1;
        // A control character or an escape is not plain.
        (self.line.as_bytes().get(start + len) == Some(&b'"')).then(|| &self.line[start..start + len])
    }
}

/// How many bytes come before the first quote, backslash or control character.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let zero_in = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut len = 0;
    for word in bytes.chunks_exact(8) {
        let word =
            u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]);
        let quote = zero_in(word ^ (ONES * u64::from(b'"')));
        let backslash = zero_in(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        // Bits above the lowest may be wrong because of a borrow; the lowest is right.
        let found = quote | backslash | control;
        if found != 0 {
            return len + (found.trailing_zeros() / 8) as usize;
        }
        len += 8;
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    len + bytes[len..].iter().position(special).unwrap_or(bytes.len() - len)
}
