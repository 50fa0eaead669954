// The store in a real browser: the example, and what only a page can show.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { page as open } from './chromium.mjs';

test('the example records the calls of its agent, shows them, filters them and counts them', async (t) => {
  const { page, errors, close } = await open('/examples/browser/');
  t.after(close);
  await page.waitForSelector('body[data-ready]');
  const rows = () => page.$$eval('#entries tr', (rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
  const counts = () => page.$eval('#counts', (list) => list.textContent.replaceAll(/\s+/g, ' '));
  assert.deepEqual(await rows(), []);
  assert.ok(await page.$eval('#empty', (element) => !element.hidden));

  await page.click('#run');
  await page.waitForFunction(() => document.querySelectorAll('#entries tr').length === 4);
  const shown = await rows();
  const seen = shown.map(([, tool, action, status]) => [tool, action, status]);
  // The newest first.
  assert.deepEqual(seen, [
    ['browser', 'fetch', 'error'],
    ['browser', 'fetch', 'ok'],
    ['calculator', 'add', 'ok'],
    ['search', 'query', 'ok'],
  ]);
  // printf '{"query":"tea"}' | sha256sum
  assert.equal(shown[3][7], '2a11718dabeb');
  assert.match(shown[3][0], /^\d\d:\d\d:\d\d\.\d{3}$/);
  assert.match(await counts(), /received4stored4dropped0shown4/);

  await page.select('#status', 'error');
  await page.waitForFunction(() => document.querySelectorAll('#entries tr').length === 1);
  await page.select('#status', '');
  await page.select('#tool', 'search');
  await page.waitForFunction(() => document.querySelector('#entries tr td:nth-child(2)').textContent === 'search');
  assert.match(await counts(), /received4stored4dropped0shown1/);
  assert.deepEqual(errors, []);
});

test('a page writes without waiting, keeps the newest events, and is told what is wrong', async (t) => {
  const { page, errors, close } = await open('/test/browser.html');
  t.after(close);
  await page.waitForFunction(() => window.AuditStore !== undefined);
  const found = await page.evaluate(async () => {
    const store = await window.AuditStore.open({ memoryLimit: 1000, queueEvents: 3000 });
    for (let n = 0; n < 5000; n++) store.write({ req_id: String(n), duration_ms: 2n ** 64n - 1n });
    const { entries } = await store.readPage();
    const { counts, backend } = await store.close();
    const wrong = [];
    for (const options of [{ backend: 'jsonl' }, { memoryLimit: 0 }, { memoryLimit: 0.5 }, { memoryLimit: -1n }, { queueEvents: 0 }]) {
      wrong.push(await window.AuditStore.open(options).then(() => 'opened', (error) => error.kind));
    }
    const [first, last] = [entries[0], entries.at(-1)].map(({ req_id }) => req_id);
    return { backend, counts, kept: entries.length, first, last, duration: String(entries[0].duration_ms), wrong };
  });
  assert.deepEqual(found, {
    backend: 'memory',
    counts: {
      received: 5000,
      stored: 3000,
      spooled: 0,
      pending: 0,
      rejected: 0,
      dropped: { invalid: 0, queueFull: 2000, unwritable: 0 },
    },
    kept: 1000,
    first: '2000',
    last: '2999',
    duration: '18446744073709551615',
    wrong: ['config', 'config', 'config', 'config', 'config'],
  });
  assert.deepEqual(errors, []);
});
