//! What is kept of a call's arguments: their size, and a hash of their canonical form (RFC 8785), which is the same in whatever
//! order and with whatever white space a source writes them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use sha2::{Digest as _, Sha256};

use super::hex;
use crate::message::Failure;

/// The longest arguments, in bytes, of which the canonical form is hashed. Of longer ones, the bytes are hashed as they came,
/// so that memory is bounded.
pub(crate) const MAX_CANONICAL: usize = 16 << 20;

/// The arguments of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    /// In bytes: of the canonical form, else as they came.
    pub(crate) size: u64,
    /// In hexadecimal.
    pub(crate) hash: String,
    /// There is no canonical form: they are no JSON, have a key twice, or are too long.
    pub(crate) is_raw: bool,
}

/// Hashes arguments: with SHA-256, or, with a key, with HMAC-SHA-256, so that nobody can guess short ones.
#[derive(Clone, Default)]
pub(crate) struct Hasher(State);

#[derive(Clone)]
enum State {
    Plain(Sha256),
    Keyed(Box<Hmac<Sha256>>),
}

impl Default for State {
    fn default() -> Self {
        Self::Plain(Sha256::new())
    }
}

/// The longest key file, in bytes: a longer one is another file by mistake.
const MAX_KEY: u64 = 4096;

/// The shortest key, in bytes.
const MIN_KEY: usize = 16;

impl Hasher {
    /// Hashes with the key in this file, without white space around it.
    pub(crate) fn with_key_file(path: &Path) -> Result<Self, Failure> {
        let failure =
            |why: &dyn fmt::Display| Failure::because(format!("--hash-key-file: {}", path.display()), why);
        let file = open_readable(path).map_err(|error| failure(&error))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = file.metadata().map_err(|error| failure(&error))?.permissions().mode();
            if mode & 0o077 != 0 {
                let why = format!(
                    "others may read it (mode {:o}); accepted is a file of its owner alone (chmod 600)",
                    mode & 0o777
                );
                return Err(failure(&why));
            }
        }
        let mut key = Vec::new();
        file.take(MAX_KEY + 1).read_to_end(&mut key).map_err(|error| failure(&error))?;
        let key = key.trim_ascii();
        if key.len() < MIN_KEY || key.len() as u64 > MAX_KEY {
            let why = format!(
                "it has {} bytes; accepted are {MIN_KEY} to {MAX_KEY}, such as from `openssl rand -hex 32`",
                key.len()
            );
            return Err(failure(&why));
        }
        let keyed = Hmac::new_from_slice(key).map_err(|error| failure(&error))?;
        Ok(Self(State::Keyed(Box::new(keyed))))
    }

    /// The arguments as JSON text of any size, all at once.
    pub(crate) fn input(&self, json: &[u8]) -> Input {
        let mut incoming = Incoming::new(self);
        incoming.push(json);
        incoming.finish()
    }

    fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Plain(hash) => hash.update(bytes),
            State::Keyed(hash) => hash.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self.0 {
            State::Plain(hash) => hex(&hash.finalize()),
            State::Keyed(hash) => hex(&hash.finalize().into_bytes()),
        }
    }
}

/// Opens a file to read it. A pipe would make wait.
fn open_readable(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    File::open(path)
}

/// Arguments that come in pieces of JSON text.
pub(crate) struct Incoming {
    hasher: Hasher,
    /// What has come, unless it is too long and in the hash already.
    text: Vec<u8>,
    size: u64,
}

impl Incoming {
    pub(crate) fn new(hasher: &Hasher) -> Self {
        Self { hasher: hasher.clone(), text: Vec::new(), size: 0 }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        let was_kept = self.size <= MAX_CANONICAL as u64;
        self.size += piece.len() as u64;
        if self.size <= MAX_CANONICAL as u64 {
            self.text.extend_from_slice(piece);
            return;
        }
        if was_kept {
            self.hasher.update(&std::mem::take(&mut self.text));
        }
        self.hasher.update(piece);
    }

    pub(crate) fn finish(mut self) -> Input {
        let canonical = (self.size <= MAX_CANONICAL as u64).then(|| canonical(&self.text)).flatten();
        let is_raw = canonical.is_none();
        let hashed = canonical.as_deref().unwrap_or(&self.text);
        let size = if is_raw { self.size } else { hashed.len() as u64 };
        self.hasher.update(hashed);
        Input { size, hash: self.hasher.finish(), is_raw }
    }
}

/// The canonical form of a JSON text. Of a text that is JSON itself, as some sources give arguments, that of this JSON. None:
/// it has none.
fn canonical(json: &[u8]) -> Option<Vec<u8>> {
    let outer = canonical_form(json)?;
    if outer.first() == Some(&b'"') {
        let inner: String = serde_json::from_slice(&outer).ok()?;
        if inner.trim_start().starts_with(['{', '[']) {
            return Some(canonical_form(inner.as_bytes()).unwrap_or(outer));
        }
    }
    Some(outer)
}

fn canonical_form(json: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(json.len());
    let mut parser = serde_json::Deserializer::from_slice(json);
    Canonical(&mut out).deserialize(&mut parser).ok()?;
    parser.end().ok()?;
    Some(out)
}

