//! Every command, on both backends.

use std::time::{Duration, Instant};

use audit_testbed::{Cluster, Proxy};
use serde_json::Value;

use crate::common::{Place, TIMEOUT, run, run_with_input, text};
use crate::{Site, files, last_line, line, lines, stored, tools};

#[test]
fn every_command_works_on_both_backends() {
    for backend in ["postgres", "auto"] {
        let site = Site::new();
        assert_eq!(site.done(&format!("exec --backend {backend} --agent a -- echo hi")), "hi\n");
        let output = run_with_input(site.audit(["write", "--backend", backend]), lines(0..120) + "x\n");
        assert_eq!((last_line(&output), output.status.code()), ("120 accepted, 1 rejected", Some(1)));
        assert_eq!(site.stored(), 121);

        let all = site.done(&format!("read --backend {backend}"));
        let mut expected: Vec<_> = (0..120).map(|n| format!("t{n}")).collect();
        expected.push("echo".into());
        let mut found = tools(all.as_bytes());
        // Today is before or after the day of the others.
        found.sort_by_key(|tool| tool == "echo");
        assert_eq!(found, expected);
        assert_eq!(tools(site.done(&format!("read --backend {backend} --tool t7")).as_bytes()), ["t7"]);
        assert_eq!(site.done(&format!("read --backend {backend} --format csv")).lines().count(), 122);
        assert!(site.done(&format!("read --backend {backend} --format table")).contains("planner"));

        let status = site.done(&format!("status --backend {backend}"));
        let used = if backend == "auto" { "postgres (auto was asked for)" } else { "postgres" };
        assert!(status.starts_with(&format!("backend     {used}\n")), "{status}");
        assert!(status.contains("\ndatabase    answers\n"), "{status}");
        let status: Value =
            serde_json::from_str(&site.done(&format!("status --json --backend {backend}"))).unwrap();
        assert_eq!((&status["backend"], &status["requested"]), (&"postgres".into(), &backend.into()));
        assert_eq!((&status["database"]["answers"], &status["spooled_by_others"]), (&true.into(), &0.into()));
        assert_eq!(status["database"]["takes_events"], true);
        assert_eq!(files(&site.place), [""; 0]);
    }
}

#[test]
fn pages_and_cursors_lead_through_the_database() {
    let site = Site::new();
    run_with_input(site.audit(["write", "--backend", "postgres"]), lines(0..30));
    for order in ["--newest", "--limit=7"] {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut command = site.audit(["read", "--backend", "auto", order]);
            if order == "--newest" {
                command.arg("--limit=7");
            }
            if !cursor.is_empty() {
                command.args(["--cursor", &cursor]);
            }
            let output = run(command);
            found.extend(tools(&output.stdout));
            let Some(next) = text(&output.stderr).strip_prefix("audit: next cursor: ") else { break };
            cursor = next.trim().to_owned();
        }
        let mut expected: Vec<_> = (0..30).map(|n| format!("t{n}")).collect();
        if order == "--newest" {
            expected.reverse();
        }
        assert_eq!(found, expected);
    }
}

#[test]
fn reading_creates_no_folder_and_misses_none() {
    for backend in ["postgres", "auto"] {
        let site = Site::new();
        for command in ["read", "status", "status --json"] {
            site.done(&format!("{command} --backend {backend}"));
        }
        assert!(!site.place.path().join("ops").exists());
    }
}

#[test]
fn the_url_is_the_option_else_database_url_else_postgres_dsn() {
    let (site, other, third) = (Site::new(), Site::new(), Site::new());
    let write = |with: &[(&str, &str)], option: Option<&str>| {
        let mut command = site.place.audit(["write", "--backend", "postgres"]);
        command.envs(with.iter().copied());
        if let Some(url) = option {
            command.args(["--database-url", url]);
        }
        let output = run_with_input(command, lines(0..1));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    };
    let counts = || [site.stored(), other.stored(), third.stored()];
    let both = [("DATABASE_URL", other.url.as_str()), ("POSTGRES_DSN", third.url.as_str())];
    write(&both, Some(&site.url));
    assert_eq!(counts(), [1, 0, 0]);
    write(&both, None);
    assert_eq!(counts(), [1, 1, 0]);
    write(&both[1..], None);
    assert_eq!(counts(), [1, 1, 1]);
    write(&[("DATABASE_URL", ""), both[1]], None);
    assert_eq!(counts(), [1, 1, 2]);
}

#[test]
fn without_a_url_it_says_how_to_give_one() {
    let place = Place::new();
    for backend in ["postgres", "auto"] {
        for command in ["write", "read", "status", "exec true"] {
            let command = format!("--backend {backend} {command}");
            let output = run(place.audit(command.split(' ')));
            let said = text(&output.stderr);
            assert!(said.starts_with(&format!("audit: backend: \"{backend}\" ")), "{said}");
            assert!(said.contains("DATABASE_URL") && said.contains("--database-url"), "{said}");
            assert_eq!(output.status.code(), Some(2));
        }
    }
    let mut command = place.audit(["exec", "--", "echo", "ran"]);
    let output = run({
        command.env("AUDIT_BACKEND", "postgres");
        command
    });
    assert_eq!((text(&output.stdout), output.status.code()), ("ran\n", Some(0)));
    assert!(text(&output.stderr).contains("AUDIT_BACKEND"), "{output:?}");
    assert_eq!(place.event()["tool"], "echo");
}

