// The store under Node.js: what `write` promises, counts, numbers, reads, settings and the end of the process.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { test } from 'node:test';

import { AuditError, AuditStore, InvalidError } from '../dist/index.js';
import { all, assertBalanced, folder, lines, open, run } from './setting.mjs';

test('what is written is read again, with the time of the call', async (t) => {
  const store = await open(t, { dir: folder(t) });
  const before = Date.now();
  store.write({ tool: 'search', agent_id: 'planner', duration_ms: 45, attributes: { model: 'large' } });
  const after = Date.now();
  const [entry] = await all(store.read());
  assert.equal(entry.tool, 'search');
  assert.deepEqual(entry.attributes, { model: 'large' });
  assert.deepEqual([entry.seq, entry.graph_node], [0, null]);
  assert.match(entry.ts, /\.\d{6}Z$/);
  const at = Date.parse(entry.ts);
  assert.ok(before <= at && at <= after, `${before} <= ${entry.ts} <= ${after}`);
});

test('numbers up to 2^64 - 1 are never rounded, and are numbers where they fit', async (t) => {
  const store = await open(t, { dir: folder(t) });
  const [most, odd] = [2n ** 64n - 1n, 2n ** 53n + 1n];
  store.write({ duration_ms: most, in_size: odd, out_size: 2 ** 53 - 1 });
  await store.writeBatch([{ duration_ms: most, in_size: odd, out_size: 7n }]);
  const entries = await all(store.read());
  assert.deepEqual([entries[0].duration_ms, entries[0].in_size, entries[0].out_size], [most, odd, 2 ** 53 - 1]);
  assert.deepEqual([entries[1].duration_ms, entries[1].in_size, entries[1].out_size], [most, odd, 7]);
  // An entry can be written again as it is.
  await store.writeBatch(entries);
  assert.equal((await all(store.read({}))).filter(({ duration_ms }) => duration_ms === most).length, 4);
});

test('write never throws, whatever it is given', async (t) => {
  const store = await open(t, { dir: folder(t) });
  const cycle = {};
  cycle.cycle = cycle;
  const trap = { get tool() { throw new Error('no'); } };
  const wrong = [null, undefined, 7, 'text', trap, { tool: cycle, status: Symbol('s'), ts: new Date(NaN) }];
  const odd = [{ tool: 5, duration_ms: 'x', in_size: -1, out_size: Infinity, ts: 'yesterday', attributes: 7, unknown: 1 }];
  for (const event of [...wrong, ...odd]) store.write(event);
  const { counts } = await store.status();
  assertBalanced(counts);
  assert.equal(counts.received, 7);
  assert.deepEqual([counts.stored, counts.dropped.invalid], [4, 3]);
  const found = await all(store.read({ tool: '5' }));
  assert.equal(found.length, 1);
  assert.equal(found[0].out_size, 2n ** 64n - 1n);
  assert.equal(found[0].in_size, 0);
});

test('a batch is refused with the place and the field of what is wrong', async (t) => {
  const store = await open(t, { dir: folder(t) });
  const refused = async (events, index, field) => {
    const error = await store.writeBatch(events).catch((error) => error);
    assert.ok(error instanceof InvalidError && error instanceof AuditError && error instanceof Error, String(error));
    assert.deepEqual([error.kind, error.index, error.field], ['invalid', index, field]);
    assert.ok(error.message.includes(error.reason));
  };
  await refused([{ tool: 'a' }, { ts: 'soon' }], 1, 'ts');
  await refused([{ tool: 'a' }, { tol: 'b' }], 1, '"tol"');
  await refused([{ tool: 'a' }, { tool: 'b' }, { tool: 7 }], 2, 'tool');
  await refused([{ tool: 'a' }, null], 1, 'json');
  await refused([{ tool: () => 1 }], 0, 'tool');
  await assert.rejects(store.writeJsonl('{"tool":"a"}\n\n{"tool":\n'), { index: 2, field: 'json' });
  await assert.rejects(store.readPage({ tol: 'x' }), { kind: 'invalid', index: 0, field: 'tol' });
  await assert.rejects(store.readPage({}, { cursor: 'x' }), { kind: 'invalid', field: 'cursor' });
  await assert.rejects(store.readPage({}, { limit: -1 }), { kind: 'config', message: /limit: found -1; accepted/ });
  assert.deepEqual(await all(store.read()), []);
  assertBalanced((await store.status()).counts);
});