/// Appends the canonical form of one value.
struct Canonical<'o>(&'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Canonical<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Canonical<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        number(value as f64, self.0);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        number(value as f64, self.0);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        number(value, self.0);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        quote(text, self.0);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let start = self.0.len();
        self.0.push(b'[');
        while items.next_element_seed(Canonical(self.0))?.is_some() {
            self.0.push(b',');
        }
        close(self.0, start, b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let start = self.0.len();
        self.0.push(b'{');
        // The keys in UTF-16, by which they are sorted, and where their members begin.
        let mut order: Vec<(Vec<u16>, usize)> = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            order.push((key.encode_utf16().collect(), self.0.len()));
            quote(&key, self.0);
            self.0.push(b':');
            members.next_value_seed(Canonical(self.0))?;
            self.0.push(b',');
        }
        if !order.is_sorted_by(|a, b| a.0 < b.0) {
            sort(self.0, order).map_err(A::Error::custom)?;
        }
        close(self.0, start, b'}');
        Ok(())
    }
}

/// Puts the members, each of which ends in a comma, into the order of their keys.
fn sort(out: &mut Vec<u8>, mut order: Vec<(Vec<u16>, usize)>) -> Result<(), &'static str> {
    let Some(first) = order.first().map(|(_, begin)| *begin) else { return Ok(()) };
    let ends: Vec<usize> = order.iter().skip(1).map(|(_, begin)| *begin).chain([out.len()]).collect();
    let mut members: Vec<_> = order.drain(..).zip(ends).collect();
    members.sort_unstable_by(|a, b| a.0.0.cmp(&b.0.0));
    if !members.is_sorted_by(|a, b| a.0.0 < b.0.0) {
        return Err("a key is there twice");
    }
    let unsorted = out.split_off(first);
    for ((_, begin), end) in members {
        out.extend_from_slice(&unsorted[begin - first..end - first]);
    }
    Ok(())
}

/// Closes an array or an object; the comma behind its last member goes.
fn close(out: &mut Vec<u8>, start: usize, bracket: u8) {
    if out.len() > start + 1 {
        out.pop();
    }
    out.push(bracket);
}

fn number(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(ryu_js::Buffer::new().format(value).as_bytes());
}

fn quote(text: &str, out: &mut Vec<u8>) {
    // A text is always written, and a Vec takes it.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn form(json: &str) -> Option<String> {
        canonical(json.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_canonical_form_is_that_of_rfc_8785() {
        // Appendix B and section 3.2.3 of the RFC.
        let numbers =
            r#"[333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001, -0, 9007199254740993]"#;
        let expected = "[333333333.3333333,1e+30,4.5,0.002,1e-27,0,9007199254740992]";
        assert_eq!(form(numbers).as_deref(), Some(expected));
        let keys = r#"{"€":1,"\r":2,"\ufb33":3,"1":4,"😀":5,"\u0080":6,"ö":7}"#;
        let expected = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}";
        assert_eq!(form(keys).as_deref(), Some(expected));
        assert_eq!(form("\"\\u000f\\u000a\\u0041\\/\"").as_deref(), Some("\"\\u000f\\nA/\""));
    }

    #[test]
    fn arguments_in_a_text_are_those_arguments() {
        assert_eq!(form(r#"" {\"b\": 1, \"a\": [ ]}""#).as_deref(), Some(r#"{"a":[],"b":1}"#));
        assert_eq!(form(r#""{no json""#).as_deref(), Some(r#""{no json""#));
        assert_eq!(form(r#""1""#).as_deref(), Some(r#""1""#));
    }

    #[test]
    fn what_has_no_canonical_form_is_hashed_as_it_came() {
        for json in ["", "{", r#"{"a":1,"a":2}"#, r#"["\ud800"]"#, "[1e999]", &"[".repeat(500)] {
            let input = Hasher::default().input(json.as_bytes());
            let hash = hex(&Sha256::digest(json));
            assert_eq!(input, Input { size: json.len() as u64, hash, is_raw: true });
        }
    }

    #[test]
    fn long_arguments_are_hashed_as_they_came_in_whatever_pieces() {
        let json = format!("{{ \"a\":\"{}\"}}", "x".repeat(MAX_CANONICAL));
        let hash = hex(&Sha256::digest(&json));
        for piece in [1 << 20, json.len()] {
            let mut incoming = Incoming::new(&Hasher::default());
            json.as_bytes().chunks(piece).for_each(|piece| incoming.push(piece));
            assert_eq!(
                incoming.finish(),
                Input { size: json.len() as u64, hash: hash.clone(), is_raw: true }
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_makes_another_hash_and_nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "0123456789abcdef0123456789abcdef\n").unwrap();
        let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o640);
        let refused = Hasher::with_key_file(&path).err().unwrap().into_reason();
        assert!(refused.contains("mode 640") && refused.contains("chmod 600"), "{refused}");
        set(0o600);
        let input = Hasher::with_key_file(&path).ok().unwrap().input(b"{ }");
        // printf '{}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        assert_eq!(input.hash, "b326604c0dc7364c8b688556189c0a510e5150cd4628736be814c7c9898f899d");
        std::fs::write(&path, "short\n").unwrap();
        assert!(Hasher::with_key_file(&path).is_err());
    }

    /// Any JSON, with such keys.
    pub(in super::super) fn json(keys: &'static str) -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,9}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(keys, inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_has_the_form_that_another_implementation_gives(value in json(".{0,4}")) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            let expected = serde_json_canonicalizer::to_string(&value).unwrap();
            let inner = expected.starts_with("\"[") || expected.starts_with("\"{");
            prop_assume!(!inner);
            prop_assert_eq!(canonical_form(text.as_bytes()).map(|form| String::from_utf8(form).unwrap()), Some(expected));
        }
    }
}
