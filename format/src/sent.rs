//! Encodes the line of an event that a caller sent as JSON. Of a plain line whose members stand in the order of the stored
//! line, what is alike is copied, and no event is made: programs that write JSON lines mostly write such ones, and it takes
//! a fraction of the time. All other lines are parsed and encoded, with the same result.

use crate::Invalid;
use crate::attributes::{self, MAX_COUNT, MAX_VALUE};
use crate::event::{Dated, Field, Kind, MAX_INDEXED};
use crate::event_fields;
use crate::leaf;
use crate::limit::MAX_LEN;
use crate::line::{self, put_stamp, room};
use crate::mended::Mended;
use crate::plain::Scanner;
use crate::read::parse_sent;
use crate::time::{TEXT_LEN, Timestamp};
use alloc::vec::Vec;
use uuid::Uuid;

/// Appends the line of the event in `line`, a JSON object, as [`parse_sent`], [`Dated::new`] and [`line::encode`] do it.
/// Returns when the event happened, and what was changed in it.
///
/// # Errors
/// Those of [`parse_sent`] and [`Dated::new`]. Nothing is appended then.
pub fn encode(
    line: &str,
    now: Timestamp,
    id: Uuid,
    chain: Uuid,
    seq: u64,
    out: &mut Vec<u8>,
) -> Result<(Timestamp, Mended), Invalid> {
    if let Some(at) = put_plain(line, now, room(seq), out) {
        put_stamp(id, chain, seq, &leaf::UNSEALED, out);
        return Ok((at, Mended::default()));
    }
    let mut event = Dated::new(parse_sent(line)?, now)?;
    line::encode(&mut event, id, chain, seq, out);
    Ok((event.instant(), event.mended()))
}

/// Appends the event's JSON object, but for its closing bracket, if it has `room` bytes at most with it. Returns when the
/// event happened. None: the line needs the general way, and nothing is appended.
fn put_plain(line: &str, now: Timestamp, room: usize, out: &mut Vec<u8>) -> Option<Timestamp> {
    if line.len() > MAX_LEN {
        return None;
    }
    out.reserve(MAX_LEN);
    let start = out.len();
    let at = Copier { from: Scanner::new(line), copied: 0, more: true, now, out }.event();
    let at = at.filter(|_| out.len() - start + "}".len() <= room);
    if at.is_none() {
        out.truncate(start);
    }
    at
}

/// A member of the stored line.
struct Member {
    /// Its name in quotes.
    name: &'static str,
    kind: Kind,
    /// The most bytes of its text.
    most: usize,
}

macro_rules! members {
    ($(($field:ident $name:ident $kind:ident $filtered:ident $older:tt $about:literal))*) => {
        [$(Member {
            name: concat!("\"", stringify!($field), "\""),
            kind: Field::$name.kind(),
            most: if Field::$name.is_filtered() { MAX_INDEXED } else { MAX_LEN },
        }),*]
    };
}

static MEMBERS: [Member; Field::ALL.len()] = event_fields!([members]);

/// Copies the members of a line, and adds those that are absent.
struct Copier<'l, 'o> {
    from: Scanner<'l>,
    /// What stands before this place in the line is copied, as far as it has to be.
    copied: usize,
    /// Whether a member comes next, and not the end of the object.
    more: bool,
    now: Timestamp,
    out: &'o mut Vec<u8>,
}

impl Copier<'_, '_> {
    fn event(&mut self) -> Option<Timestamp> {
        self.space();
        self.from.take(b"{").then_some(())?;
        self.space();
        let mut at = self.now;
        for member in &MEMBERS {
            if !self.named(member.name) {
                self.insert(member);
                continue;
            }
            self.colon()?;
            match member.kind {
                Kind::Time => at = self.time()?,
                Kind::Number => self.number()?,
                Kind::Text | Kind::Optional => self.text(member)?,
            }
            self.separator()?;
        }
        if self.named("\"attributes\"") {
            self.colon()?;
            self.attributes()?;
            self.separator()?;
        }
        self.copy();
        if self.more {
            // The comma before the members that are not copied.
            self.out.pop();
            self.stamp()?;
        }
        self.from.is_at_end().then_some(at)
    }

    /// Copies what was read since the last copy.
    fn copy(&mut self) {
        self.out.extend_from_slice(self.from.since(self.copied));
        self.copied = self.from.at();
    }

    /// Passes over white space, which is not copied.
    #[inline(always)]
    fn space(&mut self) {
        if self.from.is_at_space() {
            self.copy_before_space();
        }
    }

    fn copy_before_space(&mut self) {
        self.copy();
        self.from.skip_space();
        self.copied = self.from.at();
    }

    /// Reads the name of the next member, if it is this one.
    #[inline(always)]
    fn named(&mut self, name: &'static str) -> bool {
        self.more && self.from.take(name.as_bytes())
    }

    fn colon(&mut self) -> Option<()> {
        self.space();
        self.from.take(b":").then_some(())?;
        self.space();
        Some(())
    }

