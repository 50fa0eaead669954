-- Reads a page of entries, the oldest first, as JSON lines.
--
-- $1, $2 TEXT: the first and the last instant, in UTC with microseconds. NULL: no bound.
-- $3 to $12 TEXT: what tool, agent_id, workspace_id, user_id, action, status, req_id, graph_run_id, graph_node and
--     job_id must be. NULL: anything.
-- $13 TEXT: the attributes that there must be, as a JSON array of objects with `key` and `value`. NULL: any.
-- $14 TEXT: the cursor of the page before. NULL: the first page.
-- $15 BIGINT: the most rows.
--
-- Returns the columns `line` and `cursor`. A row that no store wrote has its place among the others as `seq`.
--
-- The table may be another program's, and lack columns: those of `absent` are then in their place. A text that was cut
-- ends in the first 16 digits of the hash of the whole. PostgreSQL writes the year 0000 as 0001 BC. Conditions that do not
-- apply to the parameters are dropped when the statement is planned.
SELECT
    pg_catalog.concat(
        '{"ts":"', utc, '"',
        ',"req_id":', pg_catalog.to_json(coalesce(req_id, '')),
        ',"workspace_id":', pg_catalog.to_json(coalesce(workspace_id, '')),
        ',"user_id":', pg_catalog.to_json(coalesce(user_id, '')),
        ',"agent_id":', pg_catalog.to_json(coalesce(agent_id, '')),
        ',"tool":', pg_catalog.to_json(coalesce(tool, '')),
        ',"action":', pg_catalog.to_json(coalesce(action, '')),
        ',"status":', pg_catalog.to_json(coalesce(status, '')),
        ',"duration_ms":', coalesce(duration_ms, 0), ',"in_size":', coalesce(in_size, 0),
        ',"out_size":', coalesce(out_size, 0),
        ',"input_hash":', pg_catalog.to_json(coalesce(input_hash, '')),
        ',"graph_run_id":', coalesce(pg_catalog.to_json(graph_run_id), 'null'),
        ',"graph_node":', coalesce(pg_catalog.to_json(graph_node), 'null'),
        ',"job_id":', coalesce(pg_catalog.to_json(job_id), 'null'),
        CASE WHEN jsonb_typeof(attributes) = 'object' AND attributes <> '{}' THEN (
            SELECT pg_catalog.concat(
                ',"attributes":{',
                pg_catalog.string_agg(
                    pg_catalog.concat(pg_catalog.to_json(key), ':', pg_catalog.to_json(value)), ',' ORDER BY key COLLATE "C"
                ),
                '}'
            )
            FROM pg_catalog.jsonb_each_text(attributes)
        ) END,
        CASE WHEN own
        THEN pg_catalog.concat(
            ',"id":"', event_id, '","chain":"', chain, '","seq":', trunc(seq), ',"hash":"', hash, '"}'
        )
        ELSE pg_catalog.concat(',"seq":', place, '}') END
    ) AS line,
    pg_catalog.concat(utc, ',', CASE WHEN own THEN event_id END, ',', CASE WHEN own THEN 0 ELSE place END) AS cursor
