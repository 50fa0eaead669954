//! Masks passwords in all that this program prints, also where somebody gave one in the wrong place.

/// The text in the place of a password, or of the user and the password of a URL.
const MASK: &str = "…";

/// What a private key begins with, as `audit keygen` writes it.
const PRIVATE_KEY: &str = "PRIVATE+KEY+";

/// Replaces `scheme://USER:PASSWORD@` by `scheme://…@`, `password=PASSWORD` by `password=…`, and private keys by
/// `PRIVATE+KEY+…`. In case of doubt too much is masked, rather than too little.
pub(super) fn masked(text: &str) -> String {
    mask_keys(&mask_pairs(&mask_urls(text)))
}

/// Masks private keys, each up to the end of its word.
fn mask_keys(text: &str) -> String {
    let mut parts = text.split(PRIVATE_KEY);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || "'\"`,".contains(c)).unwrap_or(part.len());
        out += PRIVATE_KEY;
        out += MASK;
        out += &part[end..];
    }
    out
}

/// Masks the credentials of URLs.
fn mask_urls(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        out += before;
        let (url, next) = after.split_at(next_url(after));
        // A password that is not percent-encoded may have spaces and more than one @.
        let credentials = url.rfind('@').unwrap_or_else(|| truncated_credentials(url));
        if credentials == 0 || url[..credentials] == *"USER:PASSWORD" {
            out += url;
        } else {
            out += MASK;
            out += &url[credentials..];
        }
        rest = next;
    }
    out + rest
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

/// Masks the values of `password=`.
fn mask_pairs(text: &str) -> String {
    const KEY: &str = "password";
    // Has the same length in bytes as the text, so that positions in it are valid in the text.
    let lower = text.to_ascii_lowercase();
    let (mut out, mut done) = (String::new(), 0);
    for (at, _) in lower.match_indices(KEY) {
        let after = text[at + KEY.len()..].trim_start();
        let Some(value) = after.strip_prefix('=').map(str::trim_start).filter(|_| at >= done) else {
            continue;
        };
        let len = value_length(value);
        if len == 0 || value[..len] == *"PASSWORD" {
            continue;
        }
        out += &text[done..text.len() - value.len()];
        out += MASK;
        done = text.len() - value.len() + len;
    }
    out + &text[done..]
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
