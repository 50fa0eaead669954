//! JSON of any size, in pieces, as a small tree: long texts are cut, and of what is very large the rest is left out. Some values
//! are measured whole while they pass.

mod skip;

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use self::skip::{Found, Skipped};
use super::input::{Hasher, Incoming, Input};

/// The most bytes of a text that the tree keeps.
const MAX_TEXT: usize = 4096;

/// The most bytes of a text that is listed to be kept, once the tree is full: enough for a name, an identifier or a code.
const SHORT_TEXT: usize = 128;

/// The most items of an array, and members of an object, that the tree keeps.
const MAX_ITEMS: usize = 1024;

/// The most values that are measured, if others of their array may be too.
const MAX_MEASURED: usize = 8 * MAX_ITEMS;

/// The most bytes of texts, keys and values, each of which counts as [`NODE`] too, that the tree keeps.
const MAX_TREE: usize = 1 << 20;

const NODE: usize = 64;

/// How deep arrays and objects are kept.
const MAX_DEPTH: usize = 32;

/// A number is not longer.
const MAX_SCALAR: usize = 400;

/// What is wanted of a value, beside what the tree keeps of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Its size alone.
    Size,
    /// The call's arguments.
    Input,
    /// Its size and the hash of its canonical form, never with a key.
    Digest,
}

/// What is wanted of the value at a path.
pub(crate) type Wanted = (Path, Want);

/// The keys that lead to a value, where `*` stands for any item of an array.
pub(crate) type Path = &'static [&'static str];

/// A value that was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Of a text, its bytes in UTF-8. Of other values, those of its JSON text without white space.
    pub(crate) size: u64,
    pub(crate) input: Option<Input>,
}

/// What is known of a JSON text.
#[derive(Debug, Default)]
pub(crate) struct Sketch {
    pub(crate) value: Value,
    /// How many items an array has, or members an object, whether the tree keeps them or not.
    pub(crate) len: usize,
    measured: BTreeMap<String, Measured>,
    /// Something that was listed or wanted is left out, because there is too much of it.
    pub(crate) is_cut: bool,
    /// False: the text ended too early, or what came then is no JSON.
    pub(crate) is_whole: bool,
}

impl Sketch {
    /// The value at this JSON pointer (RFC 6901, without escapes), if it was wanted and is there.
    pub(crate) fn measured(&self, pointer: &str) -> Option<&Measured> {
        self.measured.get(pointer)
    }

    /// Forgets the arguments, which were hashed without the key that they should have been hashed with.
    pub(crate) fn forget_inputs(&mut self) {
        for measured in self.measured.values_mut() {
            if let Some(input) = &mut measured.input {
                input.hash.clear();
            }
        }
    }

    /// The text at this JSON pointer; empty if there is none.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// The text is no JSON, or ends too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// Makes a sketch of a JSON text that comes in pieces.
pub(crate) struct Sketcher {
    wanted: &'static [Wanted],
    /// The values that the tree keeps. Empty: all of them.
    kept: &'static [Path],
    hasher: Hasher,
    state: State,
    open: Vec<Container>,
    root: Option<Value>,
    root_len: usize,
    is_cut: bool,
    /// How many bytes the tree takes.
    tree: usize,
    measuring: Vec<Measuring>,
    measured: BTreeMap<String, Measured>,
}

enum State {
    /// A value comes; or, as the first in an array, its end.
    Value {
        or_end: bool,
    },
    /// A key comes; or, as the first in an object, its end.
    Key {
        or_end: bool,
    },
    Colon,
    /// A comma or the end of what is open.
    After,
    Text(Text),
    Scalar(Vec<u8>),
    /// Within a value that is nested too deeply, or of which nothing is kept or wanted.
    Skipped(Skipped),
    Broken,
}

/// Whether the tree keeps a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Yes,
    /// It was to be kept, but there is too much.
    Full,
    /// Nobody wants it.
    NotListed,
}

struct Text {
    is_key: bool,
    /// In UTF-8.
    kept: Vec<u8>,
    /// The most bytes that are kept.
    max: usize,
    /// In UTF-8, of the whole text.
    len: u64,
    escape: Escape,
    /// The first half of a surrogate pair.
    high: Option<u16>,
}

