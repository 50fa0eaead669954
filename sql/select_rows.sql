-- Reads rows by their numbers, as JSON lines, in the order of the numbers.
--
-- $1, $2 BIGINT[]: the first and the last `id` of ranges, both inclusive, which are in order and apart from each other.
-- $3 BIGINT: the most rows.
--
-- Returns the columns `line`, which is that of a page, and `number`, the `id`. Each range is looked up in the index of the
-- primary key, also where it has no rows. A table without the column `id` is an error.
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
    id AS number
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
    unnest($1::bigint[], $2::bigint[]) AS wanted (first, last),
    LATERAL (
        SELECT
            ts::timestamptz AS ts, req_id, workspace_id, user_id, agent_id, tool, action, status, duration_ms, in_size,
            out_size, input_hash, graph_run_id, graph_node, job_id, attributes, event_id, chain, seq, hash,
            id::bigint AS id, ctid AS row
        FROM tool_audit_events
        WHERE tool_audit_events.id BETWEEN wanted.first AND wanted.last
        ORDER BY tool_audit_events.id
        LIMIT $3::bigint
    ) AS found
) AS entries
ORDER BY number
LIMIT $3::bigint