test('a value of a wrong type is named, and the component goes on with all that it has', async (t) => {
  const store = await open(t, { backend: 'memory' });
  store.write({ tool: 'kept' });
  const refused = [
    [() => store.readPage({}, { cursor: 7 }), 'cursor'],
    [() => store.readPage({}, { cursor: ['x'] }), 'cursor'],
    [() => store.readPage(null), 'json'],
    [() => store.readPage(7), 'json'],
    [() => store.readPage({ tool: 7 }), 'tool'],
    [() => store.readPage({ constructor: 'x' }), 'constructor'],
    [() => store.readPage({ attributes: 7 }), 'attributes'],
    [() => store.readPage({ attributes: { a: 7 } }), 'attributes'],
    [() => store.writeJsonl(undefined), 'json'],
    [() => store.writeBatch({ tool: 'x' }), 'json'],
  ];
  for (const [call, field] of refused) {
    await assert.rejects(call(), { name: 'InvalidError', field, reason: /accepted (is|are) / });
  }
  await assert.rejects(store.readPage({}, null), { kind: 'config' });
  // Attributes that are no object are none.
  store.write({ tool: 'odd', attributes: new Date(0) });
  const entries = await all(store.read());
  assert.deepEqual(entries.map(({ tool, attributes }) => [tool, attributes]), [['kept', {}], ['odd', {}]]);
  assert.equal((await store.status()).restarts, 0);
});

test('one store after the other has settings, counts and files of its own', async (t) => {
  const dirs = [folder(t), folder(t)];
  const chains = new Set();
  for (let n = 0; n < 10; n++) {
    const store = await open(t, { dir: dirs[n % 2], backend: n % 3 === 0 ? 'memory' : 'jsonl' });
    if (n === 5) await assert.rejects(AuditStore.open({ env: {}, dir: dirs[0], batchSize: 0 }), { kind: 'config' });
    store.write({ req_id: String(n) });
    const { counts, backend, chain, dir } = await store.close();
    assertBalanced(counts);
    assert.deepEqual([counts.received, counts.stored, backend], [1, 1, n % 3 === 0 ? 'memory' : 'jsonl']);
    assert.equal(dir, n % 3 === 0 ? '' : dirs[n % 2]);
    chains.add(chain);
  }
  assert.equal(chains.size, 10);
  const ids = dirs.map((dir) => lines(dir).map((line) => JSON.parse(line).req_id));
  assert.deepEqual(ids, [['2', '4', '8'], ['1', '5', '7']]);
});

test('a read goes through all pages, in both orders', async (t) => {
  const store = await open(t, { backend: 'memory' });
  const ids = Array.from({ length: 25 }, (_, n) => String(n));
  await store.writeBatch(ids.map((req_id) => ({ req_id, ts: new Date(1_800_000_000_000 + 1000 * req_id) })));
  assert.deepEqual((await all(store.read({}, { limit: 10 }))).map(({ req_id }) => req_id), ids);
  const newest = await all(store.read({ from_ts: new Date(1_800_000_005_000) }, { order: 'newest-first', limit: 7 }));
  assert.deepEqual(newest.map(({ req_id }) => req_id), ids.slice(5).reverse());
});

test('a full queue drops the newest events, and counts them', async (t) => {
  const warned = [];
  const store = await open(t, { dir: folder(t), queueEvents: 3, warnings: (text) => warned.push(text) });
  for (let n = 0; n < 10; n++) store.write({ req_id: String(n) });
  const { counts } = await store.status();
  assertBalanced(counts);
  assert.deepEqual([counts.received, counts.stored, counts.dropped.queueFull], [10, 3, 7]);
  assert.deepEqual((await all(store.read())).map(({ req_id }) => req_id), ['0', '1', '2']);
  assert.equal(warned.length, 1);
  assert.match(warned[0], /the queue is full/);
  store.write({ req_id: 'later' });
  assert.equal((await store.status()).counts.stored, 4);
});

