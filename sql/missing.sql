-- Tells which entries of a batch the table does not have after insert.sql or insert_arrays.sql has inserted it. Such
-- an entry was accepted without being stored, as a trigger of the table does that drops rows: it is a refused row. An
-- entry that another session was inserting at the same time is in the table by now, because the insert has waited for
-- it.
--
-- $1 TEXT: the entries, as for insert.sql, whose replacement for a table that is partitioned by ts holds here too.
--
-- Returns the columns `index` (BIGINT), the position in the batch, from 0, and `event_id` (TEXT), in the order of the
-- batch.
--
-- PostgreSQL writes the year 0000 as 0001 BC.
SELECT batch.index, batch.event_id::text AS event_id
FROM (
    SELECT
        (CASE WHEN time LIKE '0000-%' THEN '0001' || substr(time, 5) || ' BC' ELSE time END)::timestamptz AS ts,
        lines.*, place - 1 AS index
    FROM ROWS FROM (
        pg_catalog.json_to_recordset($1::text::json) AS (
            id uuid, ts text, req_id text, workspace_id text, user_id text, agent_id text, tool text, action text,
            status text, input_hash text
        )
    ) WITH ORDINALITY AS lines (
        event_id, time, req_id, workspace_id, user_id, agent_id, tool, action, status, input_hash, place
    )
) AS batch
WHERE (SELECT TRUE FROM tool_audit_events AS known WHERE known.event_id = batch.event_id LIMIT 1) IS NULL
    AND batch.event_id IS NOT NULL
ORDER BY index
