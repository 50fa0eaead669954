//! The URLs of databases, and what they become for another port or another user.

/// An address at which no server listens. A port that was free a moment ago may be another test's by now; this one
/// never is.
pub const NOWHERE: &str = "127.0.0.1:1";

/// The URL with another user and password.
pub fn as_user(url: &str, user: &str, password: &str) -> String {
    let (_, rest) = url.split_once('@').expect("the URL names a user");
    format!("postgres://{user}:{password}@{rest}")
}

/// The name of the URL's database.
pub fn database_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

/// The URL with another port.
pub fn with_port(url: &str, port: u16) -> String {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[authority..].find(['/', '?']).map_or(url.len(), |path| authority + path);
    let colon = url[..end].rfind(':').filter(|colon| *colon >= authority);
    let colon = colon.unwrap_or_else(|| panic!("the URL has no port"));
    format!("{}:{port}{}", &url[..colon], &url[end..])
}
