-- Inserts a batch of entries, as insert.sql does, for drivers that send arrays in binary form: the server then has no
-- JSON to read, and takes less time. What insert.sql says of privileges, partitions and plans holds here too;
-- the first and the last ts are $21 and $22.
--
-- $1 TIMESTAMPTZ[], $2 to $16 TEXT[], $17 and $18 UUID[], $19 and $20 TEXT[]: the values of each column, in the order of the
-- columns below. Numbers and attributes are texts.
INSERT INTO tool_audit_events (
    ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size, out_size, input_hash,
    graph_run_id, graph_node, job_id, attributes, event_id, chain, seq, hash
)
SELECT
    batch.ts, batch.req_id, batch.workspace_id, batch.user_id, batch.agent_id, batch.tool, batch.action, batch.status,
    batch.duration_ms::numeric, batch.in_size::numeric, batch.out_size::numeric, batch.input_hash, batch.graph_run_id,
    batch.graph_node, batch.job_id, batch.attributes::jsonb, batch.event_id, batch.chain, batch.seq::numeric, batch.hash
FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
WITH ORDINALITY AS batch (
    ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size, out_size, input_hash,
    graph_run_id, graph_node, job_id, attributes, event_id, chain, seq, hash, place
)
WHERE (SELECT TRUE FROM tool_audit_events AS known WHERE known.event_id = batch.event_id LIMIT 1) IS NULL
ORDER BY place
ON CONFLICT (event_id) DO NOTHING
