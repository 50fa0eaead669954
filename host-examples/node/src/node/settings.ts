/** The settings of a store under Node.js: options first, then the environment. */

import * as path from 'node:path';

import { oneOf, queue, whole, within } from '../accepted.js';
import { AuditError } from '../errors.js';
import type { ComponentConfig } from '../messages.js';
import type { StoreSettings } from '../types.js';

/** How `AuditStore.open` opens a store. What is absent comes from the environment variable, else it is the default. */
export interface OpenOptions extends StoreSettings {
  /** The folder of the daily files and the spool. `AUDIT_JSONL_DIR`, default `$REPO_ROOT/ops/audit`. */
  dir?: string;
  /** The database, for `postgres` and `auto`. `DATABASE_URL`, else `POSTGRES_DSN`. It needs the package `pg`. */
  databaseUrl?: string;
  /** How long the database may take for a connection and a statement, in milliseconds. `AUDIT_DATABASE_TIMEOUT_MS`, default 2000. */
  databaseTimeoutMs?: number;
  /** How long the database may take for a page, in milliseconds. Default: 10 000. */
  databaseReadTimeoutMs?: number;
  /** How long the end of the process may wait for events to be stored, in milliseconds. Default: 5000. */
  exitTimeoutMs?: number;
  /** The environment. Default: `process.env`; `{}` leaves all of it out. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Who gets the warnings of this package. Default: stderr. The component's own always go there. */
  warnings?: (text: string) => void;
}

/** What the worker gets. */
export interface Resolved {
  /** Absolute. */
  dir: string;
  config: ComponentConfig;
  /** The component's own environment variables. */
  env: [string, string][];
  flushIntervalMs: number;
  recoveryIntervalMs: number;
  databaseUrl: string | undefined;
  databaseTimeoutMs: number;
  databaseReadTimeoutMs: number;
  exitTimeoutMs: number;
}

const MOST_MILLIS = 3_600_000;

/** The settings, or an error that names the first wrong one. */
export function resolve(options: OpenOptions): Resolved {
  const env = options.env ?? process.env;
  const variable = (name: string) => env[name] || undefined;
  const dir = path.resolve(
    options.dir ?? variable('AUDIT_JSONL_DIR') ?? path.join(variable('REPO_ROOT') ?? '.', 'ops/audit'),
  );
  if (path.dirname(dir) === dir) throw new AuditError('config', `dir: found ${dir}; accepted is a folder below it`);
  const config: ComponentConfig = { jsonlDir: dir };
  if (options.backend !== undefined) config.backend = oneOf('backend', options.backend, BACKENDS);
  if (options.durability !== undefined) config.durability = oneOf('durability', options.durability, DURABILITIES);
  const numbers = ['memoryLimit', 'batchSize', 'flushIntervalMs', 'queueLimit', 'recoveryIntervalS'] as const;
  for (const name of numbers) {
    const value = options[name];
    if (value !== undefined) config[name] = whole(name, value);
  }
  queue(options);
  const millis = (name: string, value: number) => within(name, value, 1, MOST_MILLIS);
  const read = (name: string, otherwise: number) => (/^\d+$/.test(variable(name) ?? '') ? Number(env[name]) : otherwise);
  // The component warns of variables that are wrong; here the default holds in their place.
  const timeout = read('AUDIT_DATABASE_TIMEOUT_MS', 2000);
  return {
    dir,
    config,
    env: Object.entries(env).filter((pair): pair is [string, string] => OF_THE_COMPONENT.test(pair[0]) && !!pair[1]),
    flushIntervalMs: Number(options.flushIntervalMs ?? read('AUDIT_FLUSH_INTERVAL_MS', 2000)),
    recoveryIntervalMs: 1000 * Number(options.recoveryIntervalS ?? read('AUDIT_RECOVERY_INTERVAL_S', 300)),
    databaseUrl: options.databaseUrl ?? variable('DATABASE_URL') ?? variable('POSTGRES_DSN'),
    databaseTimeoutMs:
      options.databaseTimeoutMs === undefined
        ? Math.min(Math.max(timeout, 1), MOST_MILLIS)
        : millis('databaseTimeoutMs', options.databaseTimeoutMs),
    databaseReadTimeoutMs: millis('databaseReadTimeoutMs', options.databaseReadTimeoutMs ?? 10_000),
    exitTimeoutMs: within('exitTimeoutMs', options.exitTimeoutMs ?? 5000, 0, MOST_MILLIS),
  };
}

const OF_THE_COMPONENT =
  /^AUDIT_(BACKEND|DURABILITY|MEMORY_LIMIT|BATCH_SIZE|FLUSH_INTERVAL_MS|QUEUE_LIMIT|RECOVERY_INTERVAL_S)$/;
const BACKENDS = ['memory', 'jsonl', 'postgres', 'auto', 'null'];
const DURABILITIES = ['buffered', 'written', 'synced'];
