//! The environment of libpq: the password, and the certificates to trust.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::Site;
use crate::common::{run, text};

/// The URL of the site without its password.
fn without_password(site: &Site) -> String {
    site.url.replace(&format!(":{}@", site.cluster.password()), "@")
}

/// Runs `audit exec` with these variables and no password in the URL.
fn exec(site: &Site, variables: &[(&str, &str)]) -> Output {
    let mut command = site.audit_at(&without_password(site), "exec --backend postgres -- true".split(' '));
    // The compiled component stays in the cache of the user.
    let cache = env::var_os("XDG_CACHE_HOME").unwrap_or_else(|| {
        Path::new(&env::var_os("HOME").unwrap_or_default()).join(".cache").into_os_string()
    });
    command.env("HOME", site.workspace.path()).env("XDG_CACHE_HOME", cache).envs(variables.iter().copied());
    run(command)
}

#[track_caller]
fn assert_stored(site: &Site, variables: &[(&str, &str)], stored: usize) {
    let output = exec(site, variables);
    assert_eq!((text(&output.stderr), site.stored()), ("", stored));
}

/// A file that only its owner can read.
fn private(site: &Site, name: &str, text: &str) -> PathBuf {
    let path = site.workspace.file(name, text);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn the_password_comes_from_the_url_then_the_variable_then_the_password_file() {
    let site = Site::new();
    let password = site.cluster.password();
    let output = exec(&site, &[]);
    assert!(text(&output.stderr).contains("password missing"), "{output:?}");

    assert_stored(&site, &[("PGPASSWORD", password)], 1);
    let line = format!("localhost:*:*:*:no\n127.0.0.1:{}:*:audit:{password}\n", site.cluster.port());
    let file = private(&site, "passwords", &line);
    assert_stored(&site, &[("PGPASSFILE", file.to_str().unwrap())], 2);
    private(&site, ".pgpass", &line);
    assert_stored(&site, &[], 3);

    let output = exec(&site, &[("PGPASSWORD", "hunter2")]);
    let said = text(&output.stderr);
    assert!(said.contains("password authentication failed") && !said.contains("hunter2"), "{said}");
    let mut command = site.audit("exec --backend postgres -- true".split(' '));
    command.env("PGPASSWORD", "hunter2");
    assert_eq!((text(&run(command).stderr), site.stored()), ("", 4));
}

#[test]
fn a_password_file_that_others_can_read_is_ignored_with_a_warning() {
    let site = Site::new();
    let password = site.cluster.password();
    let path = site.workspace.file("passwords", format!("*:*:*:*:{password}\n"));
    for (mode, ignored) in [(0o640, true), (0o604, true), (0o600, false), (0o400, false)] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let output = exec(&site, &[("PGPASSFILE", path.to_str().unwrap())]);
        let said = text(&output.stderr);
        assert_eq!(said.matches("chmod 600").count(), usize::from(ignored), "{mode:o}: {said}");
        assert_eq!(said.contains("password missing"), ignored, "{mode:o}: {said}");
        assert!(!said.contains(password), "{said}");
    }
    assert_eq!(site.stored(), 2);
}

#[test]
fn certificates_to_trust_come_from_the_variable_where_the_url_names_none() {
    let site = Site::new();
    let variables = [("PGPASSWORD", site.cluster.password()), ("PGSSLROOTCERT", "/nowhere/roots.pem")];
    let status = |parameters: &str| {
        let mut command = site.audit_at(&(without_password(&site) + parameters), ["migrate"]);
        command.envs(variables);
        run(command)
    };
    let said = status("?sslmode=verify-full");
    assert!(text(&said.stderr).contains("PGSSLROOTCERT: /nowhere/roots.pem cannot be read"), "{said:?}");
    let said = status("?sslmode=verify-full&sslrootcert=/nowhere/else.pem");
    assert!(text(&said.stderr).contains("sslrootcert: /nowhere/else.pem cannot be read"), "{said:?}");
    assert_eq!(status("?sslmode=prefer").status.code(), Some(0));
}
