-- Counts the rows that match, but have a time that no event can have.
--
-- $1, $2 TEXT: the first and the last instant, in UTC with microseconds. NULL: no bound.
-- $3 to $12 TEXT: what tool, agent_id, workspace_id, user_id, action, status, req_id, graph_run_id, graph_node and
--     job_id must be. NULL: anything.
-- $13 TEXT: the attributes that there must be, as a JSON array of objects with `key` and `value`. NULL: any.
--
-- The table may be another program's, and lack columns: those of `absent` are then in their place. A text that was cut
-- ends in the first 16 digits of the hash of the whole. PostgreSQL writes the year 0000 as 0001 BC. Conditions that do not
-- apply to the parameters are dropped when the statement is planned.
SELECT count(*)
FROM (
    SELECT NULL::text AS req_id, NULL::text AS workspace_id, NULL::text AS user_id, NULL::text AS agent_id,
        NULL::text AS tool, NULL::text AS action, NULL::text AS status, NULL::numeric AS duration_ms,
        NULL::numeric AS in_size, NULL::numeric AS out_size, NULL::text AS input_hash, NULL::text AS graph_run_id,
        NULL::text AS graph_node, NULL::text AS job_id, NULL::jsonb AS attributes, NULL::uuid AS event_id,
        NULL::uuid AS chain, NULL::numeric AS seq, NULL::text AS hash, NULL::bigint AS id
) AS absent,
LATERAL (
    SELECT
        ts::timestamptz AS ts, req_id, workspace_id, user_id, agent_id, tool, action, status, graph_run_id, graph_node,
        job_id, attributes
    FROM tool_audit_events
) AS found
WHERE ($1::text IS NULL AND $2::text IS NULL AND ts IS NULL
    OR $1::text IS NULL AND ts < '0001-01-01T00:00:00Z BC' OR $2::text IS NULL AND ts > '9999-12-31T23:59:59.999999Z')
    AND ($3::text IS NULL OR found.tool = $3 OR $3 = '' AND found.tool IS NULL
        OR (octet_length($3) > 64 OR $3 ~ '[[:cntrl:]"]' OR strpos($3, chr(92)) > 0)
        AND right(found.tool, 16) = left(encode(sha256(convert_to($3, 'UTF8')), 'hex'), 16)
        AND starts_with($3, left(found.tool, -17)))
    AND ($4::text IS NULL OR found.agent_id = $4 OR $4 = '' AND found.agent_id IS NULL
        OR (octet_length($4) > 64 OR $4 ~ '[[:cntrl:]"]' OR strpos($4, chr(92)) > 0)
        AND right(found.agent_id, 16) = left(encode(sha256(convert_to($4, 'UTF8')), 'hex'), 16)
        AND starts_with($4, left(found.agent_id, -17)))
    AND ($5::text IS NULL OR found.workspace_id = $5 OR $5 = '' AND found.workspace_id IS NULL
        OR (octet_length($5) > 64 OR $5 ~ '[[:cntrl:]"]' OR strpos($5, chr(92)) > 0)
        AND right(found.workspace_id, 16) = left(encode(sha256(convert_to($5, 'UTF8')), 'hex'), 16)
        AND starts_with($5, left(found.workspace_id, -17)))
    AND ($6::text IS NULL OR found.user_id = $6 OR $6 = '' AND found.user_id IS NULL
        OR (octet_length($6) > 64 OR $6 ~ '[[:cntrl:]"]' OR strpos($6, chr(92)) > 0)
        AND right(found.user_id, 16) = left(encode(sha256(convert_to($6, 'UTF8')), 'hex'), 16)
        AND starts_with($6, left(found.user_id, -17)))
    AND ($7::text IS NULL OR found.action = $7 OR $7 = '' AND found.action IS NULL
        OR (octet_length($7) > 64 OR $7 ~ '[[:cntrl:]"]' OR strpos($7, chr(92)) > 0)
        AND right(found.action, 16) = left(encode(sha256(convert_to($7, 'UTF8')), 'hex'), 16)
        AND starts_with($7, left(found.action, -17)))
    AND ($8::text IS NULL OR found.status = $8 OR $8 = '' AND found.status IS NULL
        OR (octet_length($8) > 64 OR $8 ~ '[[:cntrl:]"]' OR strpos($8, chr(92)) > 0)
        AND right(found.status, 16) = left(encode(sha256(convert_to($8, 'UTF8')), 'hex'), 16)
        AND starts_with($8, left(found.status, -17)))
    AND ($9::text IS NULL OR found.req_id = $9 OR $9 = '' AND found.req_id IS NULL
        OR (octet_length($9) > 64 OR $9 ~ '[[:cntrl:]"]' OR strpos($9, chr(92)) > 0)
        AND right(found.req_id, 16) = left(encode(sha256(convert_to($9, 'UTF8')), 'hex'), 16)
        AND starts_with($9, left(found.req_id, -17)))
    AND ($10::text IS NULL OR found.graph_run_id = $10
        OR (octet_length($10) > 64 OR $10 ~ '[[:cntrl:]"]' OR strpos($10, chr(92)) > 0)
        AND right(found.graph_run_id, 16) = left(encode(sha256(convert_to($10, 'UTF8')), 'hex'), 16)
        AND starts_with($10, left(found.graph_run_id, -17)))
    AND ($11::text IS NULL OR found.graph_node = $11
        OR (octet_length($11) > 64 OR $11 ~ '[[:cntrl:]"]' OR strpos($11, chr(92)) > 0)
        AND right(found.graph_node, 16) = left(encode(sha256(convert_to($11, 'UTF8')), 'hex'), 16)
        AND starts_with($11, left(found.graph_node, -17)))
    AND ($12::text IS NULL OR found.job_id = $12
        OR (octet_length($12) > 64 OR $12 ~ '[[:cntrl:]"]' OR strpos($12, chr(92)) > 0)
        AND right(found.job_id, 16) = left(encode(sha256(convert_to($12, 'UTF8')), 'hex'), 16)
        AND starts_with($12, left(found.job_id, -17)))
    AND ($13::text IS NULL OR NOT EXISTS (
        SELECT FROM pg_catalog.json_to_recordset($13::json) AS wanted (key text, value text)
        WHERE (found.attributes ->> wanted.key = wanted.value
        OR (octet_length(wanted.value) > 64 OR wanted.value ~ '[[:cntrl:]"]' OR strpos(wanted.value, chr(92)) > 0)
        AND right((found.attributes ->> wanted.key), 16) = left(encode(sha256(convert_to(wanted.value, 'UTF8')), 'hex'), 16)
        AND starts_with(wanted.value, left((found.attributes ->> wanted.key), -17))) IS NOT TRUE
    ))
