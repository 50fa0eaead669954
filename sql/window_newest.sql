-- Finds the end of a window of the table: the time of the row behind so many others, the newest first.
--
-- $1, $2 TEXT: the first and the last instant, in UTC with microseconds. NULL: no bound.
-- $3 TEXT: the cursor of the page before, whose rows at its own time are not counted. NULL: the first page.
-- $4 BIGINT: how many rows the window has before that one.
--
-- Returns the column `ts`, in UTC with microseconds, or no row where fewer are left. It reads by an index on `ts`.
-- PostgreSQL writes the year 0000 as 0001 BC.
SELECT
    pg_catalog.concat(
        CASE WHEN ts < '0001-01-01T00:00:00Z' THEN '0000' ELSE to_char(ts AT TIME ZONE 'UTC', 'YYYY') END,
        to_char(ts AT TIME ZONE 'UTC', '-MM-DD"T"HH24:MI:SS.US"Z"')
    ) AS ts
FROM (
    SELECT entries.ts
    FROM (SELECT ts::timestamptz AS ts FROM tool_audit_events) AS entries,
    (
        SELECT
            (CASE WHEN first LIKE '0000-%' THEN '0001' || substr(first, 5) || ' BC' ELSE first END)::timestamptz AS first,
            (CASE WHEN last LIKE '0000-%' THEN '0001' || substr(last, 5) || ' BC' ELSE last END)::timestamptz AS last,
            (CASE WHEN after LIKE '0000-%' THEN '0001' || substr(after, 5) || ' BC' ELSE after END)::timestamptz AS after
        FROM (
            SELECT
                coalesce($1::text, '0000-01-01T00:00:00Z') AS first,
                coalesce($2::text, '9999-12-31T23:59:59.999999Z') AS last,
                nullif(split_part($3::text, ',', 1), '') AS after
        ) AS texts
    ) AS after
    WHERE ts >= first AND ts <= last AND ($3::text IS NULL OR ts < after.after)
    ORDER BY ts DESC
    OFFSET $4::bigint
    LIMIT 1
) AS row