enum Escape {
    None,
    Begun,
    /// `\u` and so many digits of this number.
    Unicode(u8, u16),
}

struct Container {
    value: Value,
    /// How many items or members came, kept or not.
    count: usize,
    /// The key of the member that comes.
    key: String,
    is_kept: bool,
}

struct Measuring {
    /// How many containers are open around it.
    depth: usize,
    pointer: String,
    size: u64,
    input: Option<Incoming>,
}

impl Sketcher {
    pub(crate) fn new(wanted: &'static [Wanted], hasher: &Hasher) -> Self {
        Self {
            wanted,
            kept: &[],
            hasher: hasher.clone(),
            state: State::Value { or_end: false },
            open: Vec::new(),
            root: None,
            root_len: 0,
            is_cut: false,
            tree: 0,
            measuring: Vec::new(),
            measured: BTreeMap::new(),
        }
    }

    /// Keeps only the values at these paths, so that none is left out for the size of others, except in long arrays: of those
    /// within the value, and of what is below a value that is listed, there may be too much.
    pub(crate) fn keeping(self, kept: &'static [Path]) -> Self {
        Self { kept, ..self }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, mut piece: &[u8]) {
        while let Some(&first) = piece.first() {
            let len = match &mut self.state {
                State::Broken => return,
                State::Skipped(_) => {
                    piece = &piece[self.skip(piece)..];
                    continue;
                }
                State::Text(text) => text.run(piece),
                _ => 0,
            };
            if len > 0 {
                self.pass(&piece[..len], true);
                piece = &piece[len..];
                continue;
            }
            self.byte(first);
            piece = &piece[1..];
        }
    }