test('an event that is longer than the queue is recorded where none waits before it', async (t) => {
  const store = await open(t, { dir: folder(t), queueChars: 1000 });
  store.write({ tool: 'x'.repeat(100_000) });
  store.write({ tool: 'dropped' });
  const { counts, mended } = await store.status();
  assertBalanced(counts);
  assert.deepEqual([counts.stored, counts.dropped.queueFull, mended], [1, 1, 1]);
});

test('warnings that nobody can take make no call fail', async (t) => {
  const warnings = () => {
    throw new Error('the log is closed');
  };
  const store = await open(t, { dir: folder(t), queueEvents: 1, warnings });
  for (let n = 0; n < 3; n++) store.write({});
  const { counts } = await store.close();
  assert.deepEqual([counts.stored, counts.dropped.queueFull], [1, 2]);
  store.write({});
});

test('what a disk does not take waits, and is stored once it does', async (t) => {
  const dir = folder(t);
  // A file where the folder has to be.
  writeFileSync(dir, '');
  const store = await open(t, { dir, flushIntervalMs: 20 });
  store.write({ tool: 'waits' });
  const before = await store.status();
  assertBalanced(before.counts);
  assert.equal(before.counts.pending, 1);
  await assert.rejects(store.flush(), { kind: 'access' });
  await assert.rejects(store.writeBatch([{ tool: 'refused' }]), { kind: 'access' });
  unlinkSync(dir);
  await store.flush();
  const after = await store.status();
  assertBalanced(after.counts);
  assert.deepEqual([after.counts.stored, after.counts.rejected], [1, 1]);
  assert.deepEqual((await all(store.read())).map(({ tool }) => tool), ['waits']);
});

test('the event loop stays free while events are stored', async (t) => {
  const store = await open(t, { dir: folder(t) });
  for (let n = 0; n < 50_000; n++) store.write({ tool: 'x'.repeat(200) });
  let turns = 0;
  const flushed = store.flush().then(() => 'flushed');
  for (let done; done !== 'flushed'; turns++) {
    done = await Promise.race([flushed, new Promise((resolve) => setImmediate(resolve))]);
  }
  assert.ok(turns > 10, `${turns} turns of the event loop`);
  assert.equal((await store.status()).counts.stored, 50_000);
});

test('a closed store tells its last status, and counts what comes later', async (t) => {
  const dir = folder(t);
  const store = await open(t, { dir, durability: 'buffered' });
  store.write({ tool: 'a' });
  const status = await store.close();
  assert.deepEqual([status.counts.received, status.counts.stored, status.backend], [1, 1, 'jsonl']);
  assert.equal(lines(dir).length, 1);
  store.write({ tool: 'late' });
  const after = await store.status();
  assertBalanced(after.counts);
  assert.equal(after.counts.dropped.unwritable, 1);
  await assert.rejects(store.flush(), { kind: 'unavailable', message: /closed/ });
  assert.equal((await store.close()).counts.stored, 1);
});

test('await using closes a store', async (t) => {
  const dir = folder(t);
  const store = await AuditStore.open({ dir, env: {} });
  store.write({ tool: 'a' });
  await store[Symbol.asyncDispose]();
  assert.equal(lines(dir).length, 1);
});

