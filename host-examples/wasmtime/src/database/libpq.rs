//! What libpq's environment variables add to a database URL: the password, from the variable or from the password file,
//! and the certificates to trust. <https://www.postgresql.org/docs/current/libpq-envars.html>

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// The variable that names a file with the certificates to trust.
pub(super) const ROOTS: &str = "PGSSLROOTCERT";

/// What the variables say. By default none of them is set.
#[derive(Clone, Default)]
pub(crate) struct Libpq {
    password: Option<OsString>,
    password_file: Option<PathBuf>,
    roots: Option<OsString>,
}

/// The password of each host, and what is wrong with the password file.
#[derive(Default)]
pub(super) struct Passwords {
    pub(super) of_hosts: Vec<Option<Vec<u8>>>,
    pub(super) warning: Option<String>,
}

impl Libpq {
    /// Reads the environment by `variable`, which returns the value of a variable that is set.
    pub(crate) fn from_env(variable: impl Fn(&'static str) -> Option<OsString>) -> Self {
        let default = || Some(Path::new(&variable("HOME")?).join(".pgpass"));
        Self {
            password: variable("PGPASSWORD"),
            password_file: variable("PGPASSFILE").map(PathBuf::from).or_else(default),
            roots: variable(ROOTS),
        }
    }

    /// The file with the certificates to trust.
    pub(super) fn roots(&self) -> Option<String> {
        self.roots.as_ref().map(|path| path.to_string_lossy().into_owned())
    }

    /// The passwords for the hosts of a URL without a password.
    pub(super) fn passwords(&self, config: &Config) -> Passwords {
        if let Some(password) = &self.password {
            let password = password.as_encoded_bytes().to_vec();
            return Passwords { of_hosts: vec![Some(password); config.get_hosts().len()], warning: None };
        }
        let Some(path) = &self.password_file else { return Passwords::default() };
        match read(path) {
            Ok(lines) => Passwords { of_hosts: of_hosts(&lines, config), warning: None },
            Err(why) => Passwords { of_hosts: Vec::new(), warning: why },
        }
    }
}

/// The contents of the password file. The error says why it is ignored; it says nothing if there is no file.
fn read(path: &Path) -> Result<Vec<u8>, Option<String>> {
    let ignored = |why: String| Some(format!("the password file {} is ignored: {why}", path.display()));
    let opened = fs::metadata(path).and_then(|metadata| match metadata.is_file() {
        // A pipe, which nobody may write to, is not opened.
        true => File::open(path),
        false => Err(io::Error::other("it is no file")),
    });
    let mut file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(None),
        opened => opened.map_err(|error| ignored(error.to_string()))?,
    };
    if is_open_to_others(&file).map_err(|error| ignored(error.to_string()))? {
        return Err(ignored(
            "other users of the machine can use it; `chmod 600` makes it yours alone".into(),
        ));
    }
    let mut lines = Vec::new();
    file.read_to_end(&mut lines).map_err(|error| ignored(error.to_string()))?;
    Ok(lines)
}

#[cfg(unix)]
fn is_open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(file.metadata()?.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_file: &File) -> io::Result<bool> {
    Ok(false)
}

/// The password of each host, by the first line that is for it.
fn of_hosts(lines: &[u8], config: &Config) -> Vec<Option<Vec<u8>>> {
    let os_user = || whoami::username().ok();
    let user = config.get_user().map(str::to_owned).or_else(os_user).unwrap_or_default();
    let database = config.get_dbname().unwrap_or(&user);
    let ports = config.get_ports();
    let password = |(n, host): (usize, &Host)| {
        let host = match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(folder) => folder.display().to_string(),
        };
        let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432).to_string();
        let wanted = [host.as_str(), &port, database, &user];
        lines.split(|byte| *byte == b'\n').find_map(|line| password(line, wanted))
    };
    config.get_hosts().iter().enumerate().map(password).collect()
}

/// The password of a line `HOST:PORT:DATABASE:USER:PASSWORD`, if its fields are the wanted ones, or `*`. A backslash
/// escapes a colon or another backslash.
fn password(line: &[u8], wanted: [&str; 4]) -> Option<Vec<u8>> {
    if line.starts_with(b"#") {
        return None;
    }
    let mut rest = line.strip_suffix(b"\r").unwrap_or(line);
    for wanted in wanted {
        let (field, after) = split_at_colon(rest)?;
        if field != b"*" && unescaped(field) != wanted.as_bytes() {
            return None;
        }
        rest = after;
    }
    Some(unescaped(rest)).filter(|password| !password.is_empty())
}

/// The text before and behind the first colon that is not escaped.
fn split_at_colon(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    while *text.get(at)? != b':' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    Some((&text[..at], &text[at + 1..]))
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        // One at the end stands for itself.
        let escaped = if *byte == b'\\' { bytes.next() } else { None };
        out.push(*escaped.unwrap_or(byte));
    }
    out
}
