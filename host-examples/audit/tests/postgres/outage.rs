//! While the server is down, and after it; and while nothing more is to be written.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use audit_testbed::{Cluster, Proxy, Stop};
use serde_json::Value;

use crate::common::{Place, end_of, run, run_with_input, text, until};
use crate::{Site, files, last_line, lines, rows, stored, tools};

/// What is in the folder, by name.
fn contents(place: &Place) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| (name.clone(), fs::read(place.events_dir().join(name)).unwrap());
    files(place).into_iter().map(read).collect()
}

#[test]
fn what_is_written_while_the_server_is_down_is_in_the_database_later() {
    let (cluster, place) = (Cluster::start(), Place::new());
    let url = cluster.database();
    let audit = |line: &str| {
        let mut command = place.audit(line.split(' '));
        command.env("DATABASE_URL", &url).env("AUDIT_BACKEND", "auto");
        command
    };
    assert!(run(audit("exec --tool before -- true")).status.success());
    cluster.stop(Stop::Fast);

    let output = run(audit("exec --tool during -- sh -c exit${IFS}5"));
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(text(&output.stderr).contains("events go to the spool in ./ops/audit"), "{output:?}");
    for _ in 0..2 {
        let output = run_with_input(audit("write"), lines(0..300));
        assert_eq!((last_line(&output), output.status.code()), ("300 accepted, 0 rejected", Some(0)));
    }
    assert_eq!(files(&place).iter().filter(|name| name.starts_with("spool_")).count(), 3);

    let spooled = contents(&place);
    let status = run(audit("status"));
    let said = text(&status.stdout);
    assert!(
        said.starts_with("backend     spool (auto was asked for)\n")
            && said.contains("\ndatabase    does not answer: "),
        "{said}"
    );
    assert!(said.contains("KiB of other instances waits for the database\n"), "{said}");
    let status: Value = serde_json::from_slice(&run(audit("status --json")).stdout).unwrap();
    let bytes: usize = spooled.iter().map(|(_, lines)| lines.len()).sum();
    assert_eq!(status["spooled_by_others"].as_u64(), Some(bytes as u64));
    assert_eq!((&status["backend"], &status["database"]["answers"]), (&"spool".into(), &false.into()));
    let read = run(audit("read"));
    assert_eq!((text(&read.stdout), read.status.code()), ("", Some(2)));
    assert_eq!(contents(&place), spooled, "reading changes nothing");

    cluster.launch();
    // What is in the spools is read before it is drained, and that does not drain it.
    let read = run(audit("read"));
    assert_eq!((tools(&read.stdout).len(), text(&read.stderr)), (602, ""));
    assert!(text(&run(audit("status")).stdout).contains("database    answers\n"));
    assert_eq!((contents(&place), stored(&cluster, &url)), (spooled, 1));

    let output = run(audit("exec --tool after -- true"));
    assert_eq!((text(&output.stderr), output.status.code()), ("", Some(0)));
    assert_eq!(stored(&cluster, &url), 603);
    assert_in_order(&cluster, &url);
    let order =
        rows(&cluster, &url, "SELECT tool FROM tool_audit_events WHERE tool !~ '^t[0-9]' ORDER BY ts");
    assert_eq!(order, ["before", "during", "after"]);

    // A minute later the next one removes them; until then they are read once all the same.
    let output = run(audit("write"));
    assert_eq!((last_line(&output), output.status.code()), ("0 accepted, 0 rejected", Some(0)));
    assert_eq!(tools(&run(audit("read")).stdout).len(), 603);
    assert_eq!(stored(&cluster, &url), 603);
}

/// Each chain is complete from 0 on, and was inserted in its order.
fn assert_in_order(cluster: &Cluster, url: &str) {
    let gaps = "SELECT count(*) FROM (SELECT seq, row_number() OVER (PARTITION BY chain ORDER BY id) - 1 AS place \
                FROM tool_audit_events) rows WHERE seq <> place";
    assert_eq!(rows(cluster, url, gaps), ["0"]);
}

/// A `write` that has got one line, and waits for more.
struct Waiting {
    child: Child,
    said: PathBuf,
}

impl Waiting {
    fn start(site: &Site, url: &str, backend: &str) -> Self {
        let said = site.place.path().join("said");
        let mut command = site.audit(["write", "--flush-interval-ms", "200", "--backend", backend]);
        command.env("DATABASE_URL", url).stdin(Stdio::piped()).stderr(fs::File::create(&said).unwrap());
        let mut child = command.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(lines(0..1).as_bytes()).unwrap();
        Self { child, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap()
    }

    /// Ends the input; what was said, and the exit status.
    fn end(mut self) -> (String, Option<i32>) {
        drop(self.child.stdin.take());
        let said = self.said.clone();
        let status = end_of(self.child).status;
        (fs::read_to_string(said).unwrap(), status.code())
    }
}

#[test]
fn a_line_is_stored_without_another_one_behind_it() {
    for backend in ["postgres", "auto"] {
        let site = Site::new();
        let write = Waiting::start(&site, &site.url, backend);
        until(|| site.stored() == 1);
        assert_eq!(write.end(), ("1 accepted, 0 rejected\n".into(), Some(0)));
        assert_eq!((site.stored(), files(&site.place)), (1, Vec::new()));
    }
}

#[test]
fn a_line_that_waits_is_spooled_while_the_database_is_away() {
    let site = Site::new();
    let proxy = Proxy::to(site.cluster.port());
    proxy.refuse();
    let write = Waiting::start(&site, &proxy.url(&site.url), "auto");
    until(|| run(site.audit(["status", "--backend", "auto"])).stdout.ends_with(b"waits for the database\n"));
    proxy.pass();
    let (said, status) = write.end();
    assert!(said.ends_with("\n1 accepted, 0 rejected\n"), "{said}");
    assert_eq!((site.stored(), status), (1, Some(0)));
}

#[test]
fn a_line_that_the_database_does_not_take_is_offered_again() {
    for comes_back in [true, false] {
        let site = Site::new();
        let proxy = Proxy::to(site.cluster.port());
        proxy.refuse();
        let write = Waiting::start(&site, &proxy.url(&site.url), "postgres");
        until(|| write.said().starts_with("audit-store: "));
        if comes_back {
            proxy.pass();
            until(|| site.stored() == 1);
        }
        let (said, status) = write.end();
        let stored = site.stored();
        assert!(said.contains(&format!("\n{stored} accepted, 0 rejected\n")), "{said}");
        let expected = if comes_back { (1, Some(0)) } else { (0, Some(2)) };
        assert_eq!((stored, status), expected, "{said}");
    }
}
