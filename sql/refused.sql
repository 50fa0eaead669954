-- Keeps what is known of an entry that the database refused, so that the hole in its chain can be explained.
--
-- $1 to $6 TEXT: the entry's id, chain, seq, hash and ts, and the reason.
--
-- PostgreSQL writes the year 0000 as 0001 BC.
INSERT INTO tool_audit_refused (event_id, chain, seq, hash, ts, reason)
VALUES (
    $1::text::uuid, $2::text::uuid, $3::text::numeric, $4::text,
    (CASE WHEN $5::text LIKE '0000-%' THEN '0001' || substr($5, 5) || ' BC' ELSE $5 END)::timestamptz, $6::text
)
ON CONFLICT (event_id) DO NOTHING
