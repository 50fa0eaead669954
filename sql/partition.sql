-- Makes the table of the events a table that is partitioned by ts, with a default partition: no event is refused for
-- its time. A table that exists already becomes the partition of all days up to today (UTC), as it is: only rows of
-- later days, and of no time, are moved to the default partition. Numbers, owner and privileges stay. Does nothing
-- where the table is partitioned already, and an empty table is replaced. missing_days.sql tells which days need a
-- partition then.
--
-- To be run in a transaction, by the owner of the table, after schema.sql or upgrade.sql. Others wait meanwhile.
DO $partition$
DECLARE
    old regclass := 'tool_audit_events';
    place text := (
        SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = old
    );
    tomorrow date := (now() AT TIME ZONE 'UTC')::date + 1;
    days text := 'tool_audit_events_before_' || to_char(tomorrow, 'YYYY_MM_DD');
    bound text := to_char(tomorrow, 'YYYY-MM-DD') || ' 00:00:00Z';
    owner text := (SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = old);
    is_identity boolean;
    is_empty boolean;
    numbers text;
    columns text;
    found text;
    allowed record;
BEGIN
    IF (SELECT relkind = 'p' FROM pg_class WHERE oid = old) THEN
        RETURN;
    END IF;
    LOCK TABLE tool_audit_events IN ACCESS EXCLUSIVE MODE;
    -- These would stay with the old rows, and be without effect on new ones.
    SELECT what INTO found FROM (
        SELECT 'the trigger ' || tgname AS what FROM pg_trigger WHERE tgrelid = old AND NOT tgisinternal
        UNION ALL SELECT 'the policy ' || polname FROM pg_policy WHERE polrelid = old
        UNION ALL SELECT 'row-level security' FROM pg_class WHERE oid = old AND relrowsecurity
        UNION ALL SELECT 'the rule ' || rulename FROM pg_rewrite WHERE ev_class = old
        UNION ALL SELECT 'the view ' || w.ev_class::regclass FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid
            WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = old
        UNION ALL SELECT 'the constraint ' || conname FROM pg_constraint
            WHERE contype = 'f' AND (confrelid = old OR conrelid = old)
        UNION ALL SELECT 'the child ' || inhrelid::regclass FROM pg_inherits WHERE inhparent = old
        UNION ALL SELECT 'the parent ' || inhparent::regclass FROM pg_inherits WHERE inhrelid = old
        UNION ALL SELECT 'the publication ' || p.pubname FROM pg_publication_rel r
            JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = old
    ) AS bound_to_it ORDER BY what LIMIT 1;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'it has %, which belongs to the table as it is; drop it, and create it again afterwards', found
            USING ERRCODE = 'feature_not_supported';
    END IF;

    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FILTER (WHERE attgenerated = ''),
           bool_or(attname = 'id' AND attidentity <> '')
    INTO columns, is_identity
    FROM pg_attribute WHERE attrelid = old AND attnum > 0 AND NOT attisdropped;
    numbers := pg_get_serial_sequence('tool_audit_events', 'id');
    EXECUTE format('ALTER TABLE tool_audit_events RENAME TO %I', days);
    EXECUTE format(
        'CREATE TABLE %1$s.tool_audit_events (
             LIKE %1$s.%2$I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING IDENTITY
         ) PARTITION BY RANGE (ts)', place, days
    );
    EXECUTE format('ALTER TABLE %s.tool_audit_events OWNER TO %s', place, owner);
    IF is_identity THEN
        EXECUTE format(
            'SELECT setval(pg_get_serial_sequence(%L, ''id''), last_value, is_called) FROM %s',
            place || '.tool_audit_events', numbers
        );
        EXECUTE format('ALTER TABLE %s.%I ALTER COLUMN id DROP IDENTITY', place, days);
    ELSIF numbers IS NOT NULL THEN
        EXECUTE format('ALTER SEQUENCE %s OWNED BY %s.tool_audit_events.id', numbers, place);
    END IF;
    FOR allowed IN
        SELECT a.*, NULL AS attname FROM pg_class c, aclexplode(c.relacl) AS a WHERE c.oid = old
        UNION ALL
        SELECT a.*, t.attname FROM pg_attribute t, aclexplode(t.attacl) AS a WHERE t.attrelid = old
    LOOP
        EXECUTE format(
            'GRANT %s%s ON %s.tool_audit_events TO %s%s', allowed.privilege_type,
            ' (' || quote_ident(allowed.attname) || ')', place,
            CASE WHEN allowed.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(allowed.grantee)) END,
            CASE WHEN allowed.is_grantable THEN ' WITH GRANT OPTION' END
        );
    END LOOP;

    EXECUTE format('CREATE INDEX ON %s.tool_audit_events (ts)', place);
    EXECUTE format('CREATE INDEX ON %s.tool_audit_events (tool, ts)', place);
    EXECUTE format('CREATE INDEX ON %s.tool_audit_events (agent_id, ts)', place);
    EXECUTE format('CREATE INDEX ON %s.tool_audit_events (workspace_id, ts)', place);
    EXECUTE format('CREATE UNIQUE INDEX ON %s.tool_audit_events (event_id, ts)', place);
    EXECUTE format('CREATE TABLE %1$s.tool_audit_events_default PARTITION OF %1$s.tool_audit_events DEFAULT', place);
    EXECUTE format(
        'WITH moved AS (DELETE FROM %1$s.%2$I WHERE ts >= %3$L OR ts IS NULL RETURNING *)
         INSERT INTO %1$s.tool_audit_events (%4$s) OVERRIDING SYSTEM VALUE SELECT %4$s FROM moved ORDER BY id',
        place, days, bound, columns
    );
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM %s.%I)', place, days) INTO is_empty;
    IF is_empty THEN
        EXECUTE format('DROP TABLE %s.%I', place, days);
        RETURN;
    END IF;
    -- An index on event_id alone would refuse a row that two sessions insert at the same time.
    FOR found IN
        SELECT CASE WHEN k.conname IS NULL THEN format('DROP INDEX %s', i.indexrelid::regclass)
               ELSE format('ALTER TABLE %s.%I DROP CONSTRAINT %I', place, days, k.conname) END
        FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = old AND a.attname = 'event_id' AND i.indkey[0] = a.attnum
        LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid
        WHERE i.indrelid = old AND i.indisunique AND i.indnkeyatts = 1
    LOOP
        EXECUTE found;
    END LOOP;
    -- The partition keeps the other indexes that it has, and gets those that it lacks.
    EXECUTE format(
        'ALTER TABLE %1$s.tool_audit_events ATTACH PARTITION %1$s.%2$I FOR VALUES FROM (MINVALUE) TO (%3$L)',
        place, days, bound
    );
END
$partition$
