//! The URL of a database, which may have a password.

use std::time::Duration;

use audit_cli::inputs::masked;
use audit_host::{Database, Options};

/// The password. Nothing else is called like it.
const PASSWORD: &str = "Zq9xKw7v";

/// Where it stands in the input.
const PLACE: &str = "{}";

/// The input is a URL, with `{}` in the place of a password.
///
/// Whether it is accepted or not, nothing that is shown of it has the password: no error, no debug output, and no message in
/// which somebody quotes the whole URL.
pub fn database_url(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    // The names of files in it are opened, and these would be read for ever.
    if text.contains(PASSWORD) || text.contains("dev") || !is_password(&text) {
        return;
    }
    let url = text.replacen(PLACE, PASSWORD, 1);
    let timeout = Duration::from_secs(1);
    let shown = match Database::new(&url, timeout, timeout) {
        Ok(database) => format!("{database:?}"),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            format!("{error} {error:?}")
        }
    };
    let options = Options::new().backend("postgres").database_url(&url);
    for shown in [shown, format!("{options:?}"), masked(&url), masked(&format!("cannot use '{url}': no"))] {
        assert!(!shown.contains(PASSWORD), "the password of {text:?} is shown: {shown}");
    }
}

/// Whether what stands in this place is a password, or a part of one.
fn is_password(text: &str) -> bool {
    let Some((before, after)) = text.split_once(PLACE) else { return false };
    let of_url = before.split_once("://").is_some_and(|(scheme, user)| {
        scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && user.contains(':')
            && !user.contains('@')
            // A text with several URLs has no password that is known to be one.
            && !user.contains("://")
            && after.split_once('@').is_some_and(|(rest, _)| !rest.contains("://"))
    });
    let value = before.rsplit_once('=').is_some_and(|(key, begun)| {
        let key = key.trim_end();
        let is_key = key == "password"
            || key.strip_suffix("password").is_some_and(|rest| rest.ends_with([' ', '?', '&']));
        is_key && begun.trim_start().bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    of_url || value
}
