/**
 * Inserts a batch with one statement. Where the database refuses a row, the batch is halved until that row is found, and
 * the others are stored.
 */

import type { Connection, Value } from './connection.js';
import { Failure, isOpen, lacksTable, oneLine, refusal, sinkError, Unanswered } from './failure.js';
import type { RefusedRow } from './messages.js';
import { INSERT, keyed, MISSING, REFUSED, REFUSED_TABLE } from './statements.js';
import type { Table } from './table.js';

/** Why an entry counts as refused that no statement has refused. */
const VANISHED = 'the database accepted the row without storing it, as a trigger does that drops rows';

/** Stores all lines but those that the database refuses, which are returned in their order. */
export async function insert(connection: Connection, table: Table, text: string): Promise<RefusedRow[]> {
  const lines = text.split('\n').filter((line) => line !== '');
  const refused: RefusedRow[] = [];
  let stored = 0;
  // A stack: the first half goes on top, so that the rows are inserted in their order.
  const left: [number, number][] = [[0, lines.length]];
  for (let range = left.pop(); range !== undefined; range = left.pop()) {
    const [start, end] = range;
    if (start === end) continue;
    try {
      const { added, vanished } = await add(connection, table, lines.slice(start, end));
      stored += added;
      refused.push(...vanished.map((row) => ({ index: start + row, reason: VANISHED })));
    } catch (error) {
      const server = error instanceof Failure ? error.server : undefined;
      const reason = server && refusal(server);
      if (reason === undefined) throw unstored(error, stored, connection);
      if (end - start === 1) {
        refused.push({ index: start, reason });
      } else {
        const middle = start + Math.floor((end - start) / 2);
        left.push([middle, end], [start, middle]);
      }
    }
  }
  for (const row of refused) row.reason = await keep(connection, lines[row.index]!, row.reason);
  return refused.sort((a, b) => a.index - b.index);
}

/** The error of a batch of which some rows may be stored. */
function unstored(error: unknown, stored: number, connection: Connection): unknown {
  if (stored === 0 && !(error instanceof Failure && isOpen(error))) return error;
  const plain = sinkError(error, connection.names);
  return plain.tag === 'unavailable' ? new Unanswered(plain.val) : error;
}

/** Inserts rows, once more where the table is not what it was, or another transaction was in the way. */
async function add(
  connection: Connection,
  table: Table,
  lines: string[],
): Promise<{ added: number; vanished: number[] }> {
  await table.ensure(connection);
  try {
    return await once(connection, table, lines);
  } catch (error) {
    const server = error instanceof Failure ? error.server : undefined;
    const again = server && (lacksTable(server) || ['40001', '40P01'].includes(server.code));
    if (!again) throw error;
    table.forget();
    await table.ensure(connection);
    return once(connection, table, lines);
  }
}

async function once(
  connection: Connection,
  table: Table,
  lines: string[],
): Promise<{ added: number; vanished: number[] }> {
  const { isPartitioned } = table;
  const values: Value[] = [`[${lines.join(',')}]`];
  if (isPartitioned) values.push(...span(lines));
  const added = (await connection.query(keyed(INSERT, isPartitioned), values)).rowCount ?? 0;
  if (added >= lines.length) return { added, vanished: [] };
  const { rows } = await connection.query(keyed(MISSING, isPartitioned), values).catch((error: unknown) => {
    // The others are stored by now, whatever has become of this statement.
    throw unstored(error, added + 1, connection);
  });
  return { added, vanished: rows.map((row: { index: string }) => Number(row.index)) };
}

/** The first and the last `ts` of lines of the store, whose times are in UTC and of one width. */
function span(lines: string[]): [string, string] {
  const times = lines.map((line) => (JSON.parse(line) as { ts: string }).ts).sort();
  const bound = (ts: string) => (ts.startsWith('0000') ? `0001${ts.slice(4)} BC` : ts);
  return [bound(times[0]!), bound(times.at(-1)!)];
}

/** Keeps what is known of a refused entry, and returns the reason. */
async function keep(connection: Connection, line: string, reason: string): Promise<string> {
  // The number as it is written: it may be larger than a number of JavaScript.
  const seq = /"seq":(\d+),"hash":"[0-9a-f]{64}"\}$/.exec(line)?.[1];
  const { id, chain, hash, ts } = JSON.parse(line) as Record<string, string>;
  if (seq === undefined || !id || !chain || !hash || !ts) return reason;
  const values = [id, chain, seq, hash, ts, reason];
  try {
    await connection.query(REFUSED, values).catch(async (error: unknown) => {
      if (!(error instanceof Failure) || error.server?.code !== '42P01') throw error;
      await connection.query(REFUSED_TABLE);
      await connection.query(REFUSED, values);
    });
    return reason;
  } catch (error) {
    return `${reason} (nothing is kept of it in tool_audit_refused: ${oneLine((error as Error).message)})`;
  }
}
