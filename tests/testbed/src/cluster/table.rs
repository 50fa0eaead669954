//! The table of events, as PostgreSQL itself has it.

use super::Cluster;
use crate::url;

/// The name of the table.
pub const TABLE: &str = "tool_audit_events";

/// The backends that keep events in the table.
pub const DATABASE_BACKENDS: [&str; 2] = ["postgres", "auto"];

/// The statements with which the original program makes the table. It has fifteen columns and a number for each row.
pub const ORIGINAL_TABLE: &str = "
    CREATE TABLE tool_audit_events (
        id BIGSERIAL PRIMARY KEY,
        ts TIMESTAMPTZ NOT NULL,
        req_id TEXT NOT NULL,
        workspace_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        agent_id TEXT NOT NULL,
        tool TEXT NOT NULL,
        action TEXT NOT NULL,
        status TEXT NOT NULL,
        duration_ms INT NOT NULL,
        in_size INT NOT NULL,
        out_size INT NOT NULL,
        input_hash TEXT NOT NULL,
        graph_run_id TEXT,
        graph_node TEXT,
        job_id TEXT
    );
    CREATE INDEX idx_tool_audit_ts ON tool_audit_events (ts);
    CREATE INDEX idx_tool_audit_tool_ts ON tool_audit_events (tool, ts);
    CREATE INDEX idx_tool_audit_agent_ts ON tool_audit_events (agent_id, ts);
    CREATE INDEX idx_tool_audit_workspace_ts ON tool_audit_events (workspace_id, ts)";

/// The password of every role that [`Cluster::role`] creates.
pub const ROLE_PASSWORD: &str = "hidden";

/// What a role needs to write and read events; for [`Cluster::role`].
pub const WRITE_AND_READ: &str = "
    GRANT SELECT, INSERT ON tool_audit_events TO ROLE;
    GRANT USAGE ON SEQUENCE tool_audit_events_id_seq TO ROLE";

const OUT_OF_ORDER: &str = "
    SELECT count(*) FROM (
        SELECT seq, row_number() OVER (PARTITION BY chain ORDER BY id) AS place FROM tool_audit_events
    ) rows WHERE seq <> place - 1";

impl Cluster {
    /// The first column of an answer, with an empty text for NULL.
    pub fn column(&self, url: &str, sql: &str) -> Vec<String> {
        let first = |row: Vec<Option<String>>| row.into_iter().next().flatten().unwrap_or_default();
        self.sql(url, sql).into_iter().map(first).collect()
    }

    /// The first value of an answer, with an empty text for NULL.
    pub fn value(&self, url: &str, sql: &str) -> String {
        self.column(url, sql).into_iter().next().expect("the answer has a row")
    }

    /// The first value of an answer, as a number.
    pub fn number(&self, url: &str, sql: &str) -> u64 {
        self.value(url, sql).parse().expect("the answer is a number")
    }

    /// How many rows the table of events has. It is 0 where there is no such table.
    pub fn stored(&self, url: &str) -> u64 {
        if self.value(url, "SELECT to_regclass('tool_audit_events')").is_empty() {
            return 0;
        }
        self.number(url, "SELECT count(*) FROM tool_audit_events")
    }

    /// How many rows do not come right after the row of their chain before them.
    pub fn out_of_order(&self, url: &str) -> u64 {
        self.number(url, OUT_OF_ORDER)
    }

    /// Removes all rows of the table of events, and numbers the next ones from 1.
    pub fn clear(&self, url: &str) {
        self.execute(url, "TRUNCATE tool_audit_events RESTART IDENTITY");
    }

    /// Creates a role of this database that may log in. In `grants`, `ROLE` stands for its name. Returns its URL and
    /// its name. Its password is [`ROLE_PASSWORD`].
    pub fn role(&self, url: &str, grants: &str) -> (String, String) {
        let name = format!("role_of_{}", url::database_name(url));
        self.execute(url, &format!("CREATE ROLE {name} LOGIN PASSWORD '{ROLE_PASSWORD}'"));
        self.execute(url, &grants.replace("ROLE", &name));
        (url::as_user(url, &name, ROLE_PASSWORD), name)
    }
}