test('options come before the environment, and a wrong one is named', async (t) => {
  const dir = folder(t);
  const env = { AUDIT_JSONL_DIR: dir, AUDIT_BACKEND: 'null', AUDIT_DURABILITY: 'synced', AUDIT_BATCH_SIZE: 'x' };
  const store = await open(t, { env });
  const status = await store.status();
  assert.deepEqual([status.backend, status.durability], ['null', 'synced']);
  assert.ok(status.warnings.some((text) => text.includes('AUDIT_BATCH_SIZE')), status.warnings.join());
  const other = await open(t, { env, backend: 'jsonl', durability: 'written' });
  assert.deepEqual([(await other.status()).backend, (await other.status()).dir], ['jsonl', dir]);
  const wrong = [
    [{ backend: 'files' }, /backend: found "files"; accepted are memory, jsonl/],
    [{ memoryLimit: -1 }, /memoryLimit: found -1/],
    [{ batchSize: 0 }, /batch/i],
    [{ queueEvents: 0.5 }, /queueEvents: found 0.5/],
    [{ databaseTimeoutMs: 0 }, /databaseTimeoutMs: found 0/],
    [{ exitTimeoutMs: NaN }, /exitTimeoutMs: found NaN/],
    [{ backend: 'postgres' }, /database/],
    [{ dir: '/' }, /dir: found \//],
  ];
  for (const [options, message] of wrong) {
    await assert.rejects(AuditStore.open({ env: {}, dir, ...options }), { kind: 'config', message });
  }
});

test('a database URL of another kind is named, without what is in it', async (t) => {
  for (const databaseUrl of ['host=127.0.0.1 password=secret', 'mysql://me:secret@127.0.0.1:1/x', 'secret']) {
    const store = await open(t, { dir: folder(t), backend: 'postgres', databaseUrl });
    store.write({});
    await assert.rejects(store.flush(), ({ message }) => message.includes('accepted is postgres://') && !message.includes('secret'));
    const { counts, lastError } = await store.close();
    assertBalanced(counts);
    assert.ok(!lastError.includes('secret'), lastError);
  }
});

test('the component reaches its folder alone, and no symbolic link out of it', async (t) => {
  const dir = folder(t);
  mkdirSync(dir);
  const outside = `${dir}-outside`;
  writeFileSync(outside, '');
  symlinkSync(outside, `${dir}/tool_audit_2026-11-23.jsonl`);
  const store = await open(t, { dir });
  await assert.rejects(store.writeBatch([{ ts: '2026-11-23T12:00:00Z' }]), { kind: 'access', message: /symbolic links/ });
  assert.equal(readFileSync(outside, 'utf8'), '');
});

test('a folder that is removed is made again', async (t) => {
  const dir = folder(t);
  const store = await open(t, { dir });
  await store.writeBatch([{ tool: 'a' }]);
  rmSync(dir, { recursive: true });
  store.write({ tool: 'b' });
  await store.writeBatch([{ tool: 'c' }]);
  assert.deepEqual(lines(dir).map((line) => JSON.parse(line).tool), ['b', 'c']);
});

test('a folder that is read-only is an error, and what is in it is read', async (t) => {
  const dir = folder(t);
  const first = await open(t, { dir });
  await first.writeBatch([{ tool: 'a' }]);
  await first.close();
  chmodSync(dir, 0o500);
  const store = await open(t, { dir });
  assert.deepEqual((await all(store.read())).map(({ tool }) => tool), ['a']);
  // The administrator may write anywhere.
  if (process.getuid() !== 0) await assert.rejects(store.writeBatch([{ ts: '2026-01-01T00:00:00Z' }]), { kind: 'access' });
  chmodSync(dir, 0o700);
});

for (const [how, end] of [
  ['ends by itself', ''],
  ['calls process.exit()', 'process.exit(0);'],
  ['ends with an exception', 'throw new Error("on purpose");'],
  ['calls process.exit() while the store is being closed', 'store.close(); process.exit(0);'],
]) {
  test(`nothing that is queued is lost where the process ${how}`, async (t) => {
    const dir = folder(t);
    const program = `
      const store = await AuditStore.open({ dir, env: {}, durability: 'buffered' });
      for (let n = 0; n < 5000; n++) store.write({ req_id: String(n) });
      ${end}`;
    await run(program, dir).catch((error) => assert.match(error.stderr, /on purpose/));
    assert.deepEqual(lines(dir).map((line) => JSON.parse(line).req_id), Array.from({ length: 5000 }, (_, n) => String(n)));
  });
}

test('an open store does not keep the process alive', async (t) => {
  const dir = folder(t);
  const { stdout } = await run("await AuditStore.open({ dir, env: {} }); console.log('end');", dir);
  assert.equal(stdout, 'end\n');
  assert.ok(!existsSync(dir));
});

test('events that cannot be stored do not keep the process alive, and are counted in the end', async (t) => {
  const dir = folder(t);
  // A file where the folder has to be.
  writeFileSync(dir, '');
  const program = `
    const store = await AuditStore.open({ dir, env: {} });
    for (let n = 0; n < 3; n++) store.write({ tool: 'waits' });
    await store.status();
    store.write({ tool: 'waits, too' });`;
  const { stderr } = await run(program, dir);
  assert.match(stderr, /4 events were not recorded when the store was closed/);
});

test('what is acknowledged survives SIGKILL', async (t) => {
  const dir = folder(t);
  const index = new URL('../dist/index.js', import.meta.url).href;
  const text = `
    const { AuditStore } = await import(${JSON.stringify(index)});
    const store = await AuditStore.open({ dir: ${JSON.stringify(dir)}, env: {} });
    for (let n = 0; ; n++) {
      await store.writeBatch([{ req_id: String(n) }]);
      console.log(n);
    }`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', text], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (data) => {
    said += data;
    if (said.split('\n').length > 50) child.kill('SIGKILL');
  });
  await once(child, 'close');
  const acknowledged = said.split('\n').slice(0, -1);
  const stored = new Set(lines(dir).map((line) => JSON.parse(line).req_id));
  assert.ok(acknowledged.length >= 50);
  assert.ok(acknowledged.every((id) => stored.has(id)));
});

