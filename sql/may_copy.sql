-- Tells whether copy.sql stores a batch as insert.sql does.
--
-- $1 UUID[]: the identifiers of the entries.
--
-- Returns the columns `is_plain` (BOOLEAN), whether it does so with this table, and `is_new` (BOOLEAN), whether none of
-- the entries is in the table. COPY would pass by the rules of a table, is not possible where row-level security
-- applies, and stores an entry twice where no unique index prevents that.
SELECT
    c.relkind = 'r' AND NOT (c.relhasrules OR c.relrowsecurity) AND EXISTS (
        SELECT FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indnkeyatts = 1
            AND i.indpred IS NULL AND a.attname = 'event_id'
    ) AS is_plain,
    NOT EXISTS (
        SELECT FROM unnest($1) AS batch (event_id)
        WHERE (SELECT TRUE FROM tool_audit_events AS known WHERE known.event_id = batch.event_id LIMIT 1)
    ) AS is_new
FROM pg_catalog.pg_class c
WHERE c.oid = 'tool_audit_events'::regclass
