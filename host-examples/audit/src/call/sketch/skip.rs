//! The inside of an array or object of which nothing is kept: only its end is looked for, and whether it is JSON as far as
//! punctuation tells.

/// So many levels are known to be arrays or objects. Deeper ones only have to be as many.
const MAX_LEVELS: u64 = 128;

/// Where in such a value its text stands.
#[derive(Debug)]
pub(super) struct Skipped {
    /// How many of its arrays and objects are open.
    open: u64,
    /// A bit for each level, the outermost first: 1 is an object.
    objects: u128,
    text: InText,
    expects: Expects,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InText {
    No,
    Yes,
    Escaped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Value {
        or_end: bool,
    },
    Key {
        or_end: bool,
    },
    Colon,
    /// A comma or an end; or more of a number or a word.
    After {
        in_scalar: bool,
    },
    /// Too deep to know.
    Anything,
}

/// What was found in a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The value goes on after it.
    More,
    /// The value ends with the last byte that was taken.
    End,
    NotJson,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Space,
    Scalar,
}

/// The class of each byte outside of texts.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        let is = byte as u8;
        if is.is_ascii_alphanumeric() || matches!(is, b'+' | b'-' | b'.') {
            classes[byte] = Class::Scalar;
        } else if matches!(is, b' ' | b'\t' | b'\r' | b'\n') {
            classes[byte] = Class::Space;
        }
        byte += 1;
    }
    classes
};

impl Skipped {
    /// Behind the first bracket.
    pub(super) fn new(bracket: u8) -> Self {
        let mut skipped =
            Self { open: 0, objects: 0, text: InText::No, expects: Expects::Value { or_end: false } };
        skipped.begin(bracket == b'{');
        skipped
    }

    /// Takes bytes up to the end of the value. Returns how many, and how many of them are no white space between values.
    pub(super) fn push(&mut self, piece: &[u8]) -> (usize, u64, Found) {
        let mut at = 0;
        let mut spaces = 0;
        let result = |at: usize, spaces: u64, found| (at, at as u64 - spaces, found);
        while let Some(&byte) = piece.get(at) {
            if self.text != InText::No {
                at += self.within_text(&piece[at..]);
                continue;
            }
            match CLASSES[byte as usize] {
                Class::Scalar => {
                    if !self.scalar() {
                        return result(at, spaces, Found::NotJson);
                    }
                    let rest = &piece[at..];
                    let is_other = |byte: &u8| CLASSES[*byte as usize] != Class::Scalar;
                    at += rest.iter().position(is_other).unwrap_or(rest.len());
                }
                Class::Space => {
                    if self.expects == (Expects::After { in_scalar: true }) {
                        self.expects = Expects::After { in_scalar: false };
                    }
                    (at, spaces) = (at + 1, spaces + 1);
                }
                Class::Other => {
                    if !self.punctuation(byte) {
                        return result(at, spaces, Found::NotJson);
                    }
                    at += 1;
                    if self.open == 0 {
                        return result(at, spaces, Found::End);
                    }
                }
            }
        }
        result(at, spaces, Found::More)
    }

    /// Takes bytes of a text, up to its end or the next escape, and returns how many.
    fn within_text(&mut self, piece: &[u8]) -> usize {
        if self.text == InText::Escaped {
            self.text = InText::Yes;
            return 1;
        }
        let Some(len) = memchr::memchr2(b'"', b'\\', piece) else { return piece.len() };
        self.text = if piece[len] == b'"' { InText::No } else { InText::Escaped };
        len + 1
    }

    /// A part of a number or a word. False: none may stand here.
    fn scalar(&mut self) -> bool {
        match self.expects {
            Expects::Value { .. } => self.expects = Expects::After { in_scalar: true },
            Expects::After { in_scalar: true } | Expects::Anything => {}
            _ => return false,
        }
        true
    }

    fn punctuation(&mut self, byte: u8) -> bool {
        let is_object = self.is_object();
        match (byte, self.expects) {
            (b'"', Expects::Value { .. }) => {
                (self.text, self.expects) = (InText::Yes, Expects::After { in_scalar: false });
            }
            (b'"', Expects::Key { .. }) => (self.text, self.expects) = (InText::Yes, Expects::Colon),
            (b'"', Expects::Anything) => self.text = InText::Yes,
            (b'{' | b'[', Expects::Value { .. } | Expects::Anything) => self.begin(byte == b'{'),
            (b']', Expects::Value { or_end: true } | Expects::After { .. }) if is_object == Some(false) => {
                self.end();
            }
            (b'}', Expects::Key { or_end: true } | Expects::After { .. }) if is_object == Some(true) => {
                self.end();
            }
            (b']' | b'}', Expects::Anything) => self.end(),
            (b',', Expects::After { .. }) if is_object == Some(true) => {
                self.expects = Expects::Key { or_end: false };
            }
            (b',', Expects::After { .. }) => self.expects = Expects::Value { or_end: false },
            (b':', Expects::Colon) => self.expects = Expects::Value { or_end: false },
            (b',' | b':', Expects::Anything) => {}
            _ => return false,
        }
        true
    }

    /// Whether the innermost is an object. None: it is too deep to know.
    fn is_object(&self) -> Option<bool> {
        (1..=MAX_LEVELS).contains(&self.open).then(|| self.objects >> (self.open - 1) & 1 == 1)
    }

    fn begin(&mut self, is_object: bool) {
        if self.open < MAX_LEVELS {
            let bit = 1 << self.open;
            self.objects = if is_object { self.objects | bit } else { self.objects & !bit };
        }
        self.open += 1;
        self.expects = match self.is_object() {
            Some(true) => Expects::Key { or_end: true },
            Some(false) => Expects::Value { or_end: true },
            None => Expects::Anything,
        };
    }

    fn end(&mut self) {
        self.open -= 1;
        let is_known = self.open <= MAX_LEVELS;
        self.expects = if is_known { Expects::After { in_scalar: false } } else { Expects::Anything };
    }
}