test('four processes append to one folder: none of their lines is lost or broken', async (t) => {
  const dir = folder(t);
  const writer = (name) => `
    const store = await AuditStore.open({ dir, env: {} });
    for (let n = 0; n < 10000; n++) {
      store.write({ ts: '2026-11-23T12:00:00Z', agent_id: '${name}', req_id: String(n), input_hash: 'x'.repeat(n % 700) });
      if (n % 500 === 0) await store.flush();
    }
    const { counts } = await store.close();
    console.log(counts.stored);`;
  const names = ['a', 'b', 'c', 'd'];
  const done = await Promise.all(names.map((name) => run(writer(name), dir)));
  assert.deepEqual(done.map(({ stdout }) => stdout), names.map(() => '10000\n'));
  const found = lines(dir).map((line) => JSON.parse(line));
  assert.equal(found.length, 40_000);
  for (const name of names) {
    const ids = found.filter(({ agent_id }) => agent_id === name).map(({ req_id }) => Number(req_id));
    assert.deepEqual(ids, Array.from({ length: 10_000 }, (_, n) => n), name);
  }
});

test('where a file takes no more, the batch says how much of it is stored, and a torn line costs no other', async (t) => {
  const dir = folder(t);
  const program = `
    const store = await AuditStore.open({ dir, env: {} });
    const batch = Array.from({ length: 100 }, (_, n) => ({ ts: '2026-11-23T12:00:00Z', req_id: String(n) }));
    const error = await store.writeBatch(batch).catch((error) => error);
    const { counts } = await store.status();
    console.log(JSON.stringify({ name: error.name, kind: error.kind, stored: error.stored, counts }));`;
  // No file may be longer than 10 KiB.
  const { stdout } = await run(program, dir, { limit: 10 });
  const { name, kind, stored, counts } = JSON.parse(stdout);
  assert.deepEqual([name, kind], ['IncompleteError', 'incomplete']);
  assertBalanced(counts);
  assert.ok(stored > 0 && stored < 100 && counts.stored === stored, stdout);
  const store = await open(t, { dir });
  await store.writeBatch([{ ts: '2026-11-23T12:00:00Z', req_id: 'next' }]);
  const ids = (await all(store.read())).map(({ req_id }) => req_id);
  assert.deepEqual(ids, [...Array.from({ length: stored }, (_, n) => String(n)), 'next']);
});
