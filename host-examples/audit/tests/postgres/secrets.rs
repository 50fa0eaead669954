//! The password is in no output.

use crate::Site;
use crate::common::{run, run_with_input, text};

const HELP: [&str; 7] =
    ["--help", "help", "exec --help", "write --help", "import --help", "read --help", "status --help"];

const COMMANDS: [&str; 7] =
    ["exec -- echo hi", "write", "read", "status --json", "status", "import", "import -"];

/// All that the commands say, whether the URL is an option or in a variable.
fn everything_said(site: &Site, url: &str, commands: impl IntoIterator<Item = &'static str>) -> String {
    let mut said = String::new();
    for command in commands {
        for (backend, variable) in [("postgres", "DATABASE_URL"), ("auto", "POSTGRES_DSN")] {
            let mut audit = site.place.audit(command.split(' '));
            audit.env("AUDIT_BACKEND", backend).env(variable, url);
            let output = run_with_input(audit, crate::lines(0..2));
            said += text(&output.stdout);
            said += text(&output.stderr);
        }
        let mut audit = site.place.audit(["--backend", "auto", "--database-url", url]);
        audit.args(command.split(' '));
        let output = run_with_input(audit, crate::lines(0..2));
        said += text(&output.stdout);
        said += text(&output.stderr);
    }
    said
}

#[test]
fn the_password_is_in_no_output() {
    let site = Site::new();
    let said = everything_said(&site, &site.url, HELP.into_iter().chain(COMMANDS));
    assert!(!said.contains(site.cluster.password()), "{said}");
    assert!(said.contains("--database-url") && said.contains("answers"), "{said}");

    let wrong = site.url.replace(site.cluster.password(), "hunter2");
    let said = everything_said(&site, &wrong, COMMANDS);
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
        let said = everything_said(&site, url, COMMANDS);
        assert!(!said.contains("hunter2"), "{url}: {said}");
        assert!(
            said.contains("DATABASE_URL: ")
                && said.contains("POSTGRES_DSN: ")
                && said.contains("the database URL"),
            "{url}: {said}"
        );
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

#[test]
fn nor_where_it_is_given_in_the_wrong_place() {
    let site = Site::new();
    for url in
        ["postgres://u:hunter2@h/d", "postgres://u:hun ter2@hunter2@h/d", "host=h password=hunter2 user=u"]
    {
        let mut said = String::new();
        let options = "backend dir durability memory-limit database-timeout-ms batch-size flush-interval-ms queue-limit \
                       recovery-interval-s from to limit cursor format";
        let options =
            options.split(' ').map(|option| vec!["read".into(), format!("--{option}"), url.to_owned()]);
        let commands = ["import", "write", "read", "status", "exec", "exec --tool"].into_iter();
        let commands =
            commands.map(|line| line.split(' ').map(str::to_owned).chain([url.to_owned()]).collect());
        for arguments in options.chain(commands).chain([vec![url.to_owned()]]) {
            let output = run(site.audit(arguments));
            said += text(&output.stdout);
            said += text(&output.stderr);
        }
        let variables = "BACKEND JSONL_DIR DURABILITY MEMORY_LIMIT DATABASE_TIMEOUT_MS BATCH_SIZE FLUSH_INTERVAL_MS \
                         QUEUE_LIMIT RECOVERY_INTERVAL_S";
        for variable in variables.split(' ') {
            for command in ["status", "status --json", "read", "write", "exec -- true"] {
                let mut audit = site.audit(command.split(' '));
                audit.env("AUDIT_BACKEND", "auto").env(format!("AUDIT_{variable}"), url);
                let output = run(audit);
                said += text(&output.stdout);
                said += text(&output.stderr);
            }
        }
        assert!(!said.contains("hunter2"), "{url}: {said}");
        let masked = if url.contains("://") { "postgres://…@h" } else { "password=…" };
        assert!(said.contains(masked), "{said}");
    }
    // The folder of one of those names is there now.
    let output = run(Site::new().audit(["import", "postgres://u:hunter2@h/d"]));
    let said = text(&output.stderr);
    assert!(
        said.contains("cannot read postgres://…@h/d: ") && said.contains("--database-url or DATABASE_URL"),
        "{said}"
    );
}
