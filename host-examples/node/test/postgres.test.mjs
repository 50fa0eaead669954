// The database under Node.js: a driver in a thread of its own, behind an import that answers at once.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';

import { all, assertBalanced, database, databaseUrl, folder, lines, open, run } from './setting.mjs';

const IDS = Array.from({ length: 30 }, (_, n) => String(n));

/** A proxy in front of the server, which can stop answering: at once, or from a statement with the text `silentAt` on. */
async function proxy(t, url) {
  const { hostname, port } = new URL(url);
  const state = { passes: true, swallow: false, silentAt: undefined, sockets: new Set() };
  const server = net.createServer((client) => {
    state.sockets.add(client);
    if (!state.passes) return;
    const to = net.connect(Number(port), hostname);
    state.sockets.add(to);
    client.on('data', (data) => {
      state.swallow ||= state.silentAt !== undefined && data.includes(state.silentAt);
      if (state.passes) to.write(data);
    });
    to.on('data', (data) => state.passes && !state.swallow && client.write(data));
    for (const [one, other] of [[client, to], [to, client]]) one.on('close', () => other.destroy()).on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String(server.address().port);
  const cut = () => state.sockets.forEach((socket) => socket.destroy());
  t.after(() => {
    cut();
    server.close();
  });
  return { url: through.href, state, cut };
}

test('events are in the database, in their order, and are read from there', async (t) => {
  const { url, sql } = await database(t);
  const store = await open(t, { backend: 'postgres', databaseUrl: url, dir: folder(t) });
  const most = 2n ** 64n - 1n;
  for (const req_id of IDS) store.write({ req_id, duration_ms: most, attributes: { model: 'é"\\' } });
  await store.flush();
  const rows = await sql('SELECT req_id, duration_ms::text FROM tool_audit_events ORDER BY id');
  assert.deepEqual(rows, IDS.map((req_id) => ({ req_id, duration_ms: String(most) })));
  const entries = await all(store.read({ attributes: { model: 'é"\\' } }, { limit: 7 }));
  assert.deepEqual(entries.map(({ req_id, duration_ms }) => [req_id, duration_ms]), IDS.map((id) => [id, most]));
  const { counts } = await store.close();
  assertBalanced(counts);
  assert.equal(counts.stored, 30);
});

test('rows that the database refuses are named, and hold up no other', async (t) => {
  const { url, sql } = await database(t);
  const store = await open(t, { backend: 'postgres', databaseUrl: url, dir: folder(t) });
  await store.writeBatch([{ req_id: 'first' }]);
  await store.flush();
  await sql("ALTER TABLE tool_audit_events ADD CONSTRAINT no_secrets CHECK (tool NOT LIKE 'secret%')");
  for (const req_id of IDS) store.write({ req_id, tool: req_id === '7' ? 'secret-7' : 'x' });
  await store.flush();
  const { counts } = await store.status();
  assertBalanced(counts);
  assert.deepEqual([counts.stored, counts.dropped.unwritable], [30, 1]);
  const [refused] = await sql('SELECT chain::text, seq::text, reason FROM tool_audit_refused');
  assert.equal(refused.seq, '8');
  assert.match(refused.reason, /no_secrets/);
  assert.doesNotMatch(refused.reason, /secret-7/);
  assert.equal((await sql("SELECT count(*)::int FROM tool_audit_events WHERE req_id <> 'first'"))[0].count, 29);
});

test('a row that a trigger drops is refused', async (t) => {
  const { url, sql, schema } = await database(t);
  const store = await open(t, { backend: 'auto', databaseUrl: url, dir: folder(t) });
  store.write({ req_id: 'first' });
  await store.flush();
  await sql(`CREATE FUNCTION ${schema}.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$`);
  await sql(`CREATE TRIGGER t BEFORE INSERT ON tool_audit_events FOR EACH ROW WHEN (NEW.tool = 'x') EXECUTE FUNCTION ${schema}.nothing()`);
  store.write({ tool: 'x' });
  store.write({ tool: 'y' });
  await store.flush();
  const { counts } = await store.status();
  assertBalanced(counts);
  assert.deepEqual([counts.stored, counts.dropped.unwritable], [2, 1]);
});

test('where the server does not tell which rows it has dropped, the others may be stored', async (t) => {
  const { url, sql, schema } = await database(t);
  const store = await open(t, { backend: 'postgres', databaseUrl: url, dir: folder(t), batchSize: 3000 });
  store.write({ req_id: 'first' });
  await store.flush();
  await sql(`CREATE FUNCTION ${schema}.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$`);
  await sql(`CREATE TRIGGER t BEFORE INSERT ON tool_audit_events FOR EACH ROW WHEN (NEW.tool = 'x') EXECUTE FUNCTION ${schema}.nothing()`);
  await sql(`CREATE FUNCTION ${schema}.hurry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('statement_timeout', '1', false); RETURN NULL; END $$`);
  await sql(`CREATE TRIGGER hurry AFTER INSERT ON tool_audit_events EXECUTE FUNCTION ${schema}.hurry()`);
  await store.writeBatch(Array.from({ length: 2999 }, (_, n) => ({ tool: n === 7 ? 'x' : 'y' })));
  await assert.rejects(store.flush(), { kind: 'unanswered', message: /statement timeout/ });
  assert.equal((await sql('SELECT count(*)::int FROM tool_audit_events'))[0].count, 2999);
});

test('a database that hangs holds up neither the event loop nor, under auto, the record', async (t) => {
  const { url, sql } = await database(t);
  const { url: through, state, cut } = await proxy(t, url);
  const dir = folder(t);
  const store = await open(t, { backend: 'auto', databaseUrl: through, dir, databaseTimeoutMs: 400, recoveryIntervalS: 1 });
  store.write({ req_id: 'before' });
  await store.flush();
  state.passes = false;
  let turns = 0;
  const timer = setInterval(() => turns++, 5);
  for (const req_id of IDS) store.write({ req_id });
  await store.flush().catch(() => {});
  clearInterval(timer);
  assert.ok(turns >= 10, `${turns} turns of the event loop`);
  const away = await store.status();
  assertBalanced(away.counts);
  assert.equal(away.backend, 'spool');
  assert.equal(away.counts.spooled, 30);
  assert.equal(lines(dir).length, 30);
  await assert.rejects(store.readPage(), { kind: 'unavailable', message: /the database/ });
  state.passes = true;
  cut();
  await store.flush();
  const { counts } = await store.status();
  assertBalanced(counts);
  assert.deepEqual([counts.stored, counts.spooled], [31, 0]);
  assert.deepEqual(
    (await sql('SELECT req_id FROM tool_audit_events ORDER BY id')).map(({ req_id }) => req_id),
    ['before', ...IDS],
  );
});

test('a batch whose answer is lost is sent again, and stored once', async (t) => {
  const { url, sql } = await database(t);
  const { url: through, state, cut } = await proxy(t, url);
  const store = await open(t, { backend: 'postgres', databaseUrl: through, dir: folder(t), databaseTimeoutMs: 400 });
  store.write({ req_id: 'before' });
  await store.flush();
  state.swallow = true;
  for (const req_id of IDS) store.write({ req_id });
  await assert.rejects(store.flush(), { kind: 'unanswered' });
  const waiting = await store.status();
  assertBalanced(waiting.counts);
  assert.equal(waiting.counts.pending, 30);
  state.swallow = false;
  cut();
  await store.flush();
  assert.equal((await store.status()).counts.stored, 31);
  assert.equal((await sql('SELECT count(*)::int FROM tool_audit_events'))[0].count, 31);
});

test('a batch that was not sent is not in doubt', async (t) => {
  const { url } = await database(t);
  for (const silentAt of ['search_path', 'SET statement_timeout', 'pg_get_partkeydef']) {
    const { url: through, state } = await proxy(t, url);
    state.silentAt = silentAt;
    const store = await open(t, { backend: 'postgres', databaseUrl: through, dir: folder(t), databaseTimeoutMs: 400 });
    store.write({ req_id: 'unsent' });
    await assert.rejects(store.flush(), { kind: 'unavailable' }, silentAt);
  }
});

test('a row without a value that others have is refused alone', async (t) => {
  const { url, sql, schema } = await database(t);
  const store = await open(t, { backend: 'postgres', databaseUrl: url, dir: folder(t) });
  store.write({ req_id: 'first', graph_run_id: 'g' });
  await store.flush();
  await sql(`CREATE DOMAIN ${schema}.run AS text NOT NULL`);
  await sql(`ALTER TABLE tool_audit_events ALTER COLUMN graph_run_id TYPE ${schema}.run`);
  await store.writeBatch([{ req_id: 'without' }, { req_id: 'with', graph_run_id: 'g' }]);
  await store.flush();
  const { counts } = await store.status();
  assertBalanced(counts);
  assert.deepEqual([counts.stored, counts.dropped.unwritable], [2, 1]);
});

test('a statement that takes too long is cancelled on the server', async (t) => {
  const { url, sql, schema } = await database(t);
  const store = await open(t, { backend: 'postgres', databaseUrl: url, dir: folder(t), databaseTimeoutMs: 400 });
  store.write({ req_id: 'before' });
  await store.flush();
  // The server's own limit is of no use here, so that the cancellation has to do it.
  await sql(`CREATE FUNCTION ${schema}.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$`);
  await sql(`CREATE TRIGGER t BEFORE INSERT ON tool_audit_events FOR EACH ROW EXECUTE FUNCTION ${schema}.slow()`);
  store.write({ req_id: 'slow' });
  await assert.rejects(store.flush(), { message: /timeout|no answer|cancel/ });
  const sleeping = () => sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'INSERT INTO tool_audit%' AND state = 'active' AND pid <> pg_backend_pid() AND query LIKE $1", ['%']);
  assert.deepEqual(await sleeping(), []);
  await sql('DROP TRIGGER t ON tool_audit_events');
  await store.flush();
  assert.equal((await sql('SELECT count(*)::int FROM tool_audit_events'))[0].count, 2);
});

test('a database that refuses is told apart from one that is away', async (t) => {
  const url = new URL(databaseUrl());
  const of = async (change) => {
    const one = new URL(url);
    change(one);
    const store = await open(t, { backend: 'postgres', databaseUrl: one.href, dir: folder(t), databaseTimeoutMs: 1000 });
    store.write({});
    const error = await store.flush().then(() => undefined, (error) => error);
    const read = await store.readPage().then(() => undefined, (error) => error);
    assertBalanced((await store.status()).counts);
    await store.close();
    return [error, read];
  };
  for (const error of await of((one) => { one.port = '1'; })) {
    assert.equal(error.kind, 'unavailable');
    assert.match(error.message, /the database is not available/);
  }
  for (const error of await of((one) => { one.pathname = '/no_such_database'; })) {
    assert.equal(error.kind, 'other');
    assert.match(error.message, /there is no database "no_such_database"/);
    assert.ok(!url.password || !error.message.includes(url.password));
  }
});

test('a table of the original program is upgraded by the first write, and read before as it is', async (t) => {
  const { url, sql } = await database(t);
  await sql(`CREATE TABLE tool_audit_events (
    id BIGSERIAL PRIMARY KEY, ts TIMESTAMPTZ NOT NULL, req_id TEXT, workspace_id TEXT, user_id TEXT, agent_id TEXT, tool TEXT,
    action TEXT, status TEXT, duration_ms BIGINT, in_size BIGINT, out_size BIGINT, input_hash TEXT, graph_run_id TEXT,
    graph_node TEXT, job_id TEXT)`);
  await sql("INSERT INTO tool_audit_events (ts, req_id) VALUES ('2026-11-23T12:00:00Z', 'old')");
  const store = await open(t, { backend: 'postgres', databaseUrl: url, dir: folder(t) });
  const [old] = await all(store.read());
  assert.deepEqual([old.req_id, old.id, old.attributes], ['old', '', {}]);
  assert.equal((await sql("SELECT 1 FROM information_schema.columns WHERE table_name = 'tool_audit_events' AND column_name = 'hash' AND table_schema = current_schema()")).length, 0);
  await store.writeBatch([{ req_id: 'new' }]);
  await store.flush();
  assert.deepEqual((await all(store.read())).map(({ req_id }) => req_id), ['old', 'new']);
});

test('a table that is partitioned by day is written and read like any other', async (t) => {
  const { url, sql } = await database(t);
  const text = (name) => readFileSync(new URL(`../../../sql/${name}.sql`, import.meta.url), 'utf8');
  await sql(text('schema'));
  await sql(`BEGIN; ${text('partition')}; COMMIT`);
  const store = await open(t, { backend: 'postgres', databaseUrl: url, dir: folder(t) });
  for (const req_id of IDS) store.write({ req_id, ts: `2026-11-${String(1 + (req_id % 3)).padStart(2, '0')}T00:00:00Z` });
  store.write({ req_id: 'first year', ts: '0000-01-01T00:00:00Z' });
  await store.flush();
  const found = (await all(store.read())).map(({ req_id }) => req_id);
  assert.equal(found[0], 'first year');
  assert.deepEqual(found.slice(1).toSorted((a, b) => a - b), IDS);
});

test('a page that takes too long is looked for in windows', async (t) => {
  const { url, sql, schema } = await database(t);
  const store = await open(t, { backend: 'postgres', databaseUrl: url, dir: folder(t), databaseReadTimeoutMs: 1200, batchSize: 5000 });
  const batch = Array.from({ length: 3000 }, (_, n) => ({ req_id: String(n), ts: new Date(1_800_000_000_000 + 1000 * n) }));
  await store.writeBatch(batch);
  await store.flush();
  // Each 25th row takes some milliseconds to be looked at: all of them take too long at once.
  await sql('ALTER TABLE tool_audit_events RENAME TO behind');
  await sql(`CREATE FUNCTION ${schema}.slowly(text, text) RETURNS text LANGUAGE plpgsql STABLE AS $$
    BEGIN IF $2::int % 25 = 0 THEN PERFORM pg_sleep(0.001); END IF; RETURN $1; END $$`);
  const others = "req_id, workspace_id, user_id, agent_id, action, status, duration_ms, in_size, out_size, input_hash, graph_run_id, graph_node, job_id, attributes, event_id, chain, seq, hash, id, ctid";
  await sql(`CREATE VIEW tool_audit_events AS SELECT ts, ${schema}.slowly(tool, req_id) AS tool, ${others} FROM behind`);
  for (const order of ['oldest-first', 'newest-first']) {
    const ids = [];
    let [cursor, pages] = [null, 0];
    do {
      const page = await store.readPage({ tool: '' }, { order, cursor });
      ids.push(...page.entries.map(({ req_id }) => Number(req_id)));
      cursor = page.next;
      pages++;
    } while (cursor !== null);
    const expected = batch.map((_, n) => n);
    assert.deepEqual(ids, order === 'oldest-first' ? expected : expected.reverse());
    assert.ok(pages > 1, `${pages} pages`);
  }
});

test('a database that hangs holds up the end of the process for no longer than it may', async (t) => {
  const { url, state } = await proxy(t, databaseUrl());
  state.passes = false;
  const dir = folder(t);
  const options = `dir, env: {}, databaseUrl: ${JSON.stringify(url)}, databaseTimeoutMs: 60_000, exitTimeoutMs: 300`;
  for (const backend of ['postgres', 'auto']) {
    const program = `
      const store = await AuditStore.open({ ${options}, backend: '${backend}' });
      for (let n = 0; n < 5000; n++) store.write({ req_id: String(n) });`;
    const began = performance.now();
    const { stderr } = await run(program, dir);
    // The database alone would take a minute.
    assert.ok(performance.now() - began < 30_000);
    assert.match(stderr, /still being stored 300 ms after the process was to end/);
  }
});

test('what waits for the database is stored when the process ends', async (t) => {
  const { url, sql } = await database(t);
  const program = `
    const store = await AuditStore.open({ dir, env: {}, backend: 'postgres', databaseUrl: ${JSON.stringify(url)} });
    for (let n = 0; n < 2000; n++) store.write({ req_id: String(n) });`;
  await run(program, folder(t));
  await run(`${program} process.exit(0);`, folder(t));
  assert.equal((await sql('SELECT count(*)::int FROM tool_audit_events'))[0].count, 4000);
});