#[test]
fn a_call_ends_soon_where_the_database_hangs() {
    let site = Site::new();
    site.done("exec --backend postgres -- true");
    let proxy = Proxy::to(site.cluster.port());
    proxy.hang();
    for backend in ["postgres", "auto"] {
        let mut command = site.audit(["exec", "--backend", backend, "--", "sh", "-c", "echo out; exit 3"]);
        command.env("DATABASE_URL", proxy.url(&site.url)).env_remove(TIMEOUT);
        let start = Instant::now();
        let output = run(command);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert_eq!((text(&output.stdout), output.status.code()), ("out\n", Some(3)));
        let said = text(&output.stderr);
        assert!(said.contains("does not answer within 2 s"), "{said}");
        assert!(!said.contains("in memory"), "it ends with the program: {said}");
        assert_eq!(said.contains("audit: the call was not recorded: "), backend == "postgres", "{said}");
    }
    assert_eq!(files(&site.place).len(), 1, "the spool has it");
    let mut status = site.audit("status --backend auto --database-timeout-ms 100".split(' '));
    status.env("DATABASE_URL", proxy.url(&site.url));
    let status = run(status);
    let said = text(&status.stdout);
    assert!(
        said.starts_with("backend     spool (auto was asked for)\n")
            && said.contains("\ndatabase    does not answer: "),
        "{said}"
    );
    assert!(said.contains("within 100 ms") && said.contains(" B of other instances"), "{said}");
}

/// What `status` says of a database that answers, but takes no events.
fn obstacle(site: &Site, url: &str) -> String {
    let ask = |arguments: &[&str]| {
        let mut command = site.audit(arguments.iter().copied().chain(["--backend", "auto"]));
        command.env("DATABASE_URL", url);
        text(&run(command).stdout).to_owned()
    };
    let status: Value = serde_json::from_str(&ask(&["status", "--json"])).unwrap();
    assert_eq!((&status["backend"], &status["database"]["answers"]), (&"spool".into(), &true.into()));
    assert_eq!(status["database"]["takes_events"], false, "{status}");
    let problem = status["database"]["problem"].as_str().unwrap();
    let said = ask(&["status"]);
    assert!(said.contains(&format!("\ndatabase    answers, but takes no events: {problem}\n")), "{said}");
    problem.to_owned()
}

