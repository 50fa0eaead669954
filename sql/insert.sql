-- Inserts a batch of entries. One statement, so that all of them are inserted or none.
--
-- $1 TEXT: the entries as a JSON array: their lines, joined by commas, in brackets. Entries whose identifier is in the
-- table already stay as they are, and use up no number of the column id.
--
-- The role needs INSERT on the table, and SELECT on its column event_id.
--
-- For a table that is partitioned by ts, (event_id) is replaced by (event_id, ts), and behind WHERE known.event_id =
-- batch.event_id is added AND known.ts BETWEEN $2 AND $3, so that only the partitions of the batch are planned for. $2 and
-- $3 TIMESTAMPTZ: the first and the last ts of the batch.
--
-- Known entries are looked up one by one, in the index. A join would read the whole table for a batch of some hundred rows,
-- until the table is so large that the server thinks better of it.
--
-- Where fewer rows were inserted than the batch has, missing.sql tells which ones the table does not have. The server
-- should plan the statement anew each time, because the table grows: for a statement that stays prepared, set
-- plan_cache_mode to force_custom_plan.
--
-- PostgreSQL writes the year 0000 as 0001 BC.
INSERT INTO tool_audit_events (
    ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size, out_size, input_hash,
    graph_run_id, graph_node, job_id, attributes, event_id, chain, seq, hash
)
SELECT
    batch.ts, batch.req_id, batch.workspace_id, batch.user_id, batch.agent_id, batch.tool, batch.action, batch.status,
    batch.duration_ms, batch.in_size, batch.out_size, batch.input_hash, batch.graph_run_id, batch.graph_node,
    batch.job_id, batch.attributes, batch.event_id, batch.chain, batch.seq, batch.hash
FROM (
    SELECT
        (CASE WHEN time LIKE '0000-%' THEN '0001' || substr(time, 5) || ' BC' ELSE time END)::timestamptz AS ts,
        lines.*
    FROM ROWS FROM (
        pg_catalog.json_to_recordset($1::text::json) AS (
            ts text, req_id text, workspace_id text, user_id text, agent_id text, tool text, action text, status text,
            duration_ms numeric, in_size numeric, out_size numeric, input_hash text, graph_run_id text,
            graph_node text, job_id text, attributes jsonb, id uuid, chain uuid, seq numeric, hash text
        )
    ) WITH ORDINALITY AS lines (
        time, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size, out_size, input_hash,
        graph_run_id, graph_node, job_id, attributes, event_id, chain, seq, hash, place
    )
) AS batch
WHERE (SELECT TRUE FROM tool_audit_events AS known WHERE known.event_id = batch.event_id LIMIT 1) IS NULL
ORDER BY place
ON CONFLICT (event_id) DO NOTHING
