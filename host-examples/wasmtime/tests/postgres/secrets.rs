//! The password is in no output.

use crate::Site;
use crate::common::{run, run_with_input, text};

const COMMANDS: [&str; 12] = [
    "--help",
    "help",
    "exec --help",
    "write --help",
    "import --help",
    "read --help",
    "status --help",
    "exec -- echo hi",
    "write",
    "read",
    "status --json",
    "status",
];

/// All that the program says, whether the URL is an option or a variable.
fn everything_said(site: &Site, url: &str) -> String {
    let mut said = String::new();
    for command in COMMANDS.into_iter().chain(["import", "import -"]) {
        for backend in ["postgres", "auto"] {
            for option in [false, true] {
                let mut audit = site.place.audit(["--backend", backend]);
                match option {
                    true => audit.args(["--database-url", url]),
                    false => audit.env("POSTGRES_DSN", url).env("DATABASE_URL", ""),
                };
                audit.args(command.split(' '));
                let output = run_with_input(audit, crate::lines(0..2));
                said += text(&output.stdout);
                said += text(&output.stderr);
            }
            let mut audit = site.place.audit(command.split(' '));
            audit.env("DATABASE_URL", url).env("AUDIT_BACKEND", backend);
            let output = run(audit);
            said += text(&output.stdout);
            said += text(&output.stderr);
        }
    }
    said
}

#[test]
fn the_password_is_in_no_output() {
    let site = Site::new();
    let said = everything_said(&site, &site.url);
    assert!(!said.contains(site.cluster.password()), "{said}");
    assert!(said.contains("--database-url") && said.contains("answers"), "{said}");

    let wrong = site.url.replace(site.cluster.password(), "hunter2");
    let said = everything_said(&site, &wrong);
    assert!(!said.contains("hunter2"), "{said}");
    assert!(said.contains("password authentication failed"), "{said}");
}

#[test]
fn nor_is_it_where_the_url_cannot_be_read() {
    let site = Site::new();
    for url in [
        "postgres://audit:hunter2@@localhost/audit",
        "postgres://audit:hunter2@localhost:port/audit",
        "mysql://audit:hunter2@localhost/audit",
        "host=localhost password=hunter2 hunter2=1",
        "postgres:hunter2",
        "hunter2",
    ] {
        let said = everything_said(&site, url);
        assert!(!said.contains("hunter2"), "{url}: {said}");
        assert!(said.contains("DATABASE_URL: ") && said.contains("the database URL"), "{url}: {said}");
    }
}

#[test]
fn a_url_that_cannot_be_read_is_refused_as_an_option_and_a_warning_as_a_variable() {
    let site = Site::new();
    let output = run(site.audit("exec --backend auto --database-url hunter2 -- touch ran".split(' ')));
    assert_eq!(output.status.code(), Some(2));
    let mut command = site.place.audit(["exec", "--database-url", "hunter2", "--", "touch", "ran"]);
    command.env("AUDIT_BACKEND", "auto");
    assert_eq!(run(command).status.code(), Some(2));
    assert!(!site.place.path().join("ran").exists());

    let mut command = site.place.audit(["exec", "--", "touch", "ran"]);
    command.env("AUDIT_BACKEND", "auto").env("DATABASE_URL", "hunter2");
    let output = run(command);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("DATABASE_URL: "), "{output:?}");
    assert!(site.place.path().join("ran").exists());
    assert_eq!(site.place.event()["tool"], "touch", "it is in the daily file");
}
