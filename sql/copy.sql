-- Stores a batch by COPY, which takes the server less time than insert_arrays.sql. It knows no ON CONFLICT, and
-- an entry that is stored already makes it fail, so that nothing of the batch is stored: may_copy.sql tells beforehand
-- whether it may be used, and insert.sql is the way where it may not, or where it has failed because of a row.
--
-- The rows follow in binary form. PostgreSQL's manual describes it on the page about COPY.
COPY tool_audit_events (
    ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size, out_size, input_hash,
    graph_run_id, graph_node, job_id, attributes, event_id, chain, seq, hash
) FROM STDIN (FORMAT binary)