    /// Whether the text may end here, and be JSON. Not known of a number before its end.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::After) && self.open.is_empty()
    }

    /// Takes bytes within a value of which nothing is kept, and returns how many.
    fn skip(&mut self, piece: &[u8]) -> usize {
        let State::Skipped(skipped) = &mut self.state else { return 0 };
        let (len, size, found) = skipped.push(piece);
        for measuring in &mut self.measuring {
            measuring.push(&piece[..len], size);
        }
        match found {
            Found::More => {}
            Found::End => self.end(Value::Bool(true), false, None),
            Found::NotJson => self.state = State::Broken,
        }
        len
    }

    /// The sketch of what there is of an object, if it is not complete, or if something follows it.
    pub(crate) fn finish_anyway(mut self) -> Result<Sketch, NotJson> {
        self.byte(b' ');
        let is_whole = self.root.is_some();
        self.measuring.clear();
        while self.root.is_none() && !self.open.is_empty() {
            self.end_container();
        }
        let value = self.root.filter(Value::is_object).ok_or(NotJson)?;
        Ok(Sketch { value, len: self.root_len, measured: self.measured, is_cut: self.is_cut, is_whole })
    }

    /// The sketch of all pieces.
    pub(crate) fn finish(mut self) -> Result<Sketch, NotJson> {
        // A number has no end of its own.
        self.byte(b' ');
        match (self.state, self.root) {
            (State::After, Some(value)) if self.open.is_empty() => Ok(Sketch {
                value,
                len: self.root_len,
                measured: self.measured,
                is_cut: self.is_cut,
                is_whole: true,
            }),
            _ => Err(NotJson),
        }
    }

    /// Takes a byte which is not in the midst of a text.
    fn byte(&mut self, byte: u8) {
        if let State::Scalar(scalar) = &mut self.state {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.') {
                if scalar.len() < MAX_SCALAR {
                    scalar.push(byte);
                }
                self.pass(&[byte], true);
                return;
            }
            let scalar = std::mem::take(scalar);
            let is_number = scalar.first().is_some_and(|byte| matches!(byte, b'-' | b'0'..=b'9'));
            match serde_json::from_slice::<Value>(&scalar) {
                Ok(value) => self.end_value(value, None),
                // A number that no double holds, or a very long one, or what Python writes for one that is none.
                Err(_) if is_number || matches!(&*scalar, b"NaN" | b"Infinity") => {
                    self.end_value(Value::Bool(true), None)
                }
                Err(_) => self.state = State::Broken,
            }
        }
        if let State::Skipped(_) = self.state {
            self.skip(&[byte]);
            return;
        }
        if let State::Text(_) = self.state {
            self.pass(&[byte], true);
            self.text_byte(byte);
            return;
        }
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            self.pass(&[byte], false);
            return;
        }
        match (&self.state, byte) {
            (State::Value { or_end: true }, b']') | (State::Key { or_end: true }, b'}') => {
                self.pass(&[byte], true);
                self.end_container();
            }
            (State::Value { .. }, _) => self.begin_value(byte),
            (State::Key { .. }, b'"') => {
                self.pass(&[byte], true);
                self.state = State::Text(Text::new(true, MAX_TEXT));
            }
            (State::Colon, b':') => {
                self.pass(&[byte], true);
                self.state = State::Value { or_end: false };
            }
            (State::After, b',') => match self.open.last() {
                Some(container) => {
                    let is_array = container.value.is_array();
                    self.pass(&[byte], true);
                    self.state =
                        if is_array { State::Value { or_end: false } } else { State::Key { or_end: false } };
                }
                None => self.state = State::Broken,
            },
            (State::After, b']' | b'}') => {
                let is_array = self.open.last().map(|container| container.value.is_array());
                if is_array == Some(byte == b']') {
                    self.pass(&[byte], true);
                    self.end_container();
                } else {
                    self.state = State::Broken;
                }
            }
            _ => self.state = State::Broken,
        }
    }

    fn begin_value(&mut self, byte: u8) {
        self.begin_measuring();
        self.pass(&[byte], true);
        match byte {
            b'"' => self.state = State::Text(Text::new(false, self.max_text())),
            b'{' | b'[' if self.open.len() >= MAX_DEPTH || self.is_of_no_use() => {
                self.state = State::Skipped(Skipped::new(byte));
            }
            b'{' => self.open(Value::Object(Map::new()), State::Key { or_end: true }),
            b'[' => self.open(Value::Array(Vec::new()), State::Value { or_end: true }),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'N' | b'I' => self.state = State::Scalar(vec![byte]),
            _ => self.state = State::Broken,
        }
    }

    fn open(&mut self, value: Value, state: State) {
        let is_kept = self.has_room();
        self.tree += if is_kept { NODE } else { 0 };
        self.open.push(Container { value, count: 0, key: String::new(), is_kept });
        self.state = state;
    }

    /// Whether the tree keeps the value that comes. To be asked once for each.
    fn has_room(&mut self) -> bool {
        let room = self.room();
        self.is_cut |= room == Room::Full;
        room == Room::Yes
    }

    fn room(&self) -> Room {
        let Some(parent) = self.open.last() else { return Room::Yes };
        if !parent.is_kept {
            return Room::NotListed;
        }
        let has_place = parent.value.as_object().map_or(parent.count, Map::len) < MAX_ITEMS;
        let yes_if = |has_room| if has_place && has_room { Room::Yes } else { Room::Full };
        if self.kept.is_empty() {
            return yes_if(self.tree < MAX_TREE);
        }
        let leads = |path: &&Path| self.open.iter().zip(**path).all(|(open, key)| open.is_at(key));
        let depth = self.open.len();
        let most = |path: &&Path| match path.get(1..depth)? {
            // Texts of items are short by then.
            within if within.contains(&"*") => Some(2 * MAX_TREE),
            // Of those that are listed there are few, even for each item of an array that is all.
            _ => Some(usize::MAX),
        };
        let listed: Vec<&Path> = self.kept.iter().filter(leads).collect();
        match listed.iter().filter_map(most).max() {
            Some(most) => yes_if(self.tree < most),
            // What is below them has half of the room, so that it takes none of theirs, and is not listed itself.
            None if !listed.is_empty() && has_place && self.tree < MAX_TREE / 2 => Room::Yes,
            None => Room::NotListed,
        }
    }

    /// How much of the text that comes is kept.
    fn max_text(&self) -> usize {
        match self.room() {
            Room::Yes if self.tree < MAX_TREE => MAX_TEXT,
            Room::Yes => SHORT_TEXT,
            Room::Full | Room::NotListed => 0,
        }
    }

    /// Whether nothing within the array or object that comes is kept or wanted.
    fn is_of_no_use(&mut self) -> bool {
        let depth = self.open.len();
        let leads_into = |(path, _): &Wanted| {
            path.len() > depth && self.open.iter().zip(*path).all(|(open, key)| open.is_at(key))
        };
        let is_of_no_use = self.room() != Room::Yes && !self.wanted.iter().any(leads_into);
        // Asked again only if it is of use.
        is_of_no_use && !self.has_room()
    }

    /// Whether the value that comes is one of too many items.
    fn is_left_out(&self) -> bool {
        let is_too_many = |open: &Container| open.value.is_array() && open.count >= MAX_ITEMS;
        let is_item = self.open.iter().skip(1).any(|open| open.value.is_array());
        self.open.iter().any(is_too_many) || (is_item && self.measured.len() >= MAX_MEASURED)
    }

    fn text_byte(&mut self, byte: u8) {
        let State::Text(text) = &mut self.state else { return };
        if !text.byte(byte) {
            return;
        }
        let text = std::mem::replace(text, Text::new(false, 0));
        let (kept, len) = (text.kept(), text.len);
        if text.is_key {
            if let Some(container) = self.open.last_mut() {
                container.key = kept;
            }
            self.state = State::Colon;
        } else {
            self.end_value(Value::String(kept), Some(len));
        }
    }

    fn end_container(&mut self) {
        let Some(container) = self.open.pop() else { return };
        if self.open.is_empty() {
            self.root_len = container.count;
        }
        // What is open around it was there before, and had room then.
        self.end(container.value, container.is_kept, None);
    }

    fn end_value(&mut self, value: Value, text_len: Option<u64>) {
        let is_kept = self.has_room();
        if is_kept {
            self.tree += NODE + value.as_str().map_or(0, str::len);
        }
        self.end(value, is_kept, text_len);
    }

    fn end(&mut self, value: Value, is_kept: bool, text_len: Option<u64>) {
        self.end_measuring(text_len, value.is_null() && text_len.is_none());
        self.state = State::After;
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(value);
            return;
        };
        parent.count += 1;
        let key = std::mem::take(&mut parent.key);
        match &mut parent.value {
            // Of a key that comes again, the last counts.
            Value::Object(members) if !is_kept => drop(members.remove(&key)),
            Value::Array(items) if is_kept => items.push(value),
            Value::Object(members) => {
                self.tree += key.len();
                members.insert(key, value);
            }
            _ => {}
        }
    }

    /// Begins to measure the value that comes, if it is wanted.
    fn begin_measuring(&mut self) {
        let leads = |(path, _): &&Wanted| {
            path.len() >= self.open.len() && self.open.iter().zip(*path).all(|(open, key)| open.is_at(key))
        };
        let mut leading = self.wanted.iter().filter(leads).peekable();
        if leading.peek().is_none() {
            return;
        }
        let want = leading.find(|(path, _)| path.len() == self.open.len()).map(|(_, want)| *want);
        let is_member = self.open.last().is_some_and(|parent| parent.value.is_object());
        if !is_member && want.is_none() {
            return;
        }
        let step = |container: &Container| match container.value {
            Value::Array(_) => format!("/{}", container.count),
            _ => format!("/{}", container.key),
        };
        let pointer: String = self.open.iter().map(step).collect();
        if is_member {
            self.forget(&pointer);
        }
        let Some(want) = want else { return };
        if self.is_left_out() {
            self.is_cut = true;
            return;
        }
        self.measuring.push(Measuring {
            depth: self.open.len(),
            pointer,
            size: 0,
            input: match want {
                Want::Input => Some(Incoming::new(&self.hasher)),
                Want::Digest => Some(Incoming::new(&Hasher::default())),
                Want::Size => None,
            },
        });
    }

    /// Forgets what was measured at and below a member whose key comes again.
    fn forget(&mut self, pointer: &str) {
        self.measured.remove(pointer);
        let (first, end) = (format!("{pointer}/"), format!("{pointer}0"));
        let below: Vec<String> =
            self.measured.range(first..end).map(|(pointer, _)| pointer.clone()).collect();
        for pointer in below {
            self.measured.remove(&pointer);
        }
    }

    /// Hands bytes to what is being measured. White space between values does not count.
    fn pass(&mut self, bytes: &[u8], counts: bool) {
        let size = if counts { bytes.len() as u64 } else { 0 };
        self.measuring.iter_mut().for_each(|measuring| measuring.push(bytes, size));
    }

    /// A value that is null is none.
    fn end_measuring(&mut self, text_len: Option<u64>, is_null: bool) {
        if self.measuring.last().is_none_or(|measuring| measuring.depth != self.open.len()) {
            return;
        }
        let Some(Measuring { pointer, size, input, .. }) = self.measuring.pop() else { return };
        if is_null {
            return;
        }
        let measured = Measured { size: text_len.unwrap_or(size), input: input.map(Incoming::finish) };
        self.measured.insert(pointer, measured);
    }
}

