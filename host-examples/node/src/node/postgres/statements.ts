/** The statements: text files, which are the same for hosts in any language. */

import * as fs from 'node:fs';

function read(name: string): string {
  return fs.readFileSync(new URL(`../../../sql/${name}.sql`, import.meta.url), 'utf8');
}

export const SCHEMA = read('schema');
export const UPGRADE = read('upgrade');
export const INSERT = read('insert');
export const MISSING = read('missing');
export const REFUSED = read('refused');
export const COUNT_TIMELESS = read('count_timeless');

const SELECT = { 'oldest-first': read('select_oldest'), 'newest-first': read('select_newest') };
const WINDOW = { 'oldest-first': read('window_oldest'), 'newest-first': read('window_newest') };

/** Reads a page in this order. */
export function selectIn(order: string): string {
  return order === 'newest-first' ? SELECT[order] : SELECT['oldest-first'];
}

/** Finds where a window of the table ends, in this order. */
export function windowIn(order: string): string {
  return order === 'newest-first' ? WINDOW[order] : WINDOW['oldest-first'];
}

/** Creates the table of the refused entries. */
export const REFUSED_TABLE = `CREATE TABLE IF NOT EXISTS tool_audit_refused${
  SCHEMA.split('CREATE TABLE IF NOT EXISTS tool_audit_refused')[1] ?? ''
}`;

/** The statement for a table that is partitioned by `ts`: the first and the last `ts` of the batch are $2 and $3. */
export function keyed(sql: string, isPartitioned: boolean): string {
  if (!isPartitioned) return sql;
  return sql
    .replaceAll('(event_id)', '(event_id, ts)')
    .replaceAll(
      'WHERE known.event_id = batch.event_id',
      (known) => `${known} AND known.ts BETWEEN $2 AND $3`,
    );
}
