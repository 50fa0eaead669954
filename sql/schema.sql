-- Creates the table of the events, and the table of those that the database refused.
--
-- In tool_audit_events, a row of another program may be without event_id, chain, seq and hash.
CREATE TABLE tool_audit_events (
    id BIGSERIAL PRIMARY KEY,
    ts TIMESTAMPTZ NOT NULL,
    req_id TEXT,
    workspace_id TEXT,
    user_id TEXT,
    agent_id TEXT,
    tool TEXT,
    action TEXT,
    status TEXT,
    duration_ms NUMERIC(20),
    in_size NUMERIC(20),
    out_size NUMERIC(20),
    input_hash TEXT,
    graph_run_id TEXT,
    graph_node TEXT,
    job_id TEXT,
    attributes JSONB,
    event_id UUID,
    chain UUID,
    seq NUMERIC(20),
    hash TEXT
);
CREATE INDEX ON tool_audit_events (ts);
CREATE INDEX ON tool_audit_events (tool, ts);
CREATE INDEX ON tool_audit_events (agent_id, ts);
CREATE INDEX ON tool_audit_events (workspace_id, ts);
CREATE UNIQUE INDEX ON tool_audit_events (event_id);

CREATE TABLE IF NOT EXISTS tool_audit_refused (
    event_id UUID PRIMARY KEY,
    chain UUID NOT NULL,
    seq NUMERIC(20) NOT NULL,
    hash TEXT NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    reason TEXT NOT NULL,
    refused_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
