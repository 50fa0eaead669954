// The cases of `tests/contract/*.json`: on every backend, and however the events are written.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { assertBalanced, database, folder, open } from './setting.mjs';
import { parse, stringify } from './exact.mjs';

const cases = (name) => parse(readFileSync(new URL(`../../../tests/contract/${name}.json`, import.meta.url), 'utf8'));

const WAYS = {
  each: async (store, events) => events.forEach((event) => store.write(event)),
  batch: (store, events) => store.writeBatch(events),
  jsonl: (store, events) => store.writeJsonl(events.map((event) => `${stringify(event)}\n`).join('')),
};

/** Each backend, and each way to write. How an event is written makes no difference to a backend. */
const STORES = [
  ['jsonl', 'each'],
  ['jsonl', 'jsonl'],
  ['memory', 'batch'],
  ['postgres', 'each'],
  ['auto', 'batch'],
  ['null', 'jsonl'],
];

/** Runs it with each of these stores. */
async function eachStore(t, check) {
  await Promise.all(
    ['jsonl', 'memory', 'postgres', 'auto', 'null'].map(async (only) => {
      for (const [backend, way] of STORES.filter(([backend]) => backend === only)) {
        const { url } = await database(t);
        const store = await open(t, { backend, dir: folder(t), databaseUrl: url, databaseTimeoutMs: 30_000 });
        await check(store, { backend, way, write: (events) => WAYS[way](store, events) });
        assertBalanced((await store.status()).counts);
        await store.close();
      }
    }),
  );
}

/** All pages of a read. */
async function pages(store, filter, order, limit) {
  const found = [];
  let cursor = null;
  do {
    const page = await store.readPage(filter, { order, limit, cursor });
    assert.equal(page.skipped, 0);
    found.push(...page.entries);
    cursor = page.next;
  } while (cursor !== null);
  return found;
}

for (const name of ['order', 'filters']) {
  test(`reads are as in ${name}.json`, async (t) => {
    for (const one of cases(name)) {
      await eachStore(t, async (store, { backend, way, write }) => {
        await write(one.write);
        await store.flush();
        assert.equal((await store.status()).counts.stored, one.write.length);
        for (const { filter = {}, newest, limit = 0, expect } of one.reads) {
          const context = `${one.name}, ${backend}, ${way}: ${JSON.stringify(filter)}`;
          const order = newest ? 'newest-first' : 'oldest-first';
          const found = await pages(store, filter, order, limit);
          const expected = backend === 'null' ? [] : expect;
          assert.deepEqual(found.map(({ req_id }) => req_id), expected, context);
          const { lines, count, next } = await store.readJsonl(filter, { order });
          const ids = lines.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line).req_id);
          assert.deepEqual([ids, count, next], [expected, expected.length, null], context);
        }
      });
    }
  });
}

test('an invalid field is named and nothing of its batch is stored', async (t) => {
  for (const one of cases('invalid')) {
    await eachStore(t, async (store, { backend, way, write }) => {
      const context = `${one.name}, ${backend}, ${way}`;
      if (one.write.length > 0 && way === 'each') {
        await write(one.write);
        assert.equal((await store.status()).mended, 1, context);
        return;
      }
      const failed = one.write.length > 0 ? write(one.write) : store.readPage(one.read);
      const index = Math.max(0, one.write.findIndex((event) => one.invalid in event));
      await assert.rejects(failed, { kind: 'invalid', index, field: one.invalid, reason: /accepted is/ }, context);
      assert.deepEqual((await store.readPage()).entries, [], context);
    });
  }
});

test('no event is refused for its content', async (t) => {
  for (const one of cases('mended')) {
    await eachStore(t, async (store, { backend, way, write }) => {
      const context = `${one.name}, ${backend}, ${way}`;
      await write([one.write]);
      assert.equal((await store.status()).mended, one.mended ? 1 : 0, context);
      const { entries } = await store.readPage();
      assert.equal(entries.length, backend === 'null' ? 0 : 1, context);
      for (const entry of entries) assert.deepEqual({ ...entry, ...one.stored }, entry, context);
    });
  }
});
