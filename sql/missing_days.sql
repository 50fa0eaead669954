-- Tells which days need a partition, of a table that is partitioned by ranges of ts: those from today to 14 days ahead,
-- and those of the rows in the default partition (UTC). A day that another partition has a part of is none of them.
--
-- tool_audit_events_default stands for the default partition.
--
-- Returns the columns `day` (TEXT), such as 2026-11-23, and `next` (TEXT), the day after it, in their order.
WITH others AS (
    SELECT
        CASE r[1] WHEN 'MINVALUE' THEN '-infinity' ELSE btrim(r[1], chr(39))::timestamptz END AS first,
        CASE r[2] WHEN 'MAXVALUE' THEN 'infinity' ELSE btrim(r[2], chr(39))::timestamptz END AS next
    FROM pg_catalog.pg_inherits i
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL pg_catalog.regexp_match(pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM [(](.*)[)] TO [(](.*)[)]$') AS r
    WHERE i.inhparent = 'tool_audit_events'::regclass
),
days AS (
    SELECT (now() AT TIME ZONE 'UTC')::date + n AS day FROM pg_catalog.generate_series(0, 14) AS n
    UNION
    SELECT (ts AT TIME ZONE 'UTC')::date FROM tool_audit_events_default
    WHERE ts >= '0001-01-01T00:00:00Z' AND ts < '10000-01-01T00:00:00Z'
)
SELECT to_char(day, 'YYYY-MM-DD') AS day, to_char(day + 1, 'YYYY-MM-DD') AS next
FROM days
WHERE NOT EXISTS (
    SELECT FROM others
    WHERE first < (day + 1)::timestamp AT TIME ZONE 'UTC' AND next > day::timestamp AT TIME ZONE 'UTC'
)
ORDER BY days.day
