//! Texts on a terminal, where each character is seen: one that takes no room would make two texts look the same, or change how
//! others are shown.

use std::borrow::Cow;
use std::fmt::Write as _;

use audit_format::show::escaped;
use unicode_width::UnicodeWidthChar as _;

/// How many marks a character may have. Those of a writing system are fewer; many of them cover what is around.
const MOST_MARKS: usize = 4;

/// The text as [`escaped`] shows it, with escapes also for what is not seen, and for marks of which one character has very many.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return escaped(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for char in text.chars() {
        marks = if is_mark(char) { marks + 1 } else { 0 };
        if is_unseen(char) || marks > MOST_MARKS {
            // Writing to a `String` does not fail.
            let _ = write!(out, "\\u{:04x}", u32::from(char));
        } else {
            out.push_str(&escaped(char.encode_utf8(&mut [0; 4])));
        }
    }
    out.into()
}

fn is_mark(char: char) -> bool {
    !is_unseen(char) && char.width() == Some(0)
}

/// Unicode's Default_Ignorable_Code_Point, and the characters of interlinear annotation, which are format characters too.
fn is_unseen(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_shown_as_an_escape() {
        for (text, shown) in [
            ("a\u{200b}b\u{200d}\u{feff}", r"a\u200bb\u200d\ufeff"),
            ("\u{ad}x\u{3164}", r"\u00adx\u3164"),
            ("\u{e0041}\u{e0042}", r"\ue0041\ue0042"),
            ("é\u{1b}[2J\n", r"é\u001b[2J\n"),
            ("a\u{202e}é", r"a\u202eé"),
            ("café 漢字 นี่ 👍", "café 漢字 นี่ 👍"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn a_character_has_few_marks() {
        let few = "e\u{301}\u{302}\u{303}\u{304}";
        assert_eq!(visible(&few.repeat(9)), few.repeat(9));
        assert_eq!(visible(&(few.to_owned() + "\u{305}x\u{301}")), few.to_owned() + r"\u0305" + "x\u{301}");
        let many = "e".to_owned() + &"\u{301}".repeat(300);
        assert_eq!(visible(&many).matches('\u{301}').count(), MOST_MARKS);
    }
}