    /// Reads what follows a value.
    fn separator(&mut self) -> Option<()> {
        self.space();
        if self.from.take(b",") {
            self.space();
            return Some(());
        }
        self.copy();
        self.more = false;
        self.from.take(b"}").then_some(())?;
        self.copied = self.from.at();
        Some(())
    }

    /// Adds a member that is absent from the line.
    fn insert(&mut self, member: &Member) {
        self.copy();
        if !self.more {
            self.out.push(b',');
        }
        self.out.extend_from_slice(member.name.as_bytes());
        self.out.push(b':');
        match member.kind {
            Kind::Time => self.out.extend_from_slice(&quoted(self.now)),
            Kind::Number => self.out.push(b'0'),
            Kind::Text => self.out.extend_from_slice(b"\"\""),
            Kind::Optional => self.out.extend_from_slice(b"null"),
        }
        if self.more {
            self.out.push(b',');
        }
    }

    /// Puts a value in the place of the one that was read from `start` on.
    fn replace(&mut self, start: usize, value: &[u8]) {
        self.out.extend_from_slice(&self.from.since(self.copied)[..start - self.copied]);
        self.out.extend_from_slice(value);
        self.copied = self.from.at();
    }

    fn time(&mut self) -> Option<Timestamp> {
        let start = self.from.at();
        let text = if self.from.take(b"null") { "" } else { self.from.quoted()? };
        if text.is_empty() {
            self.replace(start, &quoted(self.now));
            return Some(self.now);
        }
        Timestamp::parse_stored(text.as_bytes())
    }

    fn text(&mut self, member: &Member) -> Option<()> {
        let start = self.from.at();
        if let Some(text) = self.from.quoted() {
            return (text.len() <= member.most).then_some(());
        }
        self.from.take(b"null").then_some(())?;
        if member.kind == Kind::Text {
            self.replace(start, b"\"\"");
        }
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let start = self.from.at();
        if self.from.take(b"null") {
            self.replace(start, b"0");
            return Some(());
        }
        self.from.number().map(drop)
    }

    /// Attributes that have the stored form already; there is one at least.
    fn attributes(&mut self) -> Option<()> {
        let (mut count, mut last) = (0, "");
        self.from.take(b"{").then_some(())?;
        loop {
            self.space();
            let key = self.from.quoted()?;
            self.colon()?;
            let value = self.from.quoted()?;
            count += 1;
            if count > MAX_COUNT || last >= key || !attributes::is_accepted(key) || value.len() > MAX_VALUE {
                return None;
            }
            last = key;
            self.space();
            if !self.from.take(b",") {
                return self.from.take(b"}").then_some(());
            }
        }
    }

    /// Passes over the stamp of a stored line: the store gives its own.
    fn stamp(&mut self) -> Option<()> {
        for name in ["\"id\"", "\"chain\"", "\"seq\"", "\"hash\""] {
            if self.more && self.from.take(name.as_bytes()) {
                self.from.skip_space();
                self.from.take(b":").then_some(())?;
                self.from.skip_space();
                if self.from.quoted().is_none() && !self.from.take(b"null") {
                    self.from.number()?;
                }
                self.from.skip_space();
                self.more = self.from.take(b",");
                self.from.skip_space();
            }
        }
        (!self.more && self.from.take(b"}")).then_some(())
    }
}

