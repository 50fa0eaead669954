CREATE TABLE tool_audit_events (
    id bigint NOT NULL,
    ts timestamp with time zone NOT NULL,
    req_id text,
    workspace_id text,
    user_id text,
    agent_id text,
    tool text,
    action text,
    status text,
    duration_ms numeric(20,0),
    in_size numeric(20,0),
    out_size numeric(20,0),
    input_hash text,
    graph_run_id text,
    graph_node text,
    job_id text,
    event_id uuid,
    chain uuid,
    seq numeric(20,0),
    hash text
);
CREATE SEQUENCE tool_audit_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE tool_audit_events_id_seq OWNED BY tool_audit_events.id;
ALTER TABLE ONLY tool_audit_events ALTER COLUMN id SET DEFAULT nextval('tool_audit_events_id_seq'::regclass);
INSERT INTO tool_audit_events VALUES (1, '0001-02-29 00:00:00+00 BC', 'r5', '', '', '', '  😀', '', '', 0, 0, 0, '', NULL, NULL, NULL, '01a2167c-02cf-77df-9dea-2e73f4f64ab0', '01a2167c-02cf-77df-9dea-2e73f4f64aab', 4, '638c778a1b031f9acbec2cd4c6b978dace639525de608b29a6d7675030ddc56b');
INSERT INTO tool_audit_events VALUES (2, '2026-11-22 23:59:59.999999+00', 'r3', '', '', '', '', '', '', 18446744073709551615, 18446744073709551615, 18446744073709551615, '', NULL, NULL, NULL, '01a2167c-02cf-77df-9dea-2e73f4f64aae', '01a2167c-02cf-77df-9dea-2e73f4f64aab', 2, '8002910ae9280340c04009ae35ca43fc81d458645ed503d165ecec1533b7582e');
INSERT INTO tool_audit_events VALUES (3, '2026-11-23 06:30:00+00', 'r1', 'w', 'u', 'planner', 'search', 'query', 'ok', 45, 120, 4800, 'ab', 'g', 'n', 'j', '01a2167c-02cf-77df-9dea-2e73f4f64aac', '01a2167c-02cf-77df-9dea-2e73f4f64aab', 0, '7c6d5bd68cba4ea75f88d7373ace7bdab6fcd1740ad68b03eb0cb5ba36d64d1a');
INSERT INTO tool_audit_events VALUES (4, '2026-11-23 06:30:00.123456+00', 'r2', '', '', '検索', 'café "quoted" \ back', '', '', 0, 0, 0, '', '', NULL, NULL, '01a2167c-02cf-77df-9dea-2e73f4f64aad', '01a2167c-02cf-77df-9dea-2e73f4f64aab', 1, '8913151264bdb3a5fa18e663e85d27f85125c5f8737af265da853543ad1da53a');
INSERT INTO tool_audit_events VALUES (5, '2026-11-23 06:30:00+00', 'r4', '', '', '', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '', '', 0, 0, 0, '', NULL, NULL, NULL, '01a2167c-02cf-77df-9dea-2e73f4f64aaf', '01a2167c-02cf-77df-9dea-2e73f4f64aab', 3, 'fea2bb386759cb1e69696c270c291351280d0ffe3631ae369e85fc7b21a6be37');
INSERT INTO tool_audit_events VALUES (6, '2026-11-23 06:30:01+00', 'foreign', '', '', '', 'café', '', '', 7, 0, 0, '', NULL, NULL, NULL, '7649bbc5-41e5-86de-990b-37f57a2937c5', NULL, NULL, NULL);
INSERT INTO tool_audit_events VALUES (7, '9999-12-31 23:59:59.999999+00', 'r6', '', '', '', '', '', '', 0, 0, 0, '', NULL, NULL, NULL, '01a2167c-02cf-77df-9dea-2e73f4f64ab1', '01a2167c-02cf-77df-9dea-2e73f4f64aab', 5, 'c99a4c5c50c4987fad3ca4bd3b245ef608ff05cf31e8ca4bd7fbefa82128a3e0');
SELECT pg_catalog.setval('tool_audit_events_id_seq', 7, true);
ALTER TABLE ONLY tool_audit_events
    ADD CONSTRAINT tool_audit_events_pkey PRIMARY KEY (id);
CREATE INDEX tool_audit_events_agent_id_ts_idx ON tool_audit_events USING btree (agent_id, ts);
CREATE UNIQUE INDEX tool_audit_events_event_id_idx ON tool_audit_events USING btree (event_id);
CREATE INDEX tool_audit_events_tool_ts_idx ON tool_audit_events USING btree (tool, ts);
CREATE INDEX tool_audit_events_ts_idx ON tool_audit_events USING btree (ts);
CREATE INDEX tool_audit_events_workspace_id_ts_idx ON tool_audit_events USING btree (workspace_id, ts);
