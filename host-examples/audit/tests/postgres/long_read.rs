//! `audit read` where the server needs longer than the time of a read.

/// `cargo xtask test --fast` leaves these tests out.
mod slow {
    use audit_fixtures::database_with_table;

    use crate::common::run;
    use crate::{Site, text, tools};

    /// A table of which the server looks through 250 rows a second, because a function that the statement calls for each
    /// row is another one in the search path.
    fn site() -> Site {
        let mut site = Site::new();
        site.url = database_with_table(site.cluster);
        site.cluster.execute(
            &site.url,
            "INSERT INTO tool_audit_events (ts, tool, attributes)
             SELECT timestamptz '2026-11-23Z' + n * interval '1 min', 'tool ' || n,
                    CASE WHEN n % 1000 = 7 THEN '{\"kind\":\"rare\"}' ELSE '{}' END::jsonb
             FROM generate_series(1, 2800) n;
             CREATE SCHEMA slow;
             CREATE FUNCTION slow.octet_length(text) RETURNS integer LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_catalog.pg_sleep(0.004); RETURN pg_catalog.length($1); END $$",
        );
        let parameter = if site.url.contains('?') { '&' } else { '?' };
        site.url.push_str(&format!("{parameter}options=-csearch_path%3Dslow%2Cpg_catalog%2Cpublic"));
        site
    }

    #[test]
    fn a_long_search_gives_every_match_once() {
        let site = site();
        for (order, limit, expected, end) in [
            ("--newest", "2", vec!["tool 2007", "tool 1007"], "audit: next cursor: "),
            ("--newest", "0", vec!["tool 2007", "tool 1007", "tool 7"], ""),
        ] {
            let arguments = [
                "--backend",
                "auto",
                "read",
                "--attr",
                "kind=rare",
                "--format",
                "jsonl",
                order,
                "--limit",
                limit,
            ];
            let output = run(site.audit(arguments));
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
            assert_eq!(tools(&output.stdout), expected);
            // No progress is shown where stderr is no terminal.
            let stderr = text(&output.stderr);
            assert!(stderr.starts_with(end) && stderr.lines().count() <= 1, "{stderr}");
            assert_eq!(stderr.is_empty(), end.is_empty(), "{stderr}");
        }
    }
}
