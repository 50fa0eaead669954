//! Every command works on both backends.

use std::time::{Duration, Instant};

use audit_testbed::{
    Cluster, DATABASE_BACKENDS, ORIGINAL_TABLE, Proxy, REFUSAL, ROLE_PASSWORD, refused, spools,
};
use serde_json::Value;

use crate::common::{
    TIMEOUT, Workspace, assert_accepted, assert_summary, every_page, line, lines, run, run_with_input, text,
    tools_of_lines,
};
use crate::import::assert_import;
use crate::{REFUSED_TOOL, Site, tools};

#[test]
fn every_command_works_on_both_backends() {
    for backend in DATABASE_BACKENDS {
        let site = Site::new();
        assert_eq!(site.done(&format!("exec --backend {backend} --agent a -- echo hi")), "hi\n");
        let output = run_with_input(site.audit(["write", "--backend", backend]), lines(0..120) + "x\n");
        assert_accepted(&output, 120, 1);
        assert_eq!(site.stored(), 121);

        let all = site.done(&format!("read --backend {backend}"));
        let mut found = tools(all.as_bytes());
        // Today is before or after the day of the other events.
        found.sort_by_key(|tool| tool == "echo");
        assert_eq!(found, [tools_of_lines(0..120), vec!["echo".into()]].concat());
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
        assert_eq!(site.workspace.file_names(), [""; 0]);
    }
}

#[test]
fn pages_and_cursors_lead_through_the_database() {
    let site = Site::new();
    run_with_input(site.audit(["write", "--backend", "postgres"]), lines(0..30));
    let read = |options: &str| {
        every_page(|| site.audit(format!("read --backend auto --limit 7{options}").split(' ')), "tool")
    };
    let mut expected = tools_of_lines(0..30);
    assert_eq!(read(""), expected);
    expected.reverse();
    assert_eq!(read(" --newest"), expected);
}

#[test]
fn reading_needs_no_folder_and_creates_none() {
    for backend in DATABASE_BACKENDS {
        let site = Site::new();
        for command in ["read", "status", "status --json"] {
            site.done(&format!("{command} --backend {backend}"));
        }
        assert!(!site.workspace.path().join("ops").exists());
    }
}

