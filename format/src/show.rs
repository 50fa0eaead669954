//! Texts in messages and on terminals. A recorded text may have any characters; shown as they are, some would change
//! what a terminal does, or the order in which it shows the text.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

/// The text with escapes, as in JSON, in the place of control characters and of those that change the direction of
/// writing.
///
/// ```
/// assert_eq!(audit_format::show::escaped("a\u{1b}[2Jb\n"), r"a\u001b[2Jb\n");
/// assert_eq!(audit_format::show::escaped("café"), "café");
/// ```
pub fn escaped(text: &str) -> Cow<'_, str> {
    if is_plain(text) || !text.contains(is_escaped) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match char {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if is_escaped(char) => {
                // Writing to a `String` does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.into()
}

/// Whether the text has only the characters of ASCII that are seen, and spaces, as nearly all texts. Each is one byte, takes
/// one place on a terminal, and is shown as it is.
pub fn is_plain(text: &str) -> bool {
    // Without an early exit the compiler makes this compare 16 bytes at once.
    text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'))
}

/// Whether a character is shown as an escape.
pub fn is_escaped(char: char) -> bool {
    // Unicode's Bidi_Control, and its separators of lines and paragraphs.
    let is_direction = matches!(char,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    char.is_control() || is_direction || matches!(char, '\u{2028}' | '\u{2029}')
}

/// The start of the text in quotes, for a message: short and on one line, whatever the text is.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let (shown, more) = match text.char_indices().nth(SHOWN) {
        Some((end, _)) => (&text[..end], "…"),
        None => (text, ""),
    };
    let shown = shown.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"{more}", escaped(&shown))
}

/// The text on one line: what several lines say, parted by spaces, with escapes as in [`escaped`].
pub fn one_line(text: &str) -> String {
    let mut lines = text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty());
    let first = String::from(lines.next().unwrap_or_default());
    let joined = lines.fold(first, |joined, line| joined + " " + line);
    escaped(&joined).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_plain_is_shown_as_it_is_and_takes_a_byte_a_character(
            text in "[ -~]{0,40}[\u{0}-\u{a0}\u{202e}\u{6f22}]{0,2}[ -~]{0,20}",
        ) {
            let seen = |char: char| char == ' ' || char.is_ascii_graphic();
            prop_assert_eq!(is_plain(&text), text.chars().all(seen));
            let changed = escaped(&text) != text;
            prop_assert_eq!(changed, text.contains(is_escaped));
            prop_assert!(!escaped(&text).contains(is_escaped));
        }
    }
}
