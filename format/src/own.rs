//! Recognizing the lines that a store wrote, without making events of them: a read passes most lines on as they lie.

use crate::attributes;
use crate::cursor::Key;
use crate::event::Kind;
use crate::event_fields;
use crate::id;
use crate::leaf;
use crate::plain::plain_len;
use crate::time::{StoredTimes, TEXT_LEN};

/// The length of an identifier, in bytes.
const ID_LEN: usize = 36;

/// The most digits that every number of so many fits `u64`.
const DIGITS: usize = 19;

/// What a line begins with, before its `ts`.
const START: &[u8] = b"{\"ts\":\"";

/// The `ts` of a line, without its newline, that begins and ends as those of a store do; it may have any form. None: the
/// line has to be parsed for it, as where somebody has added another `ts`, which then counts.
pub fn ts(line: &[u8]) -> Option<&[u8; TEXT_LEN]> {
    let (ts, rest) = line.strip_prefix(START)?.split_first_chunk()?;
    let is_own = rest.first() == Some(&b'"') && leaf::ends_as_stored(line) && !may_have_ts(rest);
    is_own.then_some(ts)
}

/// Whether a member with the name `ts` may be among these bytes.
fn may_have_ts(bytes: &[u8]) -> bool {
    let four = |four: &[u8]| {
        let is_ts = (four[0] == b'"') & (four[1] == b't') & (four[2] == b's') & (four[3] == b'"');
        // Names can be written with escapes too.
        is_ts | (four[0] == b'\\') & (four[1] == b'u')
    };
    // Without an early exit the compiler makes this look at 16 places at once.
    bytes.windows(4).fold(false, |found, next| found | four(next))
}

/// The key of a line, without its newline, that is exactly as a store writes lines without escapes. None: it may be any
/// line, and has to be parsed.
///
/// ```
/// assert!(audit_format::own::key("{\"tool\":\"search\"}", &mut Default::default()).is_none());
/// ```
pub fn key(line: &str, times: &mut StoredTimes) -> Option<Key> {
    let mut rest = Rest { bytes: line.as_bytes(), at: 0 };
    macro_rules! pass {
        ($(($field:ident $name:ident $kind:ident $filtered:ident $older:tt $about:literal))*) => {
            $(
                rest.separator()?;
                rest.pass(concat!("\"", stringify!($field), "\":").as_bytes())?;
                rest.value(Kind::$kind)?;
            )*
        };
    }
    event_fields!([pass]);
    rest.attributes()?;
    rest.pass(b",\"id\":\"")?;
    let id = id::parse(core::str::from_utf8(rest.take(ID_LEN)?).ok()?)?;
    rest.pass(b"\",\"chain\":\"")?;
    id::parse(core::str::from_utf8(rest.take(ID_LEN)?).ok()?)?;
    rest.pass(b"\",\"seq\":")?;
    rest.number()?;
    rest.pass(leaf::BEFORE)?;
    let hash = rest.take(leaf::UNSEALED.len())?;
    let hexadecimal = |byte: u8| byte.is_ascii_digit() | (b'a'..=b'f').contains(&byte);
    // Without an early exit the compiler makes this compare 16 bytes at once.
    if !hash.iter().fold(true, |all, byte| all & hexadecimal(*byte)) {
        return None;
    }
    rest.pass(b"\"}")?;
    if rest.at != line.len() {
        return None;
    }
    let ts = line.as_bytes()[START.len()..].first_chunk()?;
    Some(Key::of_entry(times.parse(ts)?, id))
}

/// A line, and how far it was passed.
struct Rest<'l> {
    bytes: &'l [u8],
    at: usize,
}

