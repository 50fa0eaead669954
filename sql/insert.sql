-- Inserts a batch of entries. One statement, so that all of them are inserted or none.
--
-- $1 TEXT: the entries as a JSON array: their lines, joined by commas, in brackets. Entries whose identifier is in the
-- table already stay as they are.
--
-- PostgreSQL writes the year 0000 as 0001 BC.
INSERT INTO tool_audit_events (
    ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size, out_size, input_hash,
    graph_run_id, graph_node, job_id, attributes, event_id, chain, seq, hash
)
SELECT
    (CASE WHEN ts LIKE '0000-%' THEN '0001' || substr(ts, 5) || ' BC' ELSE ts END)::timestamptz,
    req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size, out_size, input_hash,
    graph_run_id, graph_node, job_id, attributes, id, chain, seq, hash
FROM ROWS FROM (
    json_to_recordset($1::text::json) AS (
        ts text, req_id text, workspace_id text, user_id text, agent_id text, tool text, action text, status text,
        duration_ms numeric, in_size numeric, out_size numeric, input_hash text, graph_run_id text, graph_node text,
        job_id text, attributes jsonb, id uuid, chain uuid, seq numeric, hash text
    )
) WITH ORDINALITY AS batch (
    ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size, out_size, input_hash,
    graph_run_id, graph_node, job_id, attributes, id, chain, seq, hash, place
)
ORDER BY place
ON CONFLICT (event_id) DO NOTHING