impl Measuring {
    /// Takes bytes, of which so many count.
    fn push(&mut self, bytes: &[u8], size: u64) {
        self.size += size;
        if let Some(input) = &mut self.input {
            input.push(bytes);
        }
    }
}

impl Container {
    /// Whether the value that comes in it is at this key.
    fn is_at(&self, key: &str) -> bool {
        match self.value {
            Value::Array(_) => key == "*",
            _ => key == self.key,
        }
    }
}

impl Text {
    fn new(is_key: bool, max: usize) -> Self {
        Self { is_key, kept: Vec::new(), max, len: 0, escape: Escape::None, high: None }
    }

    /// Takes the bytes up to the next that means something else, and returns how many.
    fn run(&mut self, piece: &[u8]) -> usize {
        if !matches!(self.escape, Escape::None) {
            return 0;
        }
        let len = memchr::memchr2(b'"', b'\\', piece).unwrap_or(piece.len());
        if len > 0 {
            self.end_surrogate();
            self.keep(&piece[..len]);
        }
        len
    }

    /// Takes a byte. True: it was the closing quote.
    fn byte(&mut self, byte: u8) -> bool {
        match self.escape {
            Escape::None if byte == b'"' => {
                self.end_surrogate();
                return true;
            }
            Escape::None if byte == b'\\' => self.escape = Escape::Begun,
            Escape::None => self.keep(&[byte]),
            Escape::Begun if byte == b'u' => self.escape = Escape::Unicode(0, 0),
            Escape::Begun => {
                self.end_surrogate();
                self.escape = Escape::None;
                let char = match byte {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'b' => 8,
                    b'f' => 12,
                    other => other,
                };
                self.keep(&[char]);
            }
            Escape::Unicode(digits, number) => {
                let digit = (byte as char).to_digit(16).unwrap_or_default() as u16;
                let number = number << 4 | digit;
                if digits < 3 {
                    self.escape = Escape::Unicode(digits + 1, number);
                } else {
                    self.escape = Escape::None;
                    self.unit(number);
                }
            }
        }
        false
    }

