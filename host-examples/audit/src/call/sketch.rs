//! JSON of any size, in pieces, as a small tree: long texts are cut, and of what is very large the rest is left out. Some values
//! are measured whole while they pass.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::input::{Hasher, Incoming, Input};

/// The most bytes of a text that the tree keeps.
const MAX_TEXT: usize = 4096;

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
    /// Values were left out that the tree should have kept, because there are too many or they are too large.
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
    /// Within a value that is nested too deeply to be kept: so many of its arrays and objects are open.
    Deep {
        open: u64,
        text: DeepText,
    },
    Broken,
}

/// Whether a text is open within a value that is nested too deeply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DeepText {
    None,
    Open,
    Escaped,
}

struct Text {
    is_key: bool,
    /// In UTF-8, at most [`MAX_TEXT`] bytes.
    kept: Vec<u8>,
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

    /// Keeps only the values at these paths, without what is below them, so that none is left out for the size of others.
    pub(crate) fn keeping(self, kept: &'static [Path]) -> Self {
        Self { kept, ..self }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, mut piece: &[u8]) {
        while let Some(&first) = piece.first() {
            let len = match &mut self.state {
                State::Broken => return,
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
            (State::After, Some(value)) if self.open.is_empty() => {
                let (len, measured, is_cut) = (self.root_len, self.measured, self.is_cut);
                Ok(Sketch { value, len, measured, is_cut, is_whole: true })
            }
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
        if let State::Deep { open, text } = &mut self.state {
            let is_over = deep_byte(open, text, byte);
            let is_space = *text == DeepText::None && matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            self.pass(&[byte], !is_space);
            if is_over {
                self.end(Value::Bool(true), false, None);
            }
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
                self.state = State::Text(Text::new(true));
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
            b'"' => self.state = State::Text(Text::new(false)),
            b'{' | b'[' if self.open.len() >= MAX_DEPTH => {
                self.state = State::Deep { open: 1, text: DeepText::None };
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

    /// Whether the tree keeps the value that comes.
    fn has_room(&mut self) -> bool {
        let Some(parent) = self.open.last() else { return true };
        if !parent.is_kept {
            return false;
        }
        let has_place = parent.value.as_object().map_or(parent.count, Map::len) < MAX_ITEMS;
        let has_room = has_place && self.tree < MAX_TREE;
        if self.kept.is_empty() {
            self.is_cut |= !has_room;
            return has_room;
        }
        let leads = |path: &&Path| self.open.iter().zip(**path).all(|(open, key)| open.is_at(key));
        let listed: Vec<&Path> = self.kept.iter().filter(leads).collect();
        if listed.is_empty() {
            return false;
        }
        // Of those that are listed there are few, unless they are items of an array.
        let is_listed = |path: &Path| path.len() >= self.open.len();
        let is_one = |path: &&Path| is_listed(path) && !path.contains(&"*");
        // What is below them has half of the room, so that it takes none of theirs.
        let has_room = has_room && (self.tree < MAX_TREE / 2 || listed.iter().any(|path| is_listed(path)));
        if has_room || (has_place && self.is_at_top()) || listed.iter().copied().any(|path| is_one(&path)) {
            return true;
        }
        // What is below them is not listed.
        self.is_cut |= listed.into_iter().any(is_listed);
        false
    }

    /// Whether the value that comes is a member at the top, or at the top of an item, where those to keep are few.
    fn is_at_top(&self) -> bool {
        let is_item = |open: &[Container]| open.first().is_some_and(|first| first.value.is_array());
        !self.kept.is_empty() && (self.open.len() < 2 || (self.open.len() == 2 && is_item(&self.open)))
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
        let text = std::mem::replace(text, Text::new(false));
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
        let Some(want) = want.filter(|_| !self.is_left_out()) else { return };
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
        for measuring in &mut self.measuring {
            if counts {
                measuring.size += bytes.len() as u64;
            }
            if let Some(input) = &mut measuring.input {
                input.push(bytes);
            }
        }
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

/// Takes a byte within a value that is nested too deeply. True: the value ends.
fn deep_byte(open: &mut u64, text: &mut DeepText, byte: u8) -> bool {
    match (*text, byte) {
        (DeepText::Escaped, _) => *text = DeepText::Open,
        (DeepText::Open, b'\\') => *text = DeepText::Escaped,
        (DeepText::Open, b'"') => *text = DeepText::None,
        (DeepText::Open, _) => {}
        (DeepText::None, b'"') => *text = DeepText::Open,
        (DeepText::None, b'[' | b'{') => *open += 1,
        (DeepText::None, b']' | b'}') => *open -= 1,
        (DeepText::None, _) => {}
    }
    *open == 0
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
    fn new(is_key: bool) -> Self {
        Self { is_key, kept: Vec::new(), len: 0, escape: Escape::None, high: None }
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
        let room = MAX_TEXT.saturating_sub(self.kept.len()).min(bytes.len());
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WANTED: &[Wanted] = &[
        (&["input"], Want::Input),
        (&["output"], Want::Size),
        (&["result"], Want::Size),
        (&["*", "input"], Want::Input),
    ];

    fn sketch_in(json: &[u8], piece: usize) -> Result<Sketch, NotJson> {
        let mut sketcher = Sketcher::new(WANTED, &Hasher::default());
        json.chunks(piece).for_each(|piece| sketcher.push(piece));
        sketcher.finish()
    }

    fn sketch(json: &str) -> Sketch {
        sketch_in(json.as_bytes(), 7).unwrap()
    }

    #[test]
    fn values_that_are_wanted_are_measured() {
        let found = sketch(
            r#"{"input": {"b": 1, "a": "x"}, "output": "ä\n\ud83d\ude00\"", "result": {"tools": [1, 2]}}"#,
        );
        let input = found.measured("/input").unwrap().input.clone().unwrap();
        assert_eq!(input, Hasher::default().input(br#"{"a":"x","b":1}"#));
        assert_eq!(found.measured("/output").unwrap().size, "ä\n😀\"".len() as u64);
        assert_eq!(found.measured("/result").unwrap().size, r#"{"tools":[1,2]}"#.len() as u64);
        assert!(found.measured("/nothing").is_none());
        assert!(sketch(r#"[{}, {"input": 1}]"#).measured("/1/input").is_some());
    }

    #[test]
    fn a_large_value_leaves_a_small_tree() {
        let json = format!(
            r#"{{"long":"{}","many":[{}],"deep":{}{},"after":"here"}}"#,
            "é".repeat(1 << 20),
            "1,".repeat(1 << 20) + "1",
            "[".repeat(1000),
            "]".repeat(1000),
        );
        let found = sketch_in(json.as_bytes(), 8192).unwrap();
        assert_eq!((found.text("/after"), found.text("/long")), ("here", "é".repeat(2048).as_str()));
        assert_eq!(found.value["many"].as_array().unwrap().len(), MAX_ITEMS);
        assert!(serde_json::to_string(&found.value).unwrap().len() < 10_000);
    }

    #[test]
    fn a_value_to_keep_is_kept_however_large_others_are() {
        const KEPT: &[Path] = &[&["*", "id"], &["*", "result", "isError"], &["*", "tools", "*", "name"]];
        let many = "\"x\",".repeat(100_000) + "1";
        let members: String = (0..5000).map(|n| format!("\"{n}\":0,")).collect();
        let pad = format!("{{\"name\":\"{}\"}},", "n".repeat(5000)).repeat(1000) + "0";
        let below = format!(r#"{{"isError":[{many}],"id":1}}"#);
        let json = format!(
            r#"[{{{members}"result":{{"content":[{many}],"isError":true}},"tools":[{pad}],"id":7}},{{"result":{below},"id":8}},2]"#
        );
        let mut sketcher = Sketcher::new(WANTED, &Hasher::default()).keeping(KEPT);
        sketcher.push(json.as_bytes());
        let found = sketcher.finish().unwrap();
        let (first, second) = (&found.value[0], &found.value[1]);
        assert_eq!((&first["id"], &first["result"].to_string()), (&7.into(), &r#"{"isError":true}"#.into()));
        assert!(first["tools"].to_string().len() < 2 * MAX_TREE);
        assert_eq!((&second["id"], found.len), (&8.into(), 3));
        assert!(second["result"].to_string().len() < 100);
    }

    #[test]
    fn what_is_left_out_of_what_is_listed_is_told() {
        const KEPT: &[Path] = &[&["id"], &["parts", "*", "id"], &["parts", "*", "content"]];
        let is_cut = |json: &str| {
            let mut sketcher = Sketcher::new(WANTED, &Hasher::default()).keeping(KEPT);
            sketcher.push(json.as_bytes());
            sketcher.finish().unwrap().is_cut
        };
        let parts = |count: usize, part: &str| format!(r#"{{"parts":[{}0],"id":1}}"#, part.repeat(count));
        assert!(!is_cut(&parts(1000, r#"{"id":1,"x":["not","listed"]},"#)));
        assert!(is_cut(&parts(1025, r#"{"id":1},"#)));
        let long = "x".repeat(5000);
        assert!(!is_cut(&parts(1000, &format!(r#"{{"id":1,"input":"{long}"}},"#))));
        assert!(is_cut(&parts(1000, &format!(r#"{{"content":"{long}","id":1}},"#))));
        // What is below them takes no room of theirs, and is not listed itself.
        assert!(!is_cut(&parts(1, &format!(r#"{{"content":[{}0]}},"#, format!("\"{long}\",").repeat(1000)))));
    }

    #[test]
    fn many_items_hide_nothing_that_is_measured_around_them() {
        const WANTED: &[Wanted] = &[
            (&["result"], Want::Size),
            (&["result", "tools", "*"], Want::Digest),
            (&["*", "input"], Want::Input),
        ];
        let sketch = |json: &str| {
            let mut sketcher = Sketcher::new(WANTED, &Hasher::default());
            sketcher.push(json.as_bytes());
            sketcher.finish().unwrap()
        };
        let found = sketch(&format!(r#"{{"result":{{"tools":[{}1]}}}}"#, "1,".repeat(5000)));
        assert_eq!(found.measured("/result").unwrap().size, r#"{"tools":[]}"#.len() as u64 + 10_001);
        assert!(found.measured("/result/tools/1023").is_some());
        assert!(found.measured("/result/tools/1024").is_none());
        let found = sketch(&format!("[{}1]", r#"{"input":1},"#.repeat(5000)));
        assert!(found.measured("/1023/input").is_some() && found.measured("/1024/input").is_none());
    }

    #[test]
    fn what_is_listed_is_kept_however_large_others_are_that_are_listed_too() {
        const KEPT: &[Path] = &[&["error"], &["result", "error"], &["id"], &["list", "*"]];
        let many = format!("[{}1]", "[1],".repeat(20_000));
        let json = format!(
            r#"{{"error":{many},"list":{many},"result":{{"x":{many},"error":1}},"id":"here","y":2}}"#
        );
        let mut sketcher = Sketcher::new(WANTED, &Hasher::default()).keeping(KEPT);
        sketcher.push(json.as_bytes());
        let found = sketcher.finish().unwrap();
        assert_eq!((found.text("/id"), &found.value["result"]), ("here", &serde_json::json!({"error": 1})));
        assert!(found.value["error"].is_array() && found.value.get("y").is_none());
    }

    #[test]
    fn what_is_cut_or_followed_by_something_is_known_as_far_as_it_goes() {
        let anyway = |json: &str| {
            let mut sketcher = Sketcher::new(WANTED, &Hasher::default());
            sketcher.push(json.as_bytes());
            sketcher.finish_anyway().map(|found| (found.value, found.is_whole))
        };
        assert_eq!(anyway(r#"{"a":{"b":1,"c":"tex"#), Ok((serde_json::json!({"a": {"b": 1}}), false)));
        assert_eq!(anyway("{\"a\":1}\0{\"a\":2}"), Ok((serde_json::json!({"a": 1}), true)));
        for none in ["", "[1", "[1]", "1", "null", "x{"] {
            assert!(anyway(none).is_err(), "{none}");
        }
    }

    #[test]
    fn nesting_takes_no_memory() {
        let depth = 5_000_000;
        let json = format!(
            r#"{{"input":1,"output":{}1{},"after":" ] "}}"#,
            "[{\"]\\\"\": ".repeat(depth),
            "}]".repeat(depth)
        );
        let mut sketcher = Sketcher::new(WANTED, &Hasher::default());
        for piece in json.as_bytes().chunks(65_536) {
            sketcher.push(piece);
            assert!(sketcher.open.len() <= MAX_DEPTH);
        }
        let found = sketcher.finish().unwrap();
        assert_eq!(found.text("/after"), " ] ");
        assert_eq!(
            found.measured("/output").unwrap().size,
            (r#"[{"]\"":"#.len() + "}]".len()) as u64 * depth as u64 + 1
        );
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for json in
            ["", "{", "[1", "{]", "[}", "1 2", "{\"a\" 1}", "tru", "]", "{1:2}", "\"a", "[1,]", "{\"a\":1,}"]
        {
            assert_eq!(sketch_in(json.as_bytes(), 1).err(), Some(NotJson), "{json}");
        }
    }

    #[test]
    fn of_a_key_that_comes_again_the_last_counts() {
        const WANTED: &[Wanted] =
            &[(&["params", "arguments"], Want::Input), (&["*", "params", "arguments"], Want::Input)];
        let sketch = |json: &str| {
            let mut sketcher = Sketcher::new(WANTED, &Hasher::default());
            sketcher.push(json.as_bytes());
            sketcher.finish().unwrap()
        };
        let twice = r#"{"params":{"name":"a","arguments":{"a":1}},"params":{"name":"b"}}"#;
        let found = sketch(twice);
        assert_eq!((found.text("/params/name"), found.measured("/params/arguments")), ("b", None));
        let found = sketch(&format!(r#"[{{"params":{{"arguments":1}}}},{twice}]"#));
        assert!(
            found.measured("/0/params/arguments").is_some()
                && found.measured("/1/params/arguments").is_none()
        );
        let found = sketch(r#"{"params":{"arguments":1,"arguments":null}}"#);
        assert_eq!(found.measured("/params/arguments"), None);
        let many: String = (0..MAX_ITEMS).map(|n| format!(r#""{n}":0,"#)).collect();
        assert_eq!(sketch(&format!(r#"{{"a":1,{many}"a":2}}"#)).value.get("a"), None);
    }

    #[test]
    fn what_python_writes_for_numbers_that_are_none_is_a_value() {
        let found = sketch(r#"{"input":{"a":NaN,"b":[-Infinity,Infinity]},"output":NaN}"#);
        assert!(found.measured("/input").unwrap().input.as_ref().unwrap().is_raw);
        assert_eq!(found.measured("/output").unwrap().size, 3);
        for json in ["nan", "Nan", "Inf", "[Infinit]", "N", "+Infinity"] {
            assert_eq!(sketch_in(json.as_bytes(), 1).err(), Some(NotJson), "{json}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_a_replacement_character() {
        assert_eq!(sketch(r#""a\ud800b""#).value, "a\u{FFFD}b");
        assert_eq!(sketch(r#""\ud800""#).value, "\u{FFFD}");
        assert_eq!(sketch(r#""\ud800\ud83d\ude00\udc00\n""#).value, "\u{FFFD}😀\u{FFFD}\n");
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,9}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map("input|output|.{0,4}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn small_json_is_kept_as_it_is(value in json(), piece in 1..20_usize, pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let found = sketch_in(text.unwrap().as_bytes(), piece).unwrap();
            prop_assert_eq!(&found.value, &value);
            if let Some(input) = value.get("input").filter(|input| !input.is_null()) {
                let expected = Hasher::default().input(input.to_string().as_bytes());
                prop_assert_eq!(found.measured("/input").unwrap().input.as_ref(), Some(&expected));
            }
            if let Some(output) = value.get("output").filter(|output| !output.is_null()) {
                let size = output.as_str().map_or(output.to_string().len(), str::len) as u64;
                prop_assert_eq!(found.measured("/output").unwrap().size, size);
            }
        }

        #[test]
        fn any_bytes_are_json_or_not(bytes in "[\\[\\]{}:,\"\\\\u0d8ctrue 1-]{0,40}", piece in 1..9_usize) {
            let is_json = serde_json::from_str::<Value>(&bytes).is_ok();
            let found = sketch_in(bytes.as_bytes(), piece);
            // It is lenient within texts and numbers, but never refuses what is JSON.
            prop_assert!(!is_json || found.is_ok());
        }
    }
}
