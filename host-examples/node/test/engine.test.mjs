// An instance that stops in the middle of a call is replaced, and each event is recorded once.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { Instance } from '../dist/core/component.js';
import { Engine } from '../dist/core/engine.js';
import { lenientLine } from '../dist/lines.js';
import { OpenFiles, OutputStream } from '../dist/node/files.js';
import { imports } from '../dist/node/wasi.js';
import { assertBalanced, folder, lines } from './setting.mjs';

const generated = new URL('../generated/', import.meta.url);
const parts = readdirSync(generated).filter((name) => name.endsWith('.wasm'));
const compiled = Object.fromEntries(parts.map((name) => [name, new WebAssembly.Module(readFileSync(new URL(name, generated)))]));

/** What happens at an append to a file: set by tests. An exception stops the instance in the middle of its call. */
let fault = { before() {}, after() {} };
const append = OutputStream.prototype.blockingWriteAndFlush;
OutputStream.prototype.blockingWriteAndFlush = function (contents) {
  const text = Buffer.from(contents).toString();
  // Warnings on stderr are no appends.
  if (!text.startsWith('{')) return;
  fault.before(text);
  append.call(this, contents);
  fault.after(text);
};

function stop() {
  throw new Error('stopped on purpose');
}

/** An engine in this thread, with what it has said. */
function engine(t, config = {}, database = { isConfigured: () => false, insertBatch: () => [], select: stop }) {
  fault = { before() {}, after() {} };
  const dir = folder(t);
  const files = new OpenFiles();
  const [said, warnings] = [[], []];
  const made = new Engine({
    instantiate() {
      files.closeAll();
      return new Instance((name) => compiled[name], imports(dir, [], files, database));
    },
    config: { jsonlDir: dir, ...config },
    flushIntervalMs: 0,
    recoveryIntervalMs: 1000,
    spooled: () => new Set(),
    warn: (text) => warnings.push(text),
    send: (message) => said.push(message),
  });
  const write = (ids) => {
    const text = ids.map((req_id) => `${lenientLine({ req_id }, '2026-11-23T12:00:00.000001Z')}\n`).join('');
    made.receive({ kind: 'events', lines: text, count: ids.length });
  };
  const ask = (call, what = {}) => {
    made.receive({ kind: 'call', id: 1, call, with: what });
    const answer = said.at(-1);
    if (answer.kind === 'failure') throw answer.error;
    return answer.value;
  };
  t.after(() => files.closeAll());
  return { write, ask, dir, warnings, made, recorded: () => lines(dir).map((line) => JSON.parse(line).req_id) };
}

const IDS = Array.from({ length: 40 }, (_, n) => String(n));

test('what an instance had not stored when it stopped is written by the next one, and what it had is not written again', (t) => {
  for (const when of ['before', 'after']) {
    const { write, ask, recorded, warnings } = engine(t);
    write(['first']);
    let appends = 0;
    // In the middle of a batch: some of its buffers are in the file.
    fault[when] = () => ++appends === 2 && stop();
    write(IDS);
    write(['last']);
    assert.deepEqual(recorded(), ['first', ...IDS, 'last'], when);
    const { counts, restarts } = ask('status');
    assertBalanced(counts);
    assert.deepEqual([counts.received, counts.stored, restarts], [42, 42, 1], when);
    assert.ok(warnings.some((text) => text.includes('stopped on purpose')));
  }
});

test('a batch tells how much of it was stored when the instance stopped', (t) => {
  const { ask, recorded } = engine(t);
  let appends = 0;
  fault.after = () => ++appends === 1 && stop();
  // More than one append takes.
  const action = 'x'.repeat(2000);
  const batch = IDS.map((req_id) => `${JSON.stringify({ req_id, action })}\n`).join('');
  assert.throws(() => ask('write', { lines: batch }), { kind: 'other', message: /\d+ of 40 events stored/ });
  const { counts } = ask('status');
  assertBalanced(counts);
  assert.equal(counts.stored, recorded().length);
  assert.ok(counts.stored > 0 && counts.stored < 40);
});

test('events that only the memory of a stopped instance had are written by the next one', (t) => {
  const { write, ask, recorded } = engine(t, { durability: 'buffered' });
  write(IDS.slice(0, 10));
  ask('write', { lines: IDS.slice(10, 20).map((req_id) => `${JSON.stringify({ req_id })}\n`).join('') });
  assert.deepEqual(ask('status').counts.pending, 20);
  fault.before = () => {
    fault.before = () => {};
    stop();
  };
  assert.throws(() => ask('flush'), { kind: 'other', message: /stopped/ });
  ask('flush');
  ask('flush');
  const { counts } = ask('status');
  assertBalanced(counts);
  assert.deepEqual([counts.received, counts.stored, counts.pending], [20, 20, 0]);
  assert.deepEqual(recorded().sort(), IDS.slice(0, 20).sort());
});

test('an event that stops the component each time is dropped and counted, and no other', (t) => {
  const { write, ask, recorded, warnings } = engine(t);
  fault.before = (text) => text.includes('"req_id":"7"') && stop();
  write(IDS);
  const { counts } = ask('status');
  assertBalanced(counts);
  assert.deepEqual([counts.stored, counts.dropped.invalid], [39, 1]);
  assert.deepEqual(recorded(), IDS.filter((id) => id !== '7'));
  assert.ok(warnings.some((text) => text.includes('each time')));
});

test('where each event stops the component, some are dropped and the others wait', (t) => {
  const { write, ask, recorded } = engine(t);
  fault.before = stop;
  write(IDS);
  const waiting = ask('status').counts;
  assertBalanced(waiting);
  assert.deepEqual([waiting.dropped.invalid, waiting.pending], [3, 37]);
  fault.before = () => {};
  ask('flush');
  assert.deepEqual(recorded(), IDS.slice(3));
  assertBalanced(ask('status').counts);
});

test('a read that stops the instance costs no event', (t) => {
  const selecting = { isConfigured: () => true, insertBatch: () => [], select: stop };
  const { write, ask } = engine(t, { backend: 'postgres' }, selecting);
  write(IDS.slice(0, 5));
  assert.throws(() => ask('read', { filter: { attributes: [] }, page: { order: 'oldest-first', limit: 0 } }), { kind: 'other' });
  ask('flush');
  const { counts, restarts } = ask('status');
  assertBalanced(counts);
  assert.deepEqual([counts.received, counts.stored, restarts > 0], [5, 5, true]);
});

test('what waits when the store is closed is tried once more, and counted if it is lost', (t) => {
  const failing = { isConfigured: () => true, select: stop, insertBatch() { throw { payload: { tag: 'unavailable', val: 'away' } }; } };
  const { write, ask, warnings } = engine(t, { backend: 'postgres', queueLimit: 10n }, failing);
  write(IDS);
  assert.equal(ask('status').counts.pending, 40);
  const { counts } = ask('close');
  assertBalanced(counts);
  assert.deepEqual([counts.received, counts.dropped.unwritable, counts.pending], [40, 40, 0]);
  assert.ok(warnings.some((text) => text.includes('40 events were not recorded')), warnings.join('\n'));
});
