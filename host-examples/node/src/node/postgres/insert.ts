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
  let isBegun = false;
  // A stack: the first half goes on top, so that the rows are inserted in their order.
  const left: [number, number][] = [[0, lines.length]];
  try {
    for (let range = left.pop(); range !== undefined; range = left.pop()) {
      const [start, end] = range;
      if (start === end) continue;
      const added = await add(connection, table, lines.slice(start, end));
      if (Array.isArray(added)) {
        isBegun = true;
      } else if (end - start > 1) {
        const middle = start + Math.floor((end - start) / 2);
        left.push([middle, end], [start, middle]);
        continue;
      }
      const holes = Array.isArray(added)
        ? added.map((row) => ({ index: start + row, reason: VANISHED }))
        : [{ index: start, reason: added.refusal }];
      // The rows behind a hole are stored once it is explained: else nothing might ever explain it.
      for (const { index, reason } of holes) {
        refused.push({ index, reason: await keep(connection, lines[index]!, reason) });
      }
    }
  } catch (error) {
    // What was stored of the batch before stays.
    throw isBegun ? unanswered(error, connection) : error;
  }
  return refused;
}

/** The error of a batch that may be stored, or a part of it. */
function unanswered(error: unknown, connection: Connection): Unanswered {
  const plain = sinkError(error, connection.names);
  return new Unanswered('val' in plain ? plain.val : plain.tag);
}

/**
 * Inserts rows, once more where the table is not what it was, or another transaction was in the way. Returns the positions
 * of those that the table does not have nevertheless, or why the database refuses one of them.
 */
async function add(connection: Connection, table: Table, lines: string[]): Promise<number[] | { refusal: string }> {
  for (let isRepeated = false; ; isRepeated = true) {
    await table.ensure(connection);
    try {
      return await once(connection, table, lines);
    } catch (error) {
      const server = error instanceof Failure ? error.server : undefined;
      const reason = server && refusal(server);
      if (reason !== undefined) return { refusal: reason };
      const again = server && (lacksTable(server) || ['40001', '40P01'].includes(server.code));
      if (isRepeated || !again) throw error;
      table.forget();
    }
  }
}

async function once(connection: Connection, table: Table, lines: string[]): Promise<number[]> {
  const { isPartitioned } = table;
  const values: Value[] = [`[${lines.join(',')}]`];
  if (isPartitioned) values.push(...span(lines));
  const { rowCount } = await connection.query(keyed(INSERT, isPartitioned), values).catch((error: unknown) => {
    throw error instanceof Failure && isOpen(error) ? unanswered(error, connection) : error;
  });
  if ((rowCount ?? 0) >= lines.length) return [];
  const { rows } = await connection.query(keyed(MISSING, isPartitioned), values).catch((error: unknown) => {
    // The others are stored by now, whatever has become of this statement.
    throw unanswered(error, connection);
  });
  return rows.map((row: { index: string }) => Number(row.index));
}

/** The first and the last `ts` of lines of the store, whose times are in UTC and of one width. */
function span(lines: string[]): [string, string] {
  const times = lines.map((line) => (JSON.parse(line) as { ts: string }).ts).sort();
  const bound = (ts: string) => (ts.startsWith('0000') ? `0001${ts.slice(4)} BC` : ts);
  return [bound(times[0]!), bound(times.at(-1)!)];
}

/**
 * Keeps what is known of a refused entry, and returns the reason, with why nothing is kept where another try would fail
 * too. Throws where it may be kept later.
 */
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
    const isPassing = sinkError(error, connection.names).tag !== 'other';
    if (isPassing || (error instanceof Failure && error.endsConnection)) throw error;
    return `${reason} (nothing is kept of it in tool_audit_refused: ${oneLine((error as Error).message)})`;
  }
}
