// Times the store: `npm run bench [-- [--json] [DATABASE_URL]]`. Events of about 400 bytes, as JSON lines. With `--json` each
// figure is printed as a JSON object, in events a second or milliseconds.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { AuditStore } from '../dist/index.js';

const json = process.argv.includes('--json');
const [url] = process.argv.slice(2).filter((argument) => argument !== '--json');
if (url === '--help') {
  console.log('usage: npm run bench -- [--json] [DATABASE_URL]   (or the variable DATABASE_URL; rows are left in tool_audit_events)');
  process.exit();
}

const COUNT = 200_000;
const BATCH = 1000;
const event = (n) => ({
  req_id: '01a21dfd-9a33-7f0e-8c57-2f2c9d1e0b44',
  workspace_id: 'workspace',
  user_id: 'user',
  agent_id: 'planner',
  tool: 'search',
  action: 'query',
  status: 'ok',
  duration_ms: n % 1000,
  in_size: 120,
  out_size: 4800,
  input_hash: '28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f',
});

function print(what, value, shown) {
  console.log(json ? JSON.stringify({ figure: what, value }) : `${what.padEnd(46)} ${shown}`);
}

function rate(what, count, since) {
  const thousands = count / (performance.now() - since);
  print(what, thousands * 1000, `${Math.round(thousands).toLocaleString('en')} k/s`);
}

async function withStore(options, run) {
  const folder = mkdtempSync(join(tmpdir(), 'audit-bench-'));
  const store = await AuditStore.open({ dir: join(folder, 'audit'), env: {}, ...options });
  try {
    await run(store);
  } finally {
    await store.close();
    rmSync(folder, { recursive: true });
  }
}

await withStore({ queueEvents: COUNT }, async (store) => {
  const events = Array.from({ length: COUNT }, (_, n) => event(n));
  const began = performance.now();
  for (let n = 0; n < COUNT; n++) store.write(events[n]);
  rate('write, into the queue', COUNT, began);
  await store.flush();
  rate('write, until it is in the file', COUNT, began);
  const { counts } = await store.status();
  if (counts.stored !== COUNT) throw new Error(JSON.stringify(counts));

  let read = performance.now();
  let seen = 0;
  for await (const _ of store.read()) seen++;
  if (seen !== COUNT) throw new Error(`${seen} entries`);
  rate('read, entries', COUNT, read);
  read = performance.now();
  for (let cursor = null, page; cursor !== null || !page; cursor = page.next) page = await store.readJsonl({}, { cursor });
  rate('readJsonl, lines', COUNT, read);
});

await withStore({}, async (store) => {
  const batch = Array.from({ length: BATCH }, (_, n) => event(n));
  let began = performance.now();
  for (let n = 0; n < COUNT; n += BATCH) await store.writeBatch(batch);
  rate(`writeBatch of ${BATCH}`, COUNT, began);
  const lines = batch.map((one) => `${JSON.stringify(one)}\n`).join('');
  began = performance.now();
  for (let n = 0; n < COUNT; n += BATCH) await store.writeJsonl(lines);
  rate(`writeJsonl of ${BATCH}`, COUNT, began);
  began = performance.now();
  for (let n = 0; n < 5000; n++) await store.writeBatch([event(n)]);
  rate('writeBatch of 1, one after the other', 5000, began);
});

await withStore({}, async (store) => {
  let longest = 0;
  for (let n = 0, at = performance.now(); n < 50_000; n++) {
    store.write(event(n));
    if (n % 100 === 0) {
      await setImmediate();
      const turn = performance.now();
      longest = Math.max(longest, turn - at);
      at = turn;
    }
  }
  print('longest turn of the event loop meanwhile', longest, `${longest.toFixed(1)} ms`);
});

const databaseUrl = url || process.env.DATABASE_URL;
if (databaseUrl) {
  await withStore({ backend: 'postgres', databaseUrl, batchSize: 500, databaseTimeoutMs: 30_000 }, async (store) => {
    await store.writeBatch([event(0)]);
    await store.flush();
    const began = performance.now();
    const rows = COUNT / 4;
    for (let n = 0; n < rows; n++) store.write(event(n));
    await store.flush();
    rate('PostgreSQL, rows in batches of 500', rows, began);
  });
} else if (!json) {
  console.log('PostgreSQL: name a database as an argument; rows are left in its table tool_audit_events');
}