impl<'l> Rest<'l> {
    /// The next bytes, which are passed.
    #[inline]
    fn take(&mut self, len: usize) -> Option<&'l [u8]> {
        let taken = self.bytes.get(self.at..self.at + len)?;
        self.at += len;
        Some(taken)
    }

    #[inline]
    fn pass(&mut self, expected: &[u8]) -> Option<()> {
        (self.take(expected.len())? == expected).then_some(())
    }

    fn next_is(&self, byte: u8) -> bool {
        self.bytes.get(self.at) == Some(&byte)
    }

    /// Passes what is before a field.
    #[inline]
    fn separator(&mut self) -> Option<()> {
        let separator = if self.at == 0 { b'{' } else { b',' };
        self.pass(&[separator])
    }

    #[inline]
    fn value(&mut self, kind: Kind) -> Option<()> {
        match kind {
            Kind::Time => {
                self.pass(b"\"")?;
                self.take(TEXT_LEN)?;
                self.pass(b"\"")
            }
            Kind::Text => self.text(),
            Kind::Optional if self.next_is(b'n') => self.pass(b"null"),
            Kind::Optional => self.text(),
            Kind::Number => self.number(),
        }
    }

    #[inline]
    fn text(&mut self) -> Option<()> {
        self.pass(b"\"")?;
        self.at += plain_len(&self.bytes[self.at..]);
        self.pass(b"\"")
    }

    #[inline]
    fn number(&mut self) -> Option<()> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        let len = self.at - start;
        // JSON has no leading zeros.
        let is_number = len == 1 || (2..=DIGITS).contains(&len) && self.bytes[start] != b'0';
        is_number.then_some(())
    }

    /// Passes the attributes, if there are some.
    fn attributes(&mut self) -> Option<()> {
        const NAME: &[u8] = b",\"attributes\":{";
        debug_assert_eq!(&NAME[2..NAME.len() - 3], attributes::NAME.as_bytes());
        if !self.bytes[self.at..].starts_with(NAME) {
            return Some(());
        }
        self.at += NAME.len();
        loop {
            self.text()?;
            self.pass(b":")?;
            self.text()?;
            match self.take(1)? {
                b"," => {}
                b"}" => return Some(()),
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Attribute;
    use crate::event::Event;
    use crate::line::{Stamp, put_entry};
    use crate::read::parse_stored;
    use crate::time::{Timestamp, is_stored_text};
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;
    use uuid::Uuid;

    /// The line of an entry, without its newline.
    fn line(text: &str, number: u64, node: Option<String>, attributes: Vec<(String, String)>) -> String {
        let event = Event {
            ts: "2026-11-23T06:30:00.123456Z".into(),
            tool: text.into(),
            in_size: number,
            graph_node: node.map(Into::into),
            attributes: attributes.into_iter().map(|(key, value)| Attribute::new(key, value)).collect(),
            ..Event::default()
        };
        let id = Uuid::from_u128(7 << 76 | 2 << 62 | u128::from(number));
        let stamp = Stamp { id, chain: id, seq: number, hash: "a1".repeat(32).into() };
        let mut line = Vec::new();
        put_entry(&event, &stamp, &mut line);
        String::from_utf8(line).unwrap().trim_end().into()
    }

    fn lines() -> impl Strategy<Value = String> {
        let number = prop_oneof![0..20_u64, any::<u64>()];
        let pairs = prop::collection::vec(("[a-z]{1,4}", "[a-z検]{0,9}"), 0..3);
        ("[a-z \\\\\"検\u{1f600}]{0,12}", number, prop::option::of("[a-z]{0,9}"), pairs)
            .prop_map(|(text, number, node, attributes)| line(&text, number, node, attributes))
    }

    #[test]
    fn a_line_that_may_have_another_ts_has_to_be_parsed() {
        let line = line("t", 1, None, Vec::new());
        let (start, end) = line.split_once(",\"req_id\"").unwrap();
        for (added, is_own) in
            [("\"tsx\":1", true), ("\"ts\":1", false), ("\"\\u0074s\":1", false), ("\"t\\u0073\" :1", false)]
        {
            let line = std::format!("{start},{added},\"req_id\"{end}");
            assert_eq!(ts(line.as_bytes()).is_some(), is_own, "{added}");
        }
    }

    proptest! {
        #[test]
        fn a_line_of_a_store_without_escapes_is_recognized(line in lines()) {
            let parsed = parse_stored(&line).unwrap();
            let stamp = parsed.stamp.unwrap();
            let short = |number: u64| number < 10_000_000_000_000_000_000;
            let expected = (!line.contains('\\') && short(stamp.seq)).then(|| {
                Key::of_entry(Timestamp::parse(&parsed.event.ts).unwrap(), stamp.id)
            });
            prop_assert_eq!(key(&line, &mut StoredTimes::default()), expected);
            let own = !line.contains("\\u");
            prop_assert_eq!(ts(line.as_bytes()).map(|ts| &ts[..]), own.then_some(parsed.event.ts.as_bytes()));
        }

        #[test]
        fn what_is_recognized_is_read_as_it_is(
            line in lines(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, "[ -~]"), 0..3),
        ) {
            let mut line = line;
            for (place, edit, text) in edits {
                let at = place.index(line.len());
                if !line.is_char_boundary(at) || !line.is_char_boundary(at + 1) {
                    continue;
                }
                match edit {
                    0 => line.replace_range(at..at + 1, ""),
                    1 => line.insert_str(at, &text),
                    2 => line.replace_range(at..at + 1, &text),
                    _ => line.truncate(at.max(1)),
                }
            }
            if let Some(key) = key(&line, &mut StoredTimes::default()) {
                let parsed = parse_stored(&line).unwrap();
                prop_assert_eq!(key.id, parsed.stamp.map(|stamp| stamp.id));
                prop_assert!(is_stored_text(parsed.event.ts.as_bytes()) && !line.contains('\\'));
                prop_assert_eq!(key.at, Timestamp::parse(&parsed.event.ts).unwrap());
            }
        }
    }
}