/// The text of an instant as JSON.
fn quoted(at: Timestamp) -> [u8; TEXT_LEN + 2] {
    let mut text = [b'"'; TEXT_LEN + 2];
    text[1..=TEXT_LEN].copy_from_slice(&at.text());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;

    const ID: Uuid = Uuid::from_u128(0x01934c5e_7b1a_7000_8000_00000000000a);
    const NOW: Timestamp = Timestamp::MIN;

    type Encoded = Result<(String, Timestamp, Mended), Invalid>;

    fn encoded(line: &str, seq: u64) -> Encoded {
        let mut out = b"before".to_vec();
        let answer = encode(line, NOW, ID, ID, seq, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("before") && (answer.is_ok() || text == "before"));
        answer.map(|(at, mended)| (text["before".len()..].into(), at, mended))
    }

    /// As every line can be encoded.
    fn in_general(line: &str, seq: u64) -> Encoded {
        let mut event = Dated::new(parse_sent(line)?, NOW)?;
        let mut out = Vec::new();
        line::encode(&mut event, ID, ID, seq, &mut out);
        Ok((String::from_utf8(out).unwrap(), event.instant(), event.mended()))
    }

    fn is_plain(line: &str) -> bool {
        put_plain(line, NOW, room(0), &mut Vec::new()).is_some()
    }

    #[test]
    fn lines_of_programs_need_no_event() {
        for line in [
            r#"{"tool":"a"}"#,
            r#"{"ts":"2026-11-23T06:30:00.000000Z","tool":"a","duration_ms":7}"#,
            r#" { "ts" : "" , "tool" : "a" , "in_size" : 5, "job_id": null, "attributes": { "a" : "b", "c":"" } } "#,
            r#"{"req_id":null,"duration_ms":null,"graph_run_id":"x","id":"y","chain":null,"seq":5,"hash":"z"}"#,
        ] {
            assert!(is_plain(line), "{line}");
            assert_eq!(encoded(line, 0), in_general(line, 0), "{line}");
        }
        let stored = encoded(r#"{"tool":"a","attributes":{"k":"v"}}"#, 9).unwrap().0;
        assert!(is_plain(&stored));
        assert_eq!(encoded(&stored, 9).unwrap().0, stored);
    }

    #[test]
    fn what_has_to_be_changed_or_refused_is_changed_or_refused() {
        let long = format!(r#"{{"tool":"{}"}}"#, "x".repeat(2601));
        let full = format!(r#"{{"input_hash":"{}"}}"#, "x".repeat(3700));
        for line in [
            &*long,
            &*full,
            r#"{}"#,
            r#"{"tool":"a",}"#,
            r#"{"tool" "a"}"#,
            r#"{"tool":"a"} x"#,
            r#"{"tool":"a"}}"#,
            r#"{"tool":"a","tool":"b"}"#,
            r#"{"status":"a","tool":"b"}"#,
            r#"{"tool":"a\u0000"}"#,
            r#"{"tool":"a"#,
            r#"{"tool":"a\null}"#,
            r#"{"tool":"a\null"}"#,
            r#"{"attributes":{"a"#,
            r#"{"tool":5}"#,
            r#"{"in_size":05}"#,
            r#"{"in_size":5.5}"#,
            r#"{"in_size":18446744073709551616}"#,
            r#"{"ts":"2026-11-23"}"#,
            r#"{"ts":5}"#,
            r#"{"odd":1}"#,
            r#"{"attributes":{}}"#,
            r#"{"attributes":{"b":"1","a":"2"}}"#,
            r#"{"attributes":{"A":"1"}}"#,
            r#"{"attributes":{"a":null}}"#,
            r#"{"id":{}}"#,
            r#"{"tool":"a","id":"b","tool":"c"}"#,
            r#"[]"#,
            "",
        ] {
            assert!(!is_plain(line), "{line}");
            assert_eq!(encoded(line, 0), in_general(line, 0), "{line}");
        }
    }

    /// A piece of a line: values of every kind, some with what cannot be copied.
    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            8 => "\"[a-zé ]{0,40}\"",
            2 => Just("\"2026-11-23T06:30:00.123456Z\"".into()),
            2 => "[0-9]{1,20}",
            1 => Just("null".into()),
            1 => Just("{\"a\":\"b\", \"c\" :\"d\"}".into()),
            1 => "\"[a-z]{2590,2610}\"",
            1 => "(\"[a-z\"\\\\\u{1}]{0,5}\"|[{}\\[\\],:0-9.e-]{1,4}|true)",
        ]
    }

    /// Members in the order of the stored line as a rule, with gaps and spaces.
    fn sent_line() -> impl Strategy<Value = String> {
        let names =
            crate::event::Field::NAMES.into_iter().chain([attributes::NAME, "id", "chain", "seq", "hash"]);
        let names: Vec<&str> = names.collect();
        let count = names.len();
        let swap = proptest::option::weighted(0.2, (0..count, 0..count));
        let members = proptest::collection::vec(proptest::option::weighted(0.7, value()), count);
        (members, swap, "( |\t|\r){0,2}", "(|}|,| x)").prop_map(move |(members, swap, space, end)| {
            let mut named: Vec<_> = names.iter().zip(members).collect();
            if let Some((a, b)) = swap {
                named.swap(a, b);
            }
            let member = |(name, value): (&&str, Option<String>)| {
                value.map(|value| format!("{space}\"{name}\"{space}:{space}{value}{space}"))
            };
            let members: Vec<String> = named.into_iter().filter_map(member).collect();
            format!("{space}{{{}}}{end}", members.join(","))
        })
    }

    proptest! {
        #[test]
        fn every_line_is_encoded_as_in_the_general_way(line in sent_line(), seq in any::<u64>()) {
            prop_assert_eq!(encoded(&line, seq), in_general(&line, seq));
        }

        #[test]
        fn a_plain_line_with_one_byte_changed_is_encoded_as_in_the_general_way(
            place in any::<prop::sample::Index>(),
            byte in prop_oneof![Just(b'"'), Just(b'\\'), Just(b','), Just(b':'), Just(b'}'), Just(b' '), 0_u8..128],
        ) {
            let line = r#"{"ts":"2026-11-23T06:30:00.123456Z","tool":"search","status":"ok","in_size":12,"job_id":null}"#;
            let mut bytes = line.as_bytes().to_vec();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let line = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(encoded(&line, 0), in_general(&line, 0));
        }

        #[test]
        fn a_line_as_long_as_one_can_be_is_encoded_as_in_the_general_way(len in 3400..4096_usize, seq in any::<u64>()) {
            let line = format!(r#"{{"input_hash":"{}"}}"#, "x".repeat(len));
            prop_assert_eq!(encoded(&line, seq), in_general(&line, seq));
        }
    }
}
