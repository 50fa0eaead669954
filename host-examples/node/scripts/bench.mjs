// Times the store: `npm run bench [DATABASE_URL]`. Events of about 400 bytes, as JSON lines.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { AuditStore } from '../dist/index.js';

if (process.argv[2] === '--help') {
  console.log('usage: npm run bench [DATABASE_URL]   (or the variable DATABASE_URL; rows are left in tool_audit_events)');
  process.exit();
}

const COUNT = 200_000;
const BATCH = 1000;
const event = (n) => ({
  req_id: `request-${n}`,
  workspace_id: 'workspace',
  user_id: 'somebody',
  agent_id: 'planner',
  tool: 'search',
  action: 'query',
  status: 'ok',
  duration_ms: n % 1000,
  in_size: 120,
  out_size: 4800,
  input_hash: '28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f',
});

const rate = (count, since) => `${Math.round(count / (performance.now() - since)).toLocaleString('en')} k/s`;
const print = (what, found) => console.log(`${what.padEnd(46)} ${found}`);

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
  print('write, into the queue', rate(COUNT, began));
  await store.flush();
  print('write, until it is in the file', rate(COUNT, began));
  const { counts } = await store.status();
  if (counts.stored !== COUNT) throw new Error(JSON.stringify(counts));

  let read = performance.now();
  let seen = 0;
  for await (const _ of store.read()) seen++;
  print(`read, entries (${seen})`, rate(seen, read));
  read = performance.now();
  for (let cursor = null, page; cursor !== null || !page; cursor = page.next) page = await store.readJsonl({}, { cursor });
  print('readJsonl, lines', rate(COUNT, read));
});

await withStore({}, async (store) => {
  const batch = Array.from({ length: BATCH }, (_, n) => event(n));
  let began = performance.now();
  for (let n = 0; n < COUNT; n += BATCH) await store.writeBatch(batch);
  print(`writeBatch of ${BATCH}`, rate(COUNT, began));
  const lines = batch.map((one) => `${JSON.stringify(one)}\n`).join('');
  began = performance.now();
  for (let n = 0; n < COUNT; n += BATCH) await store.writeJsonl(lines);
  print(`writeJsonl of ${BATCH}`, rate(COUNT, began));
  began = performance.now();
  for (let n = 0; n < 5000; n++) await store.writeBatch([event(n)]);
  print('writeBatch of 1, one after the other', rate(5000, began));
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
  print('longest turn of the event loop meanwhile', `${longest.toFixed(1)} ms`);
});

const databaseUrl = process.argv[2] || process.env.DATABASE_URL;
if (databaseUrl) {
  await withStore({ backend: 'postgres', databaseUrl, batchSize: 1000, databaseTimeoutMs: 30_000 }, async (store) => {
    await store.writeBatch([event(0)]);
    await store.flush();
    const began = performance.now();
    const rows = COUNT / 4;
    for (let n = 0; n < rows; n++) store.write(event(n));
    await store.flush();
    print('PostgreSQL, rows in batches of 1000', rate(rows, began));
  });
} else {
  console.log('PostgreSQL: name a database as an argument; rows are left in its table tool_audit_events');
}
