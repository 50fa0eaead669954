/**
 * The table: looked at before the first insert, and created or upgraded where that is necessary. An upgrade may take long
 * on a big table: it runs on a connection of its own, and calls answer meanwhile that the database is not available.
 */

import type { Connection } from './connection.js';
import { Failure, Known, Later, oneLine } from './failure.js';
import { SCHEMA, UPGRADE } from './statements.js';

/** How long an upgrade may take, in milliseconds. */
const UPGRADE_MS = 3_600_000;

/** How long an upgrade waits for others that use the table, in milliseconds. Those that want to use it wait too. */
const LOCK_MS = 5000;

/** How often an upgrade asks whether it is its turn, in milliseconds. */
const TURN_MS = 50;

/** The advisory lock by which hosts take turns, in whatever language they are. */
const TURN = 'SELECT pg_catalog.pg_try_advisory_xact_lock(7022629598037635956) AS mine';

const INSPECT = `
  SELECT c.relkind::text AS kind,
         CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partitioned,
         ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
         EXISTS(SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
                AND i.indpred IS NULL AND i.indexprs IS NULL
                AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text)
                     FROM pg_catalog.pg_attribute a
                     WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))
                    IN (ARRAY['event_id'], ARRAY['event_id', 'ts'])) AS has_key
  FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass('tool_audit_events')`;

/** What an upgrade adds. */
const ADDED = ['attributes', 'event_id', 'chain', 'seq', 'hash'];

interface Inspected {
  kind: string;
  partitioned: string | null;
  columns: string[];
  has_key: boolean;
}

/** What is known about the table. */
export class Table {
  #isReady = false;
  #isPartitioned = false;
  #upgrade: Promise<unknown> | undefined;
  /** The connection of the upgrade. */
  #upgrading: Connection | undefined;

  /** Whether the table is partitioned by `ts`. */
  get isPartitioned(): boolean {
    return this.#isPartitioned;
  }

  /** Makes the table ready to be written to, unless it is. */
  async ensure(connection: Connection): Promise<void> {
    if (this.#isReady) return;
    if (this.#upgrade === undefined) {
      const found = await inspect(connection);
      const lack = lacks(found);
      if (lack === undefined) {
        this.#isPartitioned = found?.partitioned != null;
        this.#isReady = true;
        return;
      }
      this.#upgrading = connection.another();
      this.#upgrade = upgrade(this.#upgrading).finally(() => {
        this.#upgrade = undefined;
      });
      this.#upgrade.catch(() => undefined);
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const give = () => reject(new Later('the table tool_audit_events is being created or upgraded'));
      timer = setTimeout(give, connection.settings.timeoutMs);
    });
    try {
      await Promise.race([this.#upgrade, late]);
    } finally {
      clearTimeout(timer);
    }
    this.#isPartitioned = false;
    this.#isReady = true;
  }

  /** Stops an upgrade, which the server then takes back. */
  end(): void {
    this.#upgrading?.end();
  }

  /** Has the table looked at again. */
  forget(): void {
    this.#isReady = false;
  }
}

async function inspect(connection: Connection): Promise<Inspected | undefined> {
  return (await connection.query(INSPECT)).rows[0] as Inspected | undefined;
}

/** The statements that make the table complete. Nothing: it is. */
function lacks(found: Inspected | undefined): string | undefined {
  if (found === undefined) return SCHEMA;
  if (found.kind !== 'r' && found.kind !== 'p') {
    throw new Known(`tool_audit_events is no table (${found.kind}); rename it, or set another search path`);
  }
  if (found.partitioned !== null && found.partitioned !== 'RANGE (ts)') {
    throw new Known(`the table tool_audit_events is partitioned by ${found.partitioned}; accepted is RANGE (ts)`);
  }
  const missing = ADDED.filter((name) => !found.columns.includes(name));
  if (missing.length === 0 && found.has_key) return undefined;
  if (found.partitioned !== null) {
    const what = [...missing.map((name) => `the column ${name}`), ...(found.has_key ? [] : ['a unique index'])];
    throw new Known(`the partitioned table tool_audit_events lacks ${what.join(', ')}; let its owner add them`);
  }
  return UPGRADE;
}

async function upgrade(connection: Connection): Promise<void> {
  try {
    const run = (sql: string) => connection.query(sql, undefined, UPGRADE_MS);
    await run('BEGIN ISOLATION LEVEL READ COMMITTED');
    await run(`SET LOCAL lock_timeout = ${LOCK_MS}`);
    while (!(await run(TURN)).rows[0].mine) await new Promise((resolve) => setTimeout(resolve, TURN_MS));
    // Another host may have done it meanwhile.
    const lack = lacks((await run(INSPECT)).rows[0] as Inspected | undefined);
    if (lack !== undefined) await run(lack);
    await run('COMMIT');
  } catch (error) {
    const server = error instanceof Failure ? error.server : undefined;
    if (server?.code === '42501') {
      throw new Known(
        `the user may not create or upgrade the table tool_audit_events: ${oneLine(server.message)}; ` +
          'let its owner run `audit migrate`',
      );
    }
    throw error;
  } finally {
    connection.drop();
  }
}
