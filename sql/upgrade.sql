-- Upgrades a table that the original program has made, with the fifteen columns of an event. Its rows stay as they are.
-- It may be run again at any time.
ALTER TABLE tool_audit_events
    ALTER COLUMN duration_ms TYPE NUMERIC(20),
    ALTER COLUMN in_size TYPE NUMERIC(20),
    ALTER COLUMN out_size TYPE NUMERIC(20),
    ADD COLUMN IF NOT EXISTS attributes JSONB,
    ADD COLUMN IF NOT EXISTS event_id UUID,
    ADD COLUMN IF NOT EXISTS chain UUID,
    ADD COLUMN IF NOT EXISTS seq NUMERIC(20),
    ADD COLUMN IF NOT EXISTS hash TEXT;
CREATE UNIQUE INDEX IF NOT EXISTS tool_audit_events_event_id_idx ON tool_audit_events (event_id);

CREATE TABLE IF NOT EXISTS tool_audit_refused (
    event_id UUID PRIMARY KEY,
    chain UUID NOT NULL,
    seq NUMERIC(20) NOT NULL,
    hash TEXT NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    reason TEXT NOT NULL,
    refused_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
