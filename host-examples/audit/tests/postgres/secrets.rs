//! No output shows the password of the database.

use std::process::Command;

use crate::Site;
use crate::common::{lines, run, run_with_input, text};

const HELP: [&str; 14] = [
    "--help",
    "help",
    "exec --help",
    "write --help",
    "import --help",
    "read --help",
    "status --help",
    "seal --help",
    "verify --help",
    "keygen --help",
    "prove --help",
    "check --help",
    "prune --help",
    "hold add --help",
];

const COMMANDS: [&str; 12] = [
    "exec -- echo hi",
    "write",
    "read",
    "status --json",
    "status",
    "import",
    "import -",
    "prove --index 0 --log log",
    "prune --keep 1d --log log",
    "hold add --all --reason x --log log",
    "seal --key seal.key --log log",
    "verify --log log",
];

/// Everything that a command says when it gets two lines as its input.
fn said(command: Command) -> String {
    let output = run_with_input(command, lines(0..2));
    text(&output.stdout).to_owned() + text(&output.stderr)
}

/// Everything that the commands say, with the URL in a variable and as an option.
fn everything_said(site: &Site, url: &str, commands: impl IntoIterator<Item = &'static str>) -> String {
    let mut everything = String::new();
    for command in commands {
        for (backend, variable) in [("postgres", "DATABASE_URL"), ("auto", "POSTGRES_DSN")] {
            let mut audit = site.workspace.audit(command.split(' '));
            audit.env("AUDIT_BACKEND", backend).env(variable, url);
            everything += &said(audit);
        }
        let mut audit = site.workspace.audit(["--backend", "auto", "--database-url", url]);
        audit.args(command.split(' '));
        everything += &said(audit);
    }
    everything
}

#[test]
fn no_output_shows_the_password() {
    let site = Site::new();
    let made = run(site.audit(["keygen", "example.com/audit", "--out", "seal.key"]));
    assert!(made.status.success(), "{made:?}");
    let said = everything_said(&site, &site.url, HELP.into_iter().chain(COMMANDS));
    assert!(!said.contains(site.cluster.password()), "{said}");
    assert!(said.contains("--database-url") && said.contains("answers"), "{said}");

    let wrong = site.url.replace(site.cluster.password(), "hunter2");
    let said = everything_said(&site, &wrong, COMMANDS);
    assert!(!said.contains("hunter2"), "{said}");
    assert!(said.contains("password authentication failed"), "{said}");
}

