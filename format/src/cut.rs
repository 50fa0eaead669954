//! Long texts are cut, so that a line has room for all texts: a cut text ends in `…` and the first 16 hexadecimal
//! digits of the whole text's SHA-256. Texts are cut to a few lengths only, so that equal texts stay equal.

use alloc::borrow::Cow;
use alloc::string::String;
use sha2::{Digest, Sha256};

/// How many bytes a text may take in a line without its quotes: the first of these with which all texts together fit.
/// With the last one, the texts and attributes of any event do.
pub(crate) const LENGTHS: [usize; 7] = [4096, 2048, 1024, 512, 256, 128, 64];

/// The last of [`LENGTHS`].
pub(crate) const SHORTEST: usize = 64;

/// The length of what a cut text ends in, in bytes.
const ENDING: usize = "…".len() + 16;

/// How long a text may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// In bytes.
    pub bytes: usize,
    /// In bytes as it is written in JSON, without its quotes.
    pub encoded: usize,
}

impl Limit {
    /// The limit of a text that may have any length, but for its line.
    pub(crate) fn encoded(encoded: usize) -> Self {
        Self { bytes: usize::MAX, encoded }
    }

    /// The limit of a text that is in no line yet.
    pub(crate) fn bytes(bytes: usize) -> Self {
        Self { bytes, encoded: usize::MAX }
    }

    /// How many bytes the text takes in JSON, without its quotes, once it is cut if it is too long.
    pub(crate) fn encoded_len(self, text: &str) -> usize {
        let len = |text: &str| text.chars().map(encoded_len).sum::<usize>();
        self.cuts(text).map_or_else(|| len(text), |end| len(&text[..end]) + ENDING)
    }

    /// How many bytes of the text are left if it is cut; none: it is short enough.
    pub(crate) fn cuts(self, text: &str) -> Option<usize> {
        let (mut encoded, mut end) = (0, 0);
        for (at, char) in text.char_indices() {
            encoded += encoded_len(char);
            let after = at + char.len_utf8();
            if after > self.bytes || encoded > self.encoded {
                return Some(end);
            }
            if after + ENDING <= self.bytes && encoded + ENDING <= self.encoded {
                end = after;
            }
        }
        None
    }
}

/// How many bytes a character takes in JSON.
fn encoded_len(char: char) -> usize {
    match char {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..='\u{1f}' => 6,
        _ => char.len_utf8(),
    }
}

/// The first `end` bytes of the text, with the ending of a cut text.
pub(crate) fn cut(text: &str, end: usize) -> String {
    let mut cut = String::with_capacity(end + ENDING);
    cut.push_str(&text[..end]);
    cut.push_str(&ending(text));
    cut
}

/// What the text ends in when it is cut.
pub(crate) fn ending(whole: &str) -> String {
    let digest = Sha256::digest(whole.as_bytes());
    let mut ending = String::from("…");
    for byte in &digest[..8] {
        for digit in [byte >> 4, byte & 15] {
            ending.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
    ending
}

/// What a text is known by, the same whether it was cut to some length or not at all. Only a short text is known by itself.
pub fn known_by(text: &str) -> Cow<'_, str> {
    let digits = text.char_indices().rev().nth(15).map(|(at, _)| text.split_at(at));
    match digits {
        Some((start, digits))
            if start.ends_with('…')
                && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) =>
        {
            text[start.len() - '…'.len_utf8()..].into()
        }
        _ if Limit::encoded(SHORTEST).cuts(text).is_some() => ending(text).into(),
        _ => text.into(),
    }
}

/// A text that a filter asks for. It also matches where it was cut.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    whole: String,
    /// What it ends in where it was cut; none: it is so short that it never is.
    ending: Option<String>,
}

impl Wanted {
    pub(crate) fn new(whole: String) -> Self {
        let ending = Limit::encoded(SHORTEST).cuts(&whole).map(|_| ending(&whole));
        Self { whole, ending }
    }

    pub(crate) fn whole(&self) -> &str {
        &self.whole
    }

    pub(crate) fn ending(&self) -> Option<&str> {
        self.ending.as_deref()
    }

    /// Whether this stored text is the one that is wanted.
    pub(crate) fn matches(&self, stored: &str) -> bool {
        stored == self.whole || self.ending().is_some_and(|ending| self.is_cut(stored, ending))
    }

    fn is_cut(&self, stored: &str, ending: &str) -> bool {
        stored.strip_suffix(ending).is_some_and(|start| self.whole.starts_with(start))
    }
}

/// Whether a text has a character that no stored text has.
pub(crate) fn is_replaced(text: &str) -> bool {
    memchr::memchr(0, text.as_bytes()).is_some()
}

/// The text with U+FFFD in the place of U+0000, which PostgreSQL cannot store.
pub(crate) fn replaced(text: String) -> String {
    if is_replaced(&text) { text.replace('\0', "\u{FFFD}") } else { text }
}

/// Replaces U+0000 in a text. True: there was one.
pub(crate) fn replace(text: &mut Cow<'_, str>) -> bool {
    let found = is_replaced(text);
    if found {
        *text = text.replace('\0', "\u{FFFD}").into();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shortened(text: &str, limit: Limit) -> String {
        limit.cuts(text).map_or_else(|| text.into(), |end| cut(text, end))
    }

    #[test]
    fn a_text_is_known_by_the_same_whether_it_was_cut_or_not() {
        for whole in ["é".repeat(3000), "x".repeat(65), "\n".repeat(40)] {
            for length in LENGTHS {
                let stored = shortened(&whole, Limit::encoded(length));
                assert_eq!(known_by(&stored), known_by(&whole), "{length}");
            }
        }
        assert_eq!(known_by("toolu_01"), "toolu_01");
        assert_ne!(known_by(&"x".repeat(65)), known_by(&"x".repeat(66)));
        assert_ne!(known_by("…0123456789abcde"), known_by("x…0123456789abcde"));
    }

    #[test]
    fn a_cut_text_ends_in_the_digits_of_the_whole() {
        // printf 'x%.0s' $(seq 5000) | sha256sum
        let cut = shortened(&"x".repeat(5000), Limit::encoded(64));
        assert_eq!(cut, "x".repeat(45) + "…c59d3c0480cc2d71");
    }

    proptest! {
        #[test]
        fn a_text_keeps_within_its_limit_and_is_found_by_the_whole(
            text in "([a-c\"\\\\é\u{1F600}\u{1}\n]|xyz){0,90}",
            limit in prop_oneof![(64..300_usize).prop_map(Limit::encoded), (64..300_usize).prop_map(Limit::bytes)],
        ) {
            let short = shortened(&text, limit);
            let encoded = serde_json::to_string(&short).unwrap().len() - 2;
            prop_assert!(short.len() <= limit.bytes && encoded <= limit.encoded, "{short}");
            prop_assert_eq!(encoded, short.chars().map(encoded_len).sum::<usize>());
            prop_assert_eq!(limit.cuts(&short), None);
            prop_assert!(Wanted::new(text.clone()).matches(&short));
            let fits = text.len() <= limit.bytes
                && serde_json::to_string(&text).unwrap().len() - 2 <= limit.encoded;
            prop_assert_eq!(fits, short == text);
            prop_assert!(short == text || !Wanted::new(text + "a").matches(&short));
        }
    }
}
