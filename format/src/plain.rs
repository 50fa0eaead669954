//! A fast parser for plain lines: only known fields, each at most once, with texts without escapes, whole
//! numbers or null. Nearly every line is plain, and takes a third of the general parser's time. The general
//! parser reads all other lines, and says what is wrong with them.

use crate::attributes::Attribute;
use crate::fields::{Fields, Name};
use crate::json::{Json, Origin};
use alloc::borrow::Cow;
use alloc::vec::Vec;

/// Adds the members of a line to `fields`, which have none yet. None: it is not plain, and `fields` are of no use.
pub(crate) fn parse<'a>(line: &'a str, fields: &mut Fields<'a>) -> Option<()> {
    let mut scanner = Scanner::new(line);
    scanner.expect(b'{')?;
    loop {
        scanner.expect(b'"')?;
        let name = Name::of(scanner.text()?)?;
        scanner.expect(b':')?;
        fields.put(name, scanner.value()?, Origin::Caller).ok()?;
        match scanner.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    scanner.is_at_end().then_some(())
}

/// A line, and how far it was read.
pub(crate) struct Scanner<'a> {
    line: &'a str,
    /// The next byte to read.
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    /// How far the line was read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// What was read from `start` on.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.line.as_bytes()[start..self.at]
    }

    fn rest(&self) -> &'a [u8] {
        &self.line.as_bytes()[self.at..]
    }

    pub(crate) fn is_at_space(&self) -> bool {
        self.rest().first().is_some_and(is_space)
    }

    pub(crate) fn skip_space(&mut self) {
        while self.is_at_space() {
            self.at += 1;
        }
    }

    /// Whether only white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty()
    }

    /// Reads these bytes, if they come next.
    #[inline(always)]
    pub(crate) fn take(&mut self, bytes: &'static [u8]) -> bool {
        let is_next = starts_with(self.rest(), bytes);
        if is_next {
            self.at += bytes.len();
        }
        is_next
    }

    /// Reads the next byte that is not white space.
    fn next(&mut self) -> Option<u8> {
        self.skip_space();
        let byte = *self.rest().first()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn value(&mut self) -> Option<Json<'a>> {
        match self.next()? {
            b'"' => Some(Json::Text(Cow::Borrowed(self.text()?))),
            b'n' => {
                self.at += self.rest().starts_with(b"ull").then_some(3)?;
                Some(Json::Null)
            }
            digit @ b'0'..=b'9' => self.number_from(digit).map(Json::Number),
            b'{' => self.attributes().map(Json::Attributes),
            _ => None,
        }
    }

    /// Reads an object of texts after its opening bracket.
    fn attributes(&mut self) -> Option<Vec<Attribute<'a>>> {
        let mut attributes = Vec::new();
        loop {
            self.expect(b'"')?;
            let key = self.text()?;
            self.expect(b':')?;
            self.expect(b'"')?;
            attributes.push(Attribute::new(key, self.text()?));
            match self.next()? {
                b',' => {}
                b'}' => return Some(attributes),
                _ => return None,
            }
        }
    }

    /// Reads a whole number. The caller checks what follows it.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let digit = *self.rest().first().filter(|byte| byte.is_ascii_digit())?;
        self.at += 1;
        self.number_from(digit)
    }

    /// Reads a whole number after its first digit.
    fn number_from(&mut self, digit: u8) -> Option<u64> {
        let mut number = u64::from(digit - b'0');
        while let Some(digit @ b'0'..=b'9') = self.rest().first() {
            // JSON has no leading zeros.
            if number == 0 {
                return None;
            }
            number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        Some(number)
    }

    /// Reads a text without escapes. Where there is none, nothing is read.
    #[inline(always)]
    pub(crate) fn quoted(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.take(b"\"").then_some(())?;
        let text = self.text();
        if text.is_none() {
            self.at = start;
        }
        text
    }

    /// Reads a text without escapes, after its opening quote.
    fn text(&mut self) -> Option<&'a str> {
        let start = self.at;
        let end = start + plain_len(self.rest());
        // If it ends with a control character or an escape, or with the line, it is not plain.
        (self.line.as_bytes().get(end) == Some(&b'"')).then_some(())?;
        self.at = end + 1;
        Some(&self.line[start..end])
    }
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Whether the text begins with these bytes. WebAssembly has no instruction for that, and a call of `memcmp` costs more than
/// to compare a few words.
#[inline(always)]
fn starts_with(text: &[u8], bytes: &'static [u8]) -> bool {
    let Some(text) = text.get(..bytes.len()) else { return false };
    let ((words, rest), (ours, last)) = (text.as_chunks::<8>(), bytes.as_chunks::<8>());
    let is_same = |(a, b): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b);
    words.iter().zip(ours).all(is_same) && rest.iter().zip(last).all(|(a, b)| a == b)
}

/// How many bytes come before the first quote, backslash or control character.
pub(crate) fn plain_len(bytes: &[u8]) -> usize {
    let (chunks, rest) = bytes.as_chunks::<16>();
    let mut len = 0;
    for chunk in chunks {
        if let Some(place) = first_special(chunk) {
            return len + place;
        }
        len += chunk.len();
    }
    let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    len + rest.iter().position(special).unwrap_or(rest.len())
}

/// The place of the first quote, backslash or control character.
#[cfg(all(target_family = "wasm", target_feature = "simd128"))]
#[inline(always)]
fn first_special(chunk: &[u8; 16]) -> Option<usize> {
    use core::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, v128_load, v128_or};
    // SAFETY: there are 16 bytes, and `v128_load` needs no alignment.
    let bytes = unsafe { v128_load(chunk.as_ptr().cast()) };
    let control = u8x16_lt(bytes, u8x16_splat(0x20));
    let marks = v128_or(u8x16_eq(bytes, u8x16_splat(b'"')), u8x16_eq(bytes, u8x16_splat(b'\\')));
    let found = u8x16_bitmask(v128_or(control, marks));
    (found != 0).then(|| found.trailing_zeros() as usize)
}

/// The place of the first quote, backslash or control character.
#[cfg(not(all(target_family = "wasm", target_feature = "simd128")))]
#[inline(always)]
fn first_special(chunk: &[u8; 16]) -> Option<usize> {
    const ONES: u128 = u128::MAX / 255;
    const HIGH: u128 = ONES << 7;
    let word = u128::from_le_bytes(*chunk);
    // Sets the high bit of bytes that are 0.
    let zero_in = |word: u128| word.wrapping_sub(ONES) & !word & HIGH;
    let quote = zero_in(word ^ (ONES * u128::from(b'"')));
    let backslash = zero_in(word ^ (ONES * u128::from(b'\\')));
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    // A borrow can set wrong bits above the lowest one that is set. Only the lowest is used.
    let found = quote | backslash | control;
    (found != 0).then(|| (found.trailing_zeros() / 8) as usize)
}