#[test]
fn the_url_comes_from_the_option_or_database_url_or_postgres_dsn() {
    let (site, other, third) = (Site::new(), Site::new(), Site::new());
    let write = |with: &[(&str, &str)], option: Option<&str>| {
        let mut command = site.workspace.audit(["write", "--backend", "postgres"]);
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
fn without_a_url_the_error_says_how_to_give_one() {
    let workspace = Workspace::new();
    for backend in DATABASE_BACKENDS {
        for command in ["write", "read", "status", "exec true"] {
            let command = format!("--backend {backend} {command}");
            let output = run(workspace.audit(command.split(' ')));
            let said = text(&output.stderr);
            assert!(said.starts_with(&format!("audit: backend: \"{backend}\" ")), "{said}");
            assert!(said.contains("DATABASE_URL") && said.contains("--database-url"), "{said}");
            assert_eq!(output.status.code(), Some(2));
        }
    }
    let mut command = workspace.audit(["exec", "--", "echo", "ran"]);
    let output = run({
        command.env("AUDIT_BACKEND", "postgres");
        command
    });
    assert_eq!((text(&output.stdout), output.status.code()), ("ran\n", Some(0)));
    assert!(text(&output.stderr).contains("AUDIT_BACKEND"), "{output:?}");
    assert_eq!(workspace.event()["tool"], "echo");
}

#[test]
fn a_call_ends_soon_where_the_database_hangs() {
    let site = Site::new();
    site.done("exec --backend postgres -- true");
    let proxy = Proxy::to(site.cluster.port());
    proxy.hang();
    for backend in DATABASE_BACKENDS {
        let arguments = ["exec", "--backend", backend, "--", "sh", "-c", "echo out; exit 3"];
        let mut command = site.audit_at(&proxy.url(&site.url), arguments);
        command.env_remove(TIMEOUT);
        let start = Instant::now();
        let output = run(command);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert_eq!((text(&output.stdout), output.status.code()), ("out\n", Some(3)));
        let said = text(&output.stderr);
        assert!(said.contains("does not answer within 2 s"), "{said}");
        assert!(!said.contains("in memory"), "nothing waits in a program that has ended: {said}");
        assert_eq!(said.contains("audit: the call was not recorded\n"), backend == "postgres", "{said}");
    }
    assert_eq!(spools(&site.workspace.events_dir()).len(), 1, "the call is not in the spool");
    let status = "status --backend auto --database-timeout-ms 100".split(' ');
    let status = run(site.audit_at(&proxy.url(&site.url), status));
    let said = text(&status.stdout);
    assert!(
        said.starts_with("backend     spool (auto was asked for)\n")
            && said.contains("\ndatabase    does not answer: "),
        "{said}"
    );
    assert!(said.contains("within 100 ms") && said.contains(" B of other instances"), "{said}");
}

/// What `status` says is wrong with a database that answers, but takes no events.
fn obstacle(site: &Site, url: &str) -> String {
    let ask = |line: &str| text(&run(site.audit_at(url, line.split(' '))).stdout).to_owned();
    let status: Value = serde_json::from_str(&ask("status --json --backend auto")).unwrap();
    assert_eq!((&status["backend"], &status["database"]["answers"]), (&"spool".into(), &true.into()));
    assert_eq!(status["database"]["takes_events"], false, "{status}");
    let problem = status["database"]["problem"].as_str().unwrap();
    let said = ask("status --backend auto");
    assert!(said.contains(&format!("\ndatabase    answers, but takes no events: {problem}\n")), "{said}");
    problem.to_owned()
}

#[test]
fn the_status_shows_why_the_database_takes_no_events() {
    let site = Site::new();
    let (url, name) = site.cluster.role(&site.url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let problem = obstacle(&site, &url);
    let grant = |problem: &str| {
        assert!(
            problem.contains(&format!("the user {name} may not ")) && !problem.contains(ROLE_PASSWORD),
            "{problem}"
        );
        let (_, grant) = problem.split_once("let its owner run: ").unwrap();
        site.sql(grant);
    };
    // The question makes no table.
    assert!(problem.contains("does not exist yet"), "{problem}");
    site.done("exec --backend postgres -- true");
    site.sql(&format!("GRANT SELECT ON tool_audit_events TO {name}"));
    let problem = obstacle(&site, &url);
    assert!(problem.contains("may not insert"), "{problem}");
    grant(&problem);
    let problem = obstacle(&site, &url);
    assert!(problem.contains("sequence public.tool_audit_events_id_seq"), "{problem}");
    grant(&problem);
    let output = |line: &str| text(&run(site.audit_at(&url, line.split(' '))).stdout).to_owned();
    assert!(output("status --backend auto").contains("\ndatabase    answers\n"));
    assert_eq!(output("exec --backend postgres -- echo hi"), "hi\n");
    assert_eq!(site.stored(), 2);

    site.sql(&format!("ALTER ROLE {name} SET default_transaction_read_only = on"));
    assert!(obstacle(&site, &url).contains("default_transaction_read_only"));
    let wrong = url.replace(ROLE_PASSWORD, "wrong");
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
    site.done("exec --backend postgres -- true");
    site.sql(
        "ALTER TABLE tool_audit_events ALTER id DROP DEFAULT; DROP SEQUENCE tool_audit_events_id_seq; \
         ALTER TABLE tool_audit_events ALTER id ADD GENERATED ALWAYS AS IDENTITY (START 100)",
    );
    let (url, _) = site.cluster.role(&site.url, "GRANT SELECT, INSERT ON tool_audit_events TO ROLE");
    for line in ["status --backend postgres", "exec --backend postgres -- echo answers"] {
        let output = run(site.audit_at(&url, line.split(' ')));
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
    assert!(status["warnings"][0].as_str().unwrap().contains(TIMEOUT), "{status}");
}

#[test]
fn a_row_that_the_database_refuses_is_not_accepted() {
    for backend in DATABASE_BACKENDS {
        let site = Site::that_refuses_a_tool();
        let tool = |n: usize| if n % 50 == 7 { REFUSED_TOOL } else { "good" };
        let input: String = (0..200).map(|n| line(n, tool(n))).collect();
        let output = run_with_input(site.audit(["write", "--backend", backend]), input + "x\n");
        assert_summary(&output, &[(196, "accepted"), (1, "rejected"), (4, "refused")], 1);
        assert!(text(&output.stderr).contains(REFUSAL), "the constraint is not named: {output:?}");
        assert_eq!(site.stored(), 196);
        let refused = refused(&site.workspace.events_dir());
        assert_eq!(refused.len(), usize::from(backend == "auto"));
        for path in refused {
            assert_eq!(tools(&std::fs::read(path).unwrap()), [REFUSED_TOOL; 4]);

            // Once the cause is mended, the rows can be imported.
            site.cluster.accept_tool(&site.url);
            for stored in [4, 0] {
                let mut import = site.workspace.shell("exec \"$AUDIT\" import ops/audit/refused_*.jsonl");
                import.env("DATABASE_URL", &site.url);
                assert_import(&run(import), [4, stored, 4 - stored, 0, 0]);
                assert_eq!(site.stored(), 200);
            }
            let gaps = "SELECT max(seq) - count(*) + 1 FROM tool_audit_events";
            assert_eq!(site.cluster.number(&site.url, gaps), 0, "the chain has a gap");
        }
    }
}

#[test]
fn an_event_that_could_not_be_stored_is_not_accepted() {
    let workspace = Workspace::new();
    let cluster = Cluster::shared();
    let url = cluster.database();
    let proxy = Proxy::to(cluster.port());
    proxy.refuse();
    let mut command = workspace.audit(["write", "--backend", "postgres", "--queue-limit", "500"]);
    command.env("DATABASE_URL", proxy.url(&url));
    let output = run_with_input(command, lines(0..3000));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("\n0 accepted, 0 rejected\n"), "{said}");
    assert!(said.contains("nothing was written from line ") && said.contains("not recorded"), "{said}");
    assert!(!said.contains("in memory"), "{said}");
    let mut command = workspace.audit(["write", "--backend", "postgres"]);
    command.env("DATABASE_URL", proxy.url(&url));
    let said = run_with_input(command, lines(0..1)).stderr;
    assert!(text(&said).contains("the last event") && text(&said).contains("not recorded"), "{said:?}");
    assert!(!text(&said).contains("in memory"), "{said:?}");
    assert_eq!(cluster.stored(&url), 0);
}

#[test]
fn a_table_that_is_partitioned_and_has_more_indexes_works_with_every_command() {
    let site = Site::new();
    let added = site.done("migrate --partitioned --index user run --index job_id");
    for said in [
        "added: the table",
        "the partitions by day",
        "on (user_id, ts)",
        "on (graph_run_id, ts)",
        "(job_id, ts)",
    ] {
        assert!(added.contains(said), "{added}");
    }
    for backend in DATABASE_BACKENDS {
        let output = run_with_input(site.audit(["write", "--backend", backend]), lines(0..50));
        assert_accepted(&output, 50, 0);
        site.done(&format!("exec --backend {backend} --user ann -- true"));
    }
    let added = site.done("migrate --partitioned --index user");
    assert!(added.starts_with("added: the partition tool_audit_events_2"), "{added}");
    assert_eq!(
        site.done("migrate --partitioned --index user"),
        "the tables are complete; nothing was changed\n"
    );
    assert_eq!(site.stored(), 102);
    assert_eq!(site.done("read --backend auto --user ann").lines().count(), 2);
    assert!(site.done("status --backend auto").contains("\ndatabase    answers\n"));
    let output = run(site.audit(["migrate", "--index", "input_hash"]));
    assert!(text(&output.stderr).contains("reads do not filter by it; accepted are req_id"), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_migration_creates_or_upgrades_the_tables_and_a_read_does_not() {
    let site = Site::new();
    assert_eq!(site.done("migrate"), "added: the table\n");
    assert_eq!(site.done("migrate"), "the tables are complete; nothing was changed\n");

    let old = Site::new();
    old.cluster.execute(&old.url, ORIGINAL_TABLE);
    let columns =
        "SELECT count(*)::text FROM information_schema.columns WHERE table_name = 'tool_audit_events'";
    assert_eq!(old.done("read --backend postgres"), "");
    assert_eq!(old.sql(columns), ["16"]);
    assert!(old.done("migrate").contains("the column attributes"));
    assert_eq!(old.sql(columns), ["21"]);
    let mut nowhere = site.workspace.audit(["migrate"]);
    let output = run({
        nowhere.env_remove("DATABASE_URL");
        nowhere
    });
    assert!(text(&output.stderr).contains("a migration needs a database"), "{output:?}");
    assert_eq!(output.status.code(), Some(2));
}