    /// Takes a UTF-16 unit.
    fn unit(&mut self, unit: u16) {
        let high = self.high.take();
        match high {
            Some(high) if (0xDC00..0xE000).contains(&unit) => {
                let char = char::decode_utf16([high, unit]).next().and_then(Result::ok);
                self.keep_char(char.unwrap_or(char::REPLACEMENT_CHARACTER));
                return;
            }
            Some(_) => self.keep_char(char::REPLACEMENT_CHARACTER),
            None => {}
        }
        match char::from_u32(unit.into()) {
            Some(char) => self.keep_char(char),
            None if unit < 0xDC00 => self.high = Some(unit),
            None => self.keep_char(char::REPLACEMENT_CHARACTER),
        }
    }

    /// No second half came.
    fn end_surrogate(&mut self) {
        if self.high.take().is_some() {
            self.keep_char(char::REPLACEMENT_CHARACTER);
        }
    }

    fn keep_char(&mut self, char: char) {
        self.keep(char.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        let room = self.max.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
    }

    /// The text, or its first characters.
    fn kept(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.kept).into_owned();
        if self.len > self.kept.len() as u64 && text.ends_with(char::REPLACEMENT_CHARACTER) {
            // A part of the next character.
            text.pop();
        }
        text
    }
}

/// A number in the tree, whether it came as one or as a text.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Number::as_f64(number),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