FROM (
    SELECT
        found.*,
        pg_catalog.concat(
            CASE WHEN ts < '0001-01-01T00:00:00Z' THEN '0000' ELSE to_char(ts AT TIME ZONE 'UTC', 'YYYY') END,
            to_char(ts AT TIME ZONE 'UTC', '-MM-DD"T"HH24:MI:SS.US"Z"')
        ) AS utc,
        pg_catalog.num_nulls(found.event_id, found.chain, found.seq, found.hash) = 0
            AND found.event_id <> '00000000-0000-0000-0000-000000000000'
            AND found.seq BETWEEN 0 AND 18446744073709551615 AND found.hash ~ '^[0-9a-f]{64}$' AS own,
        -- A row without a number comes after those with one, in the order of its place in the table.
        coalesce(
            found.id, (1::bigint << 62) + ((row::text::point)[0]::bigint << 16) + (row::text::point)[1]::bigint
        ) AS place
    FROM (
        SELECT NULL::text AS req_id, NULL::text AS workspace_id, NULL::text AS user_id, NULL::text AS agent_id,
            NULL::text AS tool, NULL::text AS action, NULL::text AS status, NULL::numeric AS duration_ms,
            NULL::numeric AS in_size, NULL::numeric AS out_size, NULL::text AS input_hash, NULL::text AS graph_run_id,
            NULL::text AS graph_node, NULL::text AS job_id, NULL::jsonb AS attributes, NULL::uuid AS event_id,
            NULL::uuid AS chain, NULL::numeric AS seq, NULL::text AS hash, NULL::bigint AS id
    ) AS absent,
    LATERAL (
        SELECT
            ts::timestamptz AS ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size,
            out_size, input_hash, graph_run_id, graph_node, job_id, attributes, event_id, chain, seq, hash,
            id::bigint AS id, ctid AS row
        FROM tool_audit_events
    ) AS found
) AS entries,
(
    SELECT
        (CASE WHEN first LIKE '0000-%' THEN '0001' || substr(first, 5) || ' BC' ELSE first END)::timestamptz AS first,
        (CASE WHEN last LIKE '0000-%' THEN '0001' || substr(last, 5) || ' BC' ELSE last END)::timestamptz AS last,
        (CASE WHEN after LIKE '0000-%' THEN '0001' || substr(after, 5) || ' BC' ELSE after END)::timestamptz AS after,
        nullif(split_part($14, ',', 2), '')::uuid AS id,
        nullif(split_part($14, ',', 3), '')::bigint AS passed
    FROM (
        SELECT
            coalesce($1::text, '0000-01-01T00:00:00Z') AS first,
            coalesce($2::text, '9999-12-31T23:59:59.999999Z') AS last,
            nullif(split_part($14::text, ',', 1), '') AS after
    ) AS texts
) AS after
WHERE ts >= first AND ts <= last
    AND ($14::text IS NULL OR ts >= after.after AND (ts > after.after OR
        CASE WHEN after.id IS NULL THEN own OR place > after.passed ELSE own AND event_id > after.id END))
    AND ($3::text IS NULL OR tool = $3 OR $3 = '' AND tool IS NULL
        OR (octet_length($3) > 64 OR $3 ~ '[[:cntrl:]"]' OR strpos($3, chr(92)) > 0)
        AND right(tool, 16) = left(encode(sha256(convert_to($3, 'UTF8')), 'hex'), 16)
        AND starts_with($3, left(tool, -17)))
    AND ($4::text IS NULL OR agent_id = $4 OR $4 = '' AND agent_id IS NULL
        OR (octet_length($4) > 64 OR $4 ~ '[[:cntrl:]"]' OR strpos($4, chr(92)) > 0)
        AND right(agent_id, 16) = left(encode(sha256(convert_to($4, 'UTF8')), 'hex'), 16)
        AND starts_with($4, left(agent_id, -17)))
    AND ($5::text IS NULL OR workspace_id = $5 OR $5 = '' AND workspace_id IS NULL
        OR (octet_length($5) > 64 OR $5 ~ '[[:cntrl:]"]' OR strpos($5, chr(92)) > 0)
        AND right(workspace_id, 16) = left(encode(sha256(convert_to($5, 'UTF8')), 'hex'), 16)
        AND starts_with($5, left(workspace_id, -17)))
    AND ($6::text IS NULL OR user_id = $6 OR $6 = '' AND user_id IS NULL
        OR (octet_length($6) > 64 OR $6 ~ '[[:cntrl:]"]' OR strpos($6, chr(92)) > 0)
        AND right(user_id, 16) = left(encode(sha256(convert_to($6, 'UTF8')), 'hex'), 16)
        AND starts_with($6, left(user_id, -17)))
    AND ($7::text IS NULL OR action = $7 OR $7 = '' AND action IS NULL
        OR (octet_length($7) > 64 OR $7 ~ '[[:cntrl:]"]' OR strpos($7, chr(92)) > 0)
        AND right(action, 16) = left(encode(sha256(convert_to($7, 'UTF8')), 'hex'), 16)
        AND starts_with($7, left(action, -17)))
    AND ($8::text IS NULL OR status = $8 OR $8 = '' AND status IS NULL
        OR (octet_length($8) > 64 OR $8 ~ '[[:cntrl:]"]' OR strpos($8, chr(92)) > 0)
        AND right(status, 16) = left(encode(sha256(convert_to($8, 'UTF8')), 'hex'), 16)
        AND starts_with($8, left(status, -17)))
    AND ($9::text IS NULL OR req_id = $9 OR $9 = '' AND req_id IS NULL
        OR (octet_length($9) > 64 OR $9 ~ '[[:cntrl:]"]' OR strpos($9, chr(92)) > 0)
        AND right(req_id, 16) = left(encode(sha256(convert_to($9, 'UTF8')), 'hex'), 16)
        AND starts_with($9, left(req_id, -17)))
    AND ($10::text IS NULL OR graph_run_id = $10
        OR (octet_length($10) > 64 OR $10 ~ '[[:cntrl:]"]' OR strpos($10, chr(92)) > 0)
        AND right(graph_run_id, 16) = left(encode(sha256(convert_to($10, 'UTF8')), 'hex'), 16)
        AND starts_with($10, left(graph_run_id, -17)))
    AND ($11::text IS NULL OR graph_node = $11
        OR (octet_length($11) > 64 OR $11 ~ '[[:cntrl:]"]' OR strpos($11, chr(92)) > 0)
        AND right(graph_node, 16) = left(encode(sha256(convert_to($11, 'UTF8')), 'hex'), 16)
        AND starts_with($11, left(graph_node, -17)))
    AND ($12::text IS NULL OR job_id = $12
        OR (octet_length($12) > 64 OR $12 ~ '[[:cntrl:]"]' OR strpos($12, chr(92)) > 0)
        AND right(job_id, 16) = left(encode(sha256(convert_to($12, 'UTF8')), 'hex'), 16)
        AND starts_with($12, left(job_id, -17)))
    AND ($13::text IS NULL OR NOT EXISTS (
        SELECT FROM pg_catalog.json_to_recordset($13::json) AS wanted (key text, value text)
        WHERE (attributes ->> wanted.key = wanted.value
        OR (octet_length(wanted.value) > 64 OR wanted.value ~ '[[:cntrl:]"]' OR strpos(wanted.value, chr(92)) > 0)
        AND right((attributes ->> wanted.key), 16) = left(encode(sha256(convert_to(wanted.value, 'UTF8')), 'hex'), 16)
        AND starts_with(wanted.value, left((attributes ->> wanted.key), -17))) IS NOT TRUE
    ))
ORDER BY ts ASC, own ASC, CASE WHEN own THEN NULL ELSE place END ASC, event_id ASC
LIMIT $15::bigint