#[test]
fn the_status_finds_out_whether_the_database_takes_events() {
    let site = Site::new();
    let name = format!("reader_{}", site.url.rsplit('_').next().unwrap());
    let (_, rest) = site.url.split_once('@').unwrap();
    let url = format!("postgres://{name}:hidden@{rest}");
    site.sql(&format!(
        "CREATE ROLE {name} LOGIN PASSWORD 'hidden'; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    ));
    let problem = obstacle(&site, &url);
    let grant = |problem: &str| {
        assert!(
            problem.contains(&format!("the user {name} may not ")) && !problem.contains("hidden"),
            "{problem}"
        );
        let (_, grant) = problem.split_once("let its owner run: ").unwrap();
        site.sql(grant);
    };
    // No table is made by asking.
    assert!(problem.contains("does not exist yet"), "{problem}");
    site.done("exec --backend postgres -- true");
    site.sql(&format!("GRANT SELECT ON tool_audit_events TO {name}"));
    let problem = obstacle(&site, &url);
    assert!(problem.contains("may not insert"), "{problem}");
    grant(&problem);
    let problem = obstacle(&site, &url);
    assert!(problem.contains("sequence public.tool_audit_events_id_seq"), "{problem}");
    grant(&problem);
    let status = |line: &str| {
        let mut command = site.audit(line.split(' '));
        command.env("DATABASE_URL", &url);
        text(&run(command).stdout).to_owned()
    };
    assert!(status("status --backend auto").contains("\ndatabase    answers\n"));
    let write = status("exec --backend postgres -- echo hi");
    assert_eq!((write.as_str(), site.stored()), ("hi\n", 2));

    site.sql(&format!("ALTER ROLE {name} SET default_transaction_read_only = on"));
    assert!(obstacle(&site, &url).contains("default_transaction_read_only"));
    let wrong = url.replace("hidden", "wrong");
    assert!(obstacle(&site, &wrong).contains("password authentication failed"));
}

#[test]
fn the_status_leaves_the_table_of_another_program_as_it_is() {
    let site = Site::new();
    site.sql("CREATE TABLE tool_audit_events (id BIGSERIAL PRIMARY KEY, ts TEXT NOT NULL, tool TEXT)");
    let columns = || {
        site.sql(
            "SELECT attname || atttypid FROM pg_attribute WHERE attrelid = 'tool_audit_events'::regclass",
        )
    };
    let before = columns();
    assert!(site.done("status --backend auto").contains("\ndatabase    answers\n"));
    assert_eq!(columns(), before);
    site.done("exec --backend auto -- true");
    assert!(columns().len() > before.len());
}

#[test]
fn an_identity_column_needs_no_privilege_on_its_sequence() {
    let site = Site::new();
    let name = format!("writer_{}", site.url.rsplit('_').next().unwrap());
    let (_, rest) = site.url.split_once('@').unwrap();
    let url = format!("postgres://{name}:hidden@{rest}");
    site.done("exec --backend postgres -- true");
    site.sql(
        "ALTER TABLE tool_audit_events ALTER id DROP DEFAULT; DROP SEQUENCE tool_audit_events_id_seq; \
         ALTER TABLE tool_audit_events ALTER id ADD GENERATED ALWAYS AS IDENTITY (START 100)",
    );
    site.sql(&format!(
        "CREATE ROLE {name} LOGIN PASSWORD 'hidden'; GRANT SELECT, INSERT ON tool_audit_events TO {name}"
    ));
    for line in ["status --backend postgres", "exec --backend postgres -- echo answers"] {
        let mut command = site.audit(line.split(' '));
        command.env("DATABASE_URL", &url);
        let output = run(command);
        assert!(text(&output.stdout).contains("answers\n") && output.stderr.is_empty(), "{output:?}");
    }
    assert_eq!(site.stored(), 2);
}

#[test]
fn a_wrong_timeout_is_named() {
    let site = Site::new();
    let output = run(site.audit(["status", "--database-timeout-ms", "0"]));
    assert!(text(&output.stderr).contains("--database-timeout-ms"), "{output:?}");
    let mut command = site.audit(["status", "--backend", "auto", "--json"]);
    command.env(TIMEOUT, "soon");
    let output = run(command);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((text(&output.stderr), status["warnings"].as_array().map(Vec::len)), ("", Some(1)));
    assert!(status["warnings"][0].as_str().unwrap().starts_with("AUDIT_DATABASE_TIMEOUT_MS: "), "{status}");
}

#[test]
fn what_the_database_refuses_is_not_accepted() {
    for backend in ["postgres", "auto"] {
        let site = Site::that_refuses_bad();
        let input: String =
            (0..200).map(|n| line(n, if n % 50 == 7 { "bad" } else { "good" })).collect::<String>() + "x\n";
        let output = run_with_input(site.audit(["write", "--backend", backend]), input);
        let expected = ("196 accepted, 1 rejected, 4 refused by the database", Some(1));
        assert_eq!((last_line(&output), output.status.code()), expected, "{output:?}");
        assert!(text(&output.stderr).contains("good"), "the constraint is named: {output:?}");
        assert_eq!(site.stored(), 196);
        let refused: Vec<_> =
            files(&site.place).into_iter().filter(|name| name.starts_with("refused_")).collect();
        assert_eq!(refused.len(), usize::from(backend == "auto"));
        for name in refused {
            let kept = std::fs::read(site.place.events_dir().join(name)).unwrap();
            assert_eq!(tools(&kept), ["bad"; 4]);

            // Once the cause is mended, they are brought back.
            site.sql("ALTER TABLE tool_audit_events DROP CONSTRAINT good");
            for stored in [4, 0] {
                let output = run(site.place.shell(&format!(
                    "DATABASE_URL='{}' exec \"$AUDIT\" import ops/audit/refused_*.jsonl",
                    site.url
                )));
                assert!(
                    last_line(&output).starts_with(&format!("4 events read, {stored} stored, ")),
                    "{output:?}"
                );
                assert_eq!((site.stored(), output.status.code()), (200, Some(0)));
            }
            let gaps = "SELECT max(seq) - count(*) + 1 FROM tool_audit_events";
            assert_eq!(site.sql(&format!("SELECT ({gaps})::text")), ["0"], "the chain is whole");
        }
    }
}

#[test]
fn what_cannot_be_stored_is_not_accepted() {
    let place = Place::new();
    let cluster = Cluster::shared();
    let url = cluster.database();
    let proxy = Proxy::to(cluster.port());
    proxy.refuse();
    let mut command = place.audit(["write", "--backend", "postgres", "--queue-limit", "500"]);
    command.env("DATABASE_URL", proxy.url(&url));
    let output = run_with_input(command, lines(0..3000));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("\n0 accepted, 0 rejected\n"), "{said}");
    assert!(said.contains("audit: nothing was written from line "), "{said}");
    assert!(said.contains("events that were taken were not recorded: "), "{said}");
    assert!(!said.contains("in memory"), "{said}");
    let mut command = place.audit(["write", "--backend", "postgres"]);
    command.env("DATABASE_URL", proxy.url(&url));
    let said = run_with_input(command, lines(0..1)).stderr;
    assert!(text(&said).contains("\naudit: the last event that was taken was not recorded: "), "{said:?}");
    assert!(!text(&said).contains("in memory"), "{said:?}");
    assert_eq!(stored(cluster, &url), 0);
}
