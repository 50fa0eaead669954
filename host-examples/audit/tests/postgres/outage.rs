//! What is written while the server is down is stored later, and nothing waits for the next event.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use audit_testbed::{Cluster, DATABASE_BACKENDS, NOWHERE, Pooler, Proxy, Stop, files, spools, wait_until};
use serde_json::Value;

use crate::common::{Workspace, assert_accepted, end_of, lines, run, run_with_input, text};
use crate::{Site, tools};

/// The paths and contents of the files with events.
fn contents(workspace: &Workspace) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = files(&workspace.events_dir(), "").into_iter();
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn events_of_an_outage_are_stored_in_order_after_it() {
    let (cluster, workspace) = (Cluster::start(), Workspace::new());
    let url = cluster.database();
    let audit = |line: &str| {
        let mut command = workspace.audit(line.split(' '));
        command.env("DATABASE_URL", &url).env("AUDIT_BACKEND", "auto").env("AUDIT_RECOVERY_INTERVAL_S", "1");
        command
    };
    assert!(run(audit("exec --tool before -- true")).status.success());
    cluster.stop(Stop::Fast);

    let output = run(audit("exec --tool during -- sh -c exit${IFS}5"));
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(text(&output.stderr).contains("events go to the spool in ./ops/audit"), "{output:?}");
    for _ in 0..2 {
        assert_accepted(&run_with_input(audit("write"), lines(0..300)), 300, 0);
    }
    assert_eq!(spools(&workspace.events_dir()).len(), 3);

    let spooled = contents(&workspace);
    let status = run(audit("status"));
    let said = text(&status.stdout);
    assert!(
        said.starts_with("backend     spool (auto was asked for)\n")
            && said.contains("\ndatabase    does not answer: "),
        "{said}"
    );
    assert!(said.contains("KiB of other instances waits for the database\n"), "{said}");
    let status: Value = serde_json::from_slice(&run(audit("status --json")).stdout).unwrap();
    let bytes: u64 =
        spools(&workspace.events_dir()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(status["spooled_by_others"].as_u64(), Some(bytes));
    assert_eq!((&status["backend"], &status["database"]["answers"]), (&"spool".into(), &false.into()));
    let read = run(audit("read"));
    assert_eq!((text(&read.stdout), read.status.code()), ("", Some(2)));
    assert_eq!(contents(&workspace), spooled, "a read has changed a file");

    cluster.launch();
    // A read finds what is in the spool, and does not drain it.
    let read = run(audit("read"));
    assert_eq!((tools(&read.stdout).len(), text(&read.stderr)), (602, ""));
    assert!(text(&run(audit("status")).stdout).contains("database    answers\n"));
    assert_eq!((contents(&workspace), cluster.stored(&url)), (spooled, 1));

    // Once somebody tries the database again, each event that comes brings some of the spool with it.
    // Those that come during the drain wait behind it.
    let mut all = 602;
    wait_until("the outage is over", || {
        assert!(run(audit("exec --tool after -- true")).status.success());
        all += 1;
        cluster.stored(&url) == all
    });
    assert_eq!(cluster.out_of_order(&url), 0);
    let order = "SELECT tool FROM tool_audit_events WHERE tool !~ '^t[0-9]' ORDER BY ts LIMIT 3";
    let order = cluster.column(&url, order);
    assert_eq!(order, ["before", "during", "after"]);

    // The files of the spool are removed only after a minute. Until then their events are still read once.
    assert_accepted(&run(audit("write")), 0, 0);
    assert_eq!(tools(&run(audit("read")).stdout).len() as u64, all);
    assert_eq!(cluster.stored(&url), all);
}

/// `audit write` that has got one line, and waits for more.
struct Waiting {
    child: Child,
    said: PathBuf,
}

impl Waiting {
    fn start(site: &Site, url: &str, backend: &str) -> Self {
        let said = site.workspace.path().join("said");
        let mut command = site.audit_at(url, ["write", "--flush-interval-ms", "200", "--backend", backend]);
        command.stdin(Stdio::piped()).stderr(fs::File::create(&said).unwrap());
        let mut child = command.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(lines(0..1).as_bytes()).unwrap();
        Self { child, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// Ends the input. Returns what was said, and the exit status.
    fn end(mut self) -> (String, Option<i32>) {
        drop(self.child.stdin.take());
        let said = self.said.clone();
        let status = end_of(self.child).status;
        (fs::read_to_string(said).unwrap(), status.code())
    }
}

#[test]
fn each_reason_is_told_once() {
    let url = format!("postgres://audit:secret@{NOWHERE}/audit");
    for line in ["exec -- true", "write", "read", "migrate"] {
        for backend in DATABASE_BACKENDS {
            // What the spool takes is no failure, so that a warning is all that is said.
            let workspace = Workspace::new();
            let mut command = workspace.audit(line.split(' '));
            command.env("DATABASE_URL", &url).env("AUDIT_BACKEND", backend);
            let output = run_with_input(command, lines(0..2));
            let said = text(&output.stderr);
            assert_eq!(
                said.matches("cannot connect to the database").count(),
                1,
                "{line}, {backend}: {said}"
            );
            let what = match line {
                "exec -- true" => "\naudit: the call was not recorded\n",
                "write" => "\naudit: the last 2 events that were taken, from line 1 on, were not recorded\n",
                _ => continue,
            };
            assert_eq!(said.contains(what), backend == "postgres", "{line}, {backend}: {said}");
        }
    }
}

#[test]
fn a_line_is_stored_without_another_one_after_it() {
    for backend in DATABASE_BACKENDS {
        let site = Site::new();
        let write = Waiting::start(&site, &site.url, backend);
        wait_until("the line is stored", || site.stored() == 1);
        let (said, status) = write.end();
        assert!(said.starts_with("1 accepted, 0 rejected") && said.lines().count() == 1, "{said}");
        assert_eq!((status, site.stored(), site.workspace.file_names()), (Some(0), 1, Vec::new()));
    }
}

#[test]
fn a_line_is_spooled_while_the_database_is_away_and_stored_afterwards() {
    let site = Site::new();
    let proxy = Proxy::to(site.cluster.port());
    proxy.refuse();
    let write = Waiting::start(&site, &proxy.url(&site.url), "auto");
    wait_until("the line is in the spool", || {
        run(site.audit(["status", "--backend", "auto"])).stdout.ends_with(b"waits for the database\n")
    });
    proxy.pass();
    let (said, status) = write.end();
    assert!(said.ends_with("\n1 accepted, 0 rejected\n"), "{said}");
    assert_eq!((site.stored(), status), (1, Some(0)));
}

#[test]
fn a_line_that_the_database_does_not_take_is_sent_again() {
    for comes_back in [true, false] {
        let site = Site::new();
        let proxy = Proxy::to(site.cluster.port());
        proxy.refuse();
        let write = Waiting::start(&site, &proxy.url(&site.url), "postgres");
        wait_until("the failure is told", || write.said().starts_with("audit-store: "));
        if comes_back {
            proxy.pass();
            wait_until("the line is stored", || site.stored() == 1);
        }
        let (said, status) = write.end();
        let stored = site.stored();
        assert!(said.contains(&format!("\n{stored} accepted, 0 rejected\n")), "{said}");
        let expected = if comes_back { (1, Some(0)) } else { (0, Some(2)) };
        assert_eq!((stored, status), expected, "{said}");
    }
}

#[test]
fn a_pooler_that_refuses_options_is_told_and_events_go_to_the_spool() {
    let site = Site::new();
    let pooler = Pooler::start(site.cluster, "");
    let url = pooler.url(&site.url) + "?options=-csearch_path%3Dpublic";
    let output = run(site.audit_at(&url, "exec --backend auto -- true".split(' ')));
    let said = text(&output.stderr);
    assert!(
        said.contains("leave options out of the database URL") && said.contains("to the spool"),
        "{said}"
    );
    assert_eq!(spools(&site.workspace.events_dir()).len(), 1);
    let said = run(site.audit_at(&url, ["status", "--backend", "auto"])).stdout;
    assert!(text(&said).contains("\ndatabase    answers, but takes no events: the pooler"), "{said:?}");
}