#[test]
fn no_output_shows_the_password_of_a_url_that_cannot_be_read() {
    let site = Site::new();
    for url in [
        "postgres://audit:hunter2@@localhost/audit",
        "postgres://audit:hunter2@localhost:port/audit",
        "mysql://audit:hunter2@localhost/audit",
        "host=localhost password=hunter2 hunter2=1",
        "postgres:hunter2",
        "hunter2",
        "audit:hun@hunter2",
        "postgres://audit:hunter2",
        "postgres://audit:hunter2/audit",
        "postgres://hunter2@/audit",
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
fn nothing_is_shown_of_a_url_that_leads_to_no_host() {
    let site = Site::new();
    let lookups = ["exec -- true", "write", "read", "status", "status --json", "migrate"];
    for url in [
        "postgres://audit:hun@ter2.invalid/hunter2",
        "postgres://hunter2:@ter2.invalid:5433",
        "postgresql://audit:hun@ter2.invalid?application_name=a&sslmode=require",
        "postgres://audit:hun@ter2.invalid,hunter2.invalid:5433/audit",
        "postgres://audit:hunter@234567/audit",
        "host=hunter2.invalid user=ter2",
        "host= password=hunter2",
        "host=ter2.invalid password=hun user=hunter2 dbname=ter2",
    ] {
        let said = everything_said(&site, url, lookups);
        for secret in ["hun", "ter2", "234567", ":5433"] {
            assert!(!said.contains(secret), "{url}: {said}");
        }
        assert!(said.contains("that the database URL names"), "{url}: {said}");
        assert!(said.contains("write an @ in the password as %40"), "{url}: {said}");
    }
    // A host that is there is named, whatever comes of it.
    let said = everything_said(&site, "postgres://audit:hunter2@localhost:1/audit", lookups);
    assert!(said.contains("(localhost:1): Connection refused") && !said.contains("%40"), "{said}");
}

#[test]
fn an_import_shows_nothing_of_a_url_that_leads_to_no_host() {
    let site = Site::new();
    let said = said(site.audit_at("postgres://audit:hun@ter2.invalid/hunter2", ["import", "-"]));
    assert!(!said.contains("hun") && !said.contains("ter2"), "{said}");
    assert!(said.contains("that the database URL names"), "{said}");
}

#[test]
fn a_url_that_cannot_be_read_is_an_error_as_an_option_and_a_warning_as_a_variable() {
    let site = Site::new();
    let output = run(site.audit("exec --backend auto --database-url hunter2 -- touch ran".split(' ')));
    assert_eq!(output.status.code(), Some(2));
    let mut command = site.workspace.audit(["exec", "--database-url", "hunter2", "--", "touch", "ran"]);
    command.env("AUDIT_BACKEND", "auto");
    assert_eq!(run(command).status.code(), Some(2));
    assert!(!site.workspace.path().join("ran").exists());

    let mut command = site.workspace.audit(["exec", "--", "touch", "ran"]);
    command.env("AUDIT_BACKEND", "auto").env("DATABASE_URL", "hunter2");
    let output = run(command);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("DATABASE_URL: "), "{output:?}");
    assert!(site.workspace.path().join("ran").exists());
    assert_eq!(site.workspace.event()["tool"], "touch", "the call is not in the daily file");
}

#[test]
fn no_output_shows_the_password_of_a_url_in_the_wrong_place() {
    let site = Site::new();
    for url in
        ["postgres://u:hunter2@h/d", "postgres://u:hun ter2@hunter2@h/d", "host=h password=hunter2 user=u"]
    {
        let mut everything = String::new();
        let options = "backend dir durability memory-limit database-timeout-ms batch-size flush-interval-ms queue-limit \
                       recovery-interval-s from to limit cursor format";
        let options =
            options.split(' ').map(|option| vec!["read".into(), format!("--{option}"), url.to_owned()]);
        let commands = ["import", "write", "read", "status", "exec", "exec --tool"].into_iter();
        let commands =
            commands.map(|line| line.split(' ').map(str::to_owned).chain([url.to_owned()]).collect());
        for arguments in options.chain(commands).chain([vec![url.to_owned()]]) {
            everything += &said(site.audit(arguments));
        }
        let variables = "BACKEND JSONL_DIR DURABILITY MEMORY_LIMIT DATABASE_TIMEOUT_MS BATCH_SIZE FLUSH_INTERVAL_MS \
                         QUEUE_LIMIT RECOVERY_INTERVAL_S";
        for variable in variables.split(' ') {
            for command in ["status", "status --json", "read", "write", "exec -- true"] {
                let mut audit = site.audit(command.split(' '));
                audit.env("AUDIT_BACKEND", "auto").env(format!("AUDIT_{variable}"), url);
                everything += &said(audit);
            }
        }
        assert!(!everything.contains("hunter2"), "{url}: {everything}");
        let masked = if url.contains("://") { "postgres://…@h" } else { "password=…" };
        assert!(everything.contains(masked), "{everything}");
    }
    // A command above has made a folder with the name of the URL, so that this needs a new site.
    let output = run(Site::new().audit(["import", "postgres://u:hunter2@h/d"]));
    let said = text(&output.stderr);
    assert!(
        said.contains("cannot read postgres://…@h/d: ") && said.contains("--database-url or DATABASE_URL"),
        "{said}"
    );
}
