//! Tells a line as a store writes it, without reading its values: that takes a fraction of the time. Whatever is not as plain
//! as that is read as any line is.

use audit_format::event_fields;
use audit_format::time::{TEXT_LEN, Timestamp};
use memchr::memchr;

/// The most digits of a number that fits into 64 bits whatever they are.
const DIGITS: usize = 19;

/// What is left of a line that is being looked through.
struct Rest<'l>(&'l [u8]);

/// The length of the part of a line that is hashed, without its closing bracket; none: the line is not plain, and may be
/// anything.
///
/// A plain line has no escapes and no attributes, and all else is in its place.
pub fn body(line: &[u8]) -> Option<usize> {
    let is_special = |byte: u8| (byte < 0x20) | (byte == b'\\');
    // Without an early exit, many bytes are compared at once.
    if line.iter().fold(false, |found, byte| found | is_special(*byte)) {
        return None;
    }
    let mut rest = Rest(line);
    rest.skip(b"{\"ts\":\"")?;
    Timestamp::parse_stored(rest.take(TEXT_LEN)?)?;
    rest.skip(b"\"")?;
    macro_rules! look_through {
        ($(($field:ident $name:ident $kind:ident $filtered:ident $older:tt $about:literal))*) => {
            $(look_through!(@ $kind $field);)*
        };
        (@ Time $field:ident) => {};
        (@ $kind:ident $field:ident) => {
            rest.skip(concat!(",\"", stringify!($field), "\":").as_bytes())?;
            look_through!(# $kind);
        };
        (# Text) => { rest.text()? };
        (# Number) => { rest.number()? };
        (# Optional) => { rest.optional()? };
    }
    event_fields!([look_through]);
    rest.skip(b",\"id\":\"")?;
    rest.id()?;
    rest.skip(b"\",\"chain\":\"")?;
    rest.id()?;
    rest.skip(b"\",\"seq\":")?;
    rest.number()?;
    let body = line.len() - rest.0.len();
    rest.skip(b",\"hash\":\"")?;
    let is_hash = rest.take(64)?.iter().fold(true, |all, byte| all & is_digit(*byte));
    if !is_hash || rest.0 != b"\"}" {
        return None;
    }
    str::from_utf8(line).is_ok().then_some(body)
}

impl<'l> Rest<'l> {
    fn skip(&mut self, bytes: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(())
    }

    fn take(&mut self, len: usize) -> Option<&'l [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn text(&mut self) -> Option<()> {
        self.skip(b"\"")?;
        let end = memchr(b'"', self.0)?;
        self.0 = &self.0[end + 1..];
        Some(())
    }

    fn optional(&mut self) -> Option<()> {
        if self.skip(b"null").is_some() { Some(()) } else { self.text() }
    }

    fn number(&mut self) -> Option<()> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_number = (1..=DIGITS).contains(&digits) && (digits == 1 || self.0.first() != Some(&b'0'));
        self.0 = &self.0[digits..];
        is_number.then_some(())
    }

    /// An identifier as `audit_format::id::parse` takes it, which also computes its value.
    fn id(&mut self) -> Option<()> {
        let id = self.take(36)?;
        let hyphens = id.iter().fold(0_u8, |count, byte| count + u8::from(*byte == b'-'));
        let is_id = hyphens == 4
            && [8, 13, 18, 23].iter().all(|place| id[*place] == b'-')
            && id.iter().fold(true, |all, byte| all & (is_digit(*byte) | (*byte == b'-')))
            && id.iter().fold(false, |any, byte| any | !matches!(byte, b'0' | b'-'));
        is_id.then_some(())
    }
}

/// Whether a byte is a digit of hexadecimal numbers as stores write them. All of a text are looked at at once, where
/// nothing ends that early.
fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() | (b'a'..=b'f').contains(&byte)
}
