//! What this program prints shows no password, wherever somebody gave one by mistake.

/// What stands for a password, with the user's name where that is in front of it.
const MASK: &str = "…";

/// The text with `scheme://…@` in the place of `scheme://USER:PASSWORD@`, and `password=…` in the place of
/// `password=PASSWORD`. Rather too much is masked than too little.
pub(super) fn masked(text: &str) -> String {
    passwords(&urls(text))
}

fn urls(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        out += before;
        let (url, next) = after.split_at(next_url(after));
        // A password that is not written as it has to be may have spaces, and more than one @.
        let credentials = url.rfind('@').unwrap_or_else(|| cut_off(url));
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

/// Where the scheme of the next URL begins.
fn next_url(text: &str) -> usize {
    for (at, _) in text.match_indices("://") {
        let scheme =
            text[..at].trim_end_matches(|sign: char| sign.is_ascii_alphanumeric() || "+-.".contains(sign));
        if scheme.ends_with(|sign: char| sign.is_whitespace() || "'\"`(".contains(sign)) {
            return scheme.len();
        }
    }
    text.len()
}

/// How long the credentials may be of a URL whose @ is missing: some messages show the beginning only. 0: what is
/// there is a host, and a port perhaps.
fn cut_off(url: &str) -> usize {
    let word = url.find(|sign: char| sign.is_whitespace() || "'\"".contains(sign)).unwrap_or(url.len());
    let authority = url[..word].split(['/', '?', '#']).next().unwrap_or_default();
    match authority.trim_end_matches([':', ';', ',', '.']).split_once(':') {
        Some((_, port)) if port.len() > 5 || port.contains(|sign: char| !sign.is_ascii_digit()) => word,
        _ => 0,
    }
}

fn passwords(text: &str) -> String {
    const KEY: &str = "password";
    // As long as the text is, byte for byte.
    let lower = text.to_ascii_lowercase();
    let (mut out, mut done) = (String::new(), 0);
    for (at, _) in lower.match_indices(KEY) {
        let after = text[at + KEY.len()..].trim_start();
        let Some(value) = after.strip_prefix('=').map(str::trim_start).filter(|_| at >= done) else {
            continue;
        };
        let len = length(value);
        if len == 0 || value[..len] == *"PASSWORD" {
            continue;
        }
        out += &text[done..text.len() - value.len()];
        out += MASK;
        done = text.len() - value.len() + len;
    }
    out + &text[done..]
}

/// How long the value is that the text begins with: up to its quote, else to a space. A message's own quote behind it
/// stays.
fn length(value: &str) -> usize {
    let Some(quoted) = value.strip_prefix('\'') else {
        let word = value.split(char::is_whitespace).next().unwrap_or_default();
        return word.trim_end_matches(['\'', '"']).len();
    };
    let mut escaped = false;
    let end = quoted.find(|sign| {
        let ends = sign == '\'' && !escaped;
        escaped = sign == '\\' && !escaped;
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
    fn the_password_of_keys_and_values_is_masked() {
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
    fn what_has_no_password_stays() {
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
