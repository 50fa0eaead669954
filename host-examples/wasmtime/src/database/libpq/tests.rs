//! Which password is taken from the password file.

use super::*;

fn passwords(lines: &str, url: &str) -> Vec<Option<String>> {
    let text = |password: Option<Vec<u8>>| password.map(|bytes| String::from_utf8(bytes).unwrap());
    of_hosts(lines.as_bytes(), &url.parse().unwrap()).into_iter().map(text).collect()
}

#[test]
fn the_first_line_that_is_for_the_host_has_its_password() {
    for (lines, password) in [
        ("h:5432:d:u:secret", Some("secret")),
        ("h:5432:d:u:secret\r\nh:5432:d:u:other\n", Some("secret")),
        ("*:*:*:*:secret", Some("secret")),
        (
            "# h:5432:d:u:no\n\ng:*:*:*:no\nh:5433:*:*:no\nh:*:e:*:no\nh:*:*:v:no\nh:*:*:u:secret",
            Some("secret"),
        ),
        (r"h:*:*:*:a\:b\\c:d", Some(r"a:b\c:d")),
        (r"\h:*:*:*:a\", Some(r"a\")),
        ("", None),
        ("h:5432:d:u", None),
        ("h:5432:d:u:", None),
        (r"\*:*:*:*:no", None),
        (r"h\:5432:d:u:no", None),
        ("h\\", None),
    ] {
        assert_eq!(passwords(lines, "postgres://u@h/d"), [password.map(str::to_owned)], "{lines}");
    }
}

#[test]
fn each_host_has_a_password_of_its_own() {
    let lines = "a:1:*:*:one\n\\:\\:1:2:*:*:two\n/run/pg:*:*:*:three\n";
    let found = passwords(lines, "host=a,::1,/run/pg,b port=1,2,3,4 user=u");
    assert_eq!(found, [Some("one".into()), Some("two".into()), Some("three".into()), None]);
    assert_eq!(passwords("*:*:u:u:one", "host=a user=u"), [Some("one".into())]);
    assert_eq!(passwords(r"*:*:a\:b:*:one", "host=a user=u dbname=a:b"), [Some("one".into())]);
}
