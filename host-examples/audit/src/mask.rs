//! Masks passwords in all that this program prints, also where somebody gave one in the wrong place.

use std::ops::Range;

/// The text in the place of a password, or of the user and the password of a URL.
const MASK: &str = "…";

/// What a private key begins with, as `audit keygen` writes it.
const PRIVATE_KEY: &str = "PRIVATE+KEY+";

/// Replaces `scheme://USER:PASSWORD@` by `scheme://…@`, `password=PASSWORD` by `password=…`, and private keys by
/// `PRIVATE+KEY+…`. In case of doubt too much is masked, rather than too little.
pub(super) fn masked(text: &str) -> String {
    // Each is looked for in the text as it came: what one masks may be what another is known by.
    let mut secrets = [credentials(text), passwords(text), private_keys(text)].concat();
    secrets.sort_by_key(|secret| secret.start);
    let (mut out, mut done) = (String::new(), 0);
    for secret in secrets {
        if done == 0 || secret.start > done {
            out += &text[done..secret.start];
            out += MASK;
        }
        done = done.max(secret.end);
    }
    out + &text[done..]
}

/// Where private keys are, each up to the end of its word.
fn private_keys(text: &str) -> Vec<Range<usize>> {
    let key = |(at, _)| {
        let start = at + PRIVATE_KEY.len();
        let end = text[start..].find(|c: char| c.is_whitespace() || "'\"`,".contains(c));
        start..end.map_or(text.len(), |end| start + end)
    };
    text.match_indices(PRIVATE_KEY).map(key).collect()
}

/// Where the credentials of URLs are.
fn credentials(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut done) = (Vec::new(), 0);
    while let Some(at) = text[done..].find("://") {
        let start = done + at + "://".len();
        done = start + next_url(&text[start..]);
        let url = &text[start..done];
        // A password that is not percent-encoded may have spaces and more than one @.
        let len = url.rfind('@').unwrap_or_else(|| truncated_credentials(url));
        if len > 0 && url[..len] != *"USER:PASSWORD" {
            found.push(start..start + len);
        }
    }
    found
}

/// The position at which the scheme of the next URL begins.
fn next_url(text: &str) -> usize {
    for (at, _) in text.match_indices("://") {
        let scheme = text[..at].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if scheme.ends_with(|c: char| c.is_whitespace() || "'\"`(".contains(c)) {
            return scheme.len();
        }
    }
    text.len()
}

/// The length of the credentials in a URL without an @, as in messages that show only its beginning. 0 if the
/// URL has a host there, and perhaps a port.
fn truncated_credentials(url: &str) -> usize {
    let word = url.find(|c: char| c.is_whitespace() || "'\"".contains(c)).unwrap_or(url.len());
    let authority = url[..word].split(['/', '?', '#']).next().unwrap_or_default();
    match authority.trim_end_matches([':', ';', ',', '.']).split_once(':') {
        Some((_, port)) if port.len() > 5 || port.contains(|c: char| !c.is_ascii_digit()) => word,
        _ => 0,
    }
}

/// Where the values of `password=` are. One may have the name of another in it.
fn passwords(text: &str) -> Vec<Range<usize>> {
    const KEY: &str = "password";
    // Has the same length in bytes as the text, so that positions in it are valid in the text.
    let lower = text.to_ascii_lowercase();
    let password = |(at, _)| {
        let value = text[at + KEY.len()..].trim_start().strip_prefix('=')?.trim_start();
        let (start, len) = (text.len() - value.len(), value_length(value));
        (len > 0 && value[..len] != *"PASSWORD").then_some(start..start + len)
    };
    lower.match_indices(KEY).filter_map(password).collect()
}

/// The length of the value at the start of the text: up to its closing quote, or else up to a space. A quote
/// of the message itself behind the value is not a part of it.
fn value_length(value: &str) -> usize {
    let Some(quoted) = value.strip_prefix('\'') else {
        let word = value.split(char::is_whitespace).next().unwrap_or_default();
        return word.trim_end_matches(['\'', '"']).len();
    };
    let mut escaped = false;
    let end = quoted.find(|c| {
        let ends = c == '\'' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(value.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credentials_of_a_url_are_masked() {
        for (text, expected) in [
            ("cannot read postgres://u:secret@h/d: no", "cannot read postgres://…@h/d: no"),
            ("postgres://u:secret@h/d", "postgres://…@h/d"),
            ("postgres://:secret@h", "postgres://…@h"),
            ("postgres://u:se/cr?e#t@h", "postgres://…@h"),
            ("postgres://u:se@cr et@h", "postgres://…@h"),
            ("postgres://u:a://secret@h", "postgres://…@h"),
            ("'a://u:secret@h' or '-- a://u:secret@h'", "'a://…@h' or '-- a://…@h'"),
            ("\"postgres://u:secret\"… is none", "\"postgres://…\"… is none"),
            ("cannot read postgres://u:secret: no", "cannot read postgres://… no"),
            ("a://u:12345678 is none", "a://… is none"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn passwords_in_key_value_pairs_are_masked() {
        for (text, expected) in [
            ("host=h password=secret user=u", "host=h password=… user=u"),
            ("host=h PASSWORD = secret", "host=h PASSWORD = …"),
            ("password='se \\' cret' user=u", "password=… user=u"),
            ("password='se cret", "password=…"),
            ("'host=h password=secret' for", "'host=h password=…' for"),
            ("postgres://h/d?password=secret&user=u for", "postgres://h/d?password=… for"),
            ("password=a password=b", "password=… password=…"),
            ("password= password= secret user=u", "password= … … user=u"),
            ("password=a://h/d?password= secret", "password=… …"),
            ("password='a password=' secret", "password=…"),
            ("postgres://h:p/d?password= secret&user=u for", "postgres://… … for"),
            ("postgres://u:password=secret@h", "postgres://…"),
            ("postgres://u:/secret password=@h for", "postgres://… for"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn private_keys_are_masked() {
        for (text, expected) in [
            (
                "invalid value 'PRIVATE+KEY+a.org/b+0011aabb+AQI+9iXG/z=' for",
                "invalid value 'PRIVATE+KEY+…' for",
            ),
            ("PRIVATE+KEY+a+b+c PRIVATE+KEY+a+b+c", "PRIVATE+KEY+… PRIVATE+KEY+…"),
            ("x PRIVATE+KEY+", "x PRIVATE+KEY+…"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn text_without_a_password_is_unchanged() {
        for text in [
            "",
            "the password of the user a@b",
            "see https://example.org:8080/a:b, or postgres://localhost:5432",
            "such as postgres://USER:PASSWORD@HOST:5432/DATABASE or password=PASSWORD dbname=DATABASE",
            "://",
            "password=",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
