// What the tests share: folders, the database of the test run, counts that add up.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import pg from 'pg';

import { AuditStore } from '../dist/index.js';

/** A folder that is removed after the test, and a path in it that is not there yet. */
export function folder(t) {
  const made = mkdtempSync(join(tmpdir(), 'audit-node-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return join(made, 'audit');
}

/** Opens a store that nothing of the environment reaches, and closes it after the test. */
export async function open(t, options) {
  const store = await AuditStore.open({ env: {}, warnings: () => {}, ...options });
  t.after(() => store.close().catch(() => {}));
  return store;
}

/** The lines of all files in a folder. */
export function lines(dir) {
  const files = readdirSync(dir).filter((name) => name.endsWith('.jsonl'));
  return files.flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n').filter((line) => line !== ''));
}

export async function all(iterator) {
  const found = [];
  for await (const one of iterator) found.push(one);
  return found;
}

export function assertBalanced({ received, stored, spooled, pending, rejected, dropped }) {
  const { invalid, queueFull, unwritable } = dropped;
  const sum = stored + spooled + pending + rejected + invalid + queueFull + unwritable;
  assert.equal(received, sum, JSON.stringify({ received, stored, spooled, pending, rejected, dropped }));
}

/**
 * Runs a program of Node.js in a process of its own, with `AuditStore` and `dir` at hand. `limit`: how long its files may
 * become, in KiB.
 */
export function run(program, dir, { limit } = {}) {
  const index = new URL('../dist/index.js', import.meta.url).href;
  const text = `import { AuditStore } from ${JSON.stringify(index)}; const dir = ${JSON.stringify(dir)};\n${program}`;
  const node = [process.execPath, '--input-type=module', '--eval', text];
  const [name, ...args] = limit === undefined ? node : ['bash', '-c', `ulimit -f ${limit}; exec "$@"`, 'bash', ...node];
  return promisify(execFile)(name, args, { timeout: 60_000 });
}

/** The URL of a server whose databases tests may use. The test run of this repository gives it. */
export function databaseUrl() {
  const url = process.env.AUDIT_TEST_DATABASE_URL;
  assert.ok(url, 'AUDIT_TEST_DATABASE_URL has to name a database; cargo test --test node starts one');
  return url;
}

let schemas = 0;

/** A schema of its own for the test: the URL with it as the search path, and a way to run statements there. */
export async function database(t) {
  const schema = `node_${process.pid}_${++schemas}`;
  const url = new URL(databaseUrl());
  url.searchParams.set('options', `-csearch_path=${schema}`);
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  await client.query(`CREATE SCHEMA ${schema}`);
  t.after(async () => {
    await client.query(`DROP SCHEMA ${schema} CASCADE`);
    await client.end();
  });
  const sql = async (text, values) => (await client.query(text, values)).rows;
  return { url: url.href, schema, sql };
}
