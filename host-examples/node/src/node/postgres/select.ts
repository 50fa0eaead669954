/**
 * Reads a page: with one statement where the server is fast enough for that, else in windows, parts of the table that
 * follow each other in the order of the read.
 */

import type { Connection, Value } from './connection.js';
import { Failure, isCancelled } from './failure.js';
import type { Asked, RowPage } from './messages.js';
import { COUNT_TIMELESS, selectIn, windowIn } from './statements.js';

/** The most entries of a page where none is asked for, and the most that one statement returns. */
const DEFAULT_LIMIT = 50_000;
const AT_ONCE = 5_000;

/** The most characters of a page: well below the memory of the component. */
const PAGE_CHARS = 24 << 20;

/** The rows of the first window, and of the smallest. */
const FIRST_WINDOW = 20_000;
const LEAST_WINDOW = 100;

/** A page of the entries that match. */
export async function select(connection: Connection, asked: Asked): Promise<RowPage> {
  const reading = new Reading(connection, asked);
  try {
    return await reading.page();
  } catch (error) {
    const code = error instanceof Failure ? error.server?.code : undefined;
    // Nobody has written yet.
    if (code === '42P01') return { lines: '', count: 0, next: undefined, skipped: 0n };
    // The encoding of the database lacks a character of the filter, so no row can match.
    if (code === '22P05') return { lines: '', count: 0, next: undefined, skipped: 0n };
    throw error;
  }
}

/** The parameters $1 to $13. */
function parameters({ filter }: Asked): Value[] {
  const names = ['fromTs', 'toTs', 'tool', 'agentId', 'workspaceId', 'userId', 'action', 'status', 'reqId'];
  const texts = [...names, 'graphRunId', 'graphNode', 'jobId'].map((name) => (filter[name] as string | undefined) ?? null);
  return [...texts, filter.attributes.length > 0 ? JSON.stringify(filter.attributes) : null];
}

/** The read that was last too slow to go on without windows, and how many rows a window has for it. */
let slow = { key: '', rows: FIRST_WINDOW };

/** The cursor of a page before which nothing was read. */
function begin(isNewest: boolean, from: Value, to: Value): string {
  return isNewest
    ? `${to ?? '9999-12-31T23:59:59.999999Z'},ffffffff-ffff-ffff-ffff-ffffffffffff,0`
    : `${from ?? '0000-01-01T00:00:00.000000Z'},,0`;
}

class Reading {
  readonly #connection: Connection;
  readonly #asked: Asked;
  readonly #parameters: Value[];
  readonly #key: string;
  readonly #limit: number;
  readonly #by: number;
  #lines: string[] = [];
  #chars = 0;
  /** Up to here all is found. */
  #last: string | undefined;

  constructor(connection: Connection, asked: Asked) {
    this.#connection = connection;
    this.#asked = asked;
    this.#parameters = parameters(asked);
    this.#key = JSON.stringify([asked.order, this.#parameters]);
    this.#limit = asked.limit === 0 ? DEFAULT_LIMIT : asked.limit;
    this.#by = Date.now() + connection.settings.readTimeoutMs;
    this.#last = asked.cursor;
  }

  async page(): Promise<RowPage> {
    const skipped = await this.#timeless();
    const next = slow.key === this.#key ? await this.#windows() : await this.#whole();
    return { lines: this.#lines.join(''), count: this.#lines.length, next, skipped };
  }

  /** Counts the rows without a time that an event can have, on the first page. None where that takes too long. */
  async #timeless(): Promise<bigint> {
    if (this.#asked.cursor !== undefined) return 0n;
    const time = Math.max(1, Math.floor(this.#connection.settings.readTimeoutMs / 8));
    try {
      const { rows } = await this.#connection.query(COUNT_TIMELESS, this.#parameters, time);
      return BigInt((rows[0] as { count: string }).count);
    } catch (error) {
      if (tooSlow(error)) return 0n;
      throw error;
    }
  }

  /** Reads without windows, where that takes a part of the time alone. Returns the cursor of the next page. */
  async #whole(): Promise<string | undefined> {
    const by = Date.now() + (this.#by - Date.now()) / 4;
    try {
      for (;;) {
        const isAll = await this.#some(this.#parameters, Math.max(1, Math.floor(by - Date.now())));
        if (isAll) return undefined;
        if (this.#isFull) return this.#last;
      }
    } catch (error) {
      if (!tooSlow(error)) throw error;
      slow = { key: this.#key, rows: FIRST_WINDOW };
      return this.#windows();
    }
  }

  /** Reads window by window until the page is full, the table ends, or the time is over. */
  async #windows(): Promise<string | undefined> {
    const isNewest = this.#asked.order === 'newest-first';
    const [from, to] = this.#parameters;
    const beganWith = slow.rows;
    for (;;) {
      const left = Math.floor(this.#by - Date.now());
      const isOver = left < this.#connection.settings.readTimeoutMs / 8;
      if (this.#isFull || (isOver && this.#last !== this.#asked.cursor)) return this.#last;
      // The next page begins with smaller windows.
      if (isOver && slow.rows < beganWith) return this.#last ?? begin(isNewest, from ?? null, to ?? null);
      const time = Math.max(1, Math.floor(left / 2));
      try {
        const end = await this.#windowEnd(slow.rows, time);
        const window = [...this.#parameters];
        if (end !== undefined) window[isNewest ? 0 : 1] = end;
        if (!(await this.#some(window, time))) continue;
        if (end === undefined) return undefined;
        this.#last = isNewest ? `${end},,0` : `${end},ffffffff-ffff-ffff-ffff-ffffffffffff,0`;
      } catch (error) {
        if (!tooSlow(error) || slow.rows <= LEAST_WINDOW) throw error;
        slow.rows = Math.max(LEAST_WINDOW, Math.floor(slow.rows / 10));
      }
    }
  }

  /** The time with which the next window ends. Nothing: it is the last one. */
  async #windowEnd(rows: number, time: number): Promise<string | undefined> {
    const values = [this.#parameters[0]!, this.#parameters[1]!, this.#last ?? null, rows];
    const found = await this.#connection.query(windowIn(this.#asked.order), values, time);
    return (found.rows[0] as { ts: string } | undefined)?.ts;
  }

  get #isFull(): boolean {
    return this.#lines.length >= this.#limit || this.#chars > PAGE_CHARS;
  }

  /** Reads some rows. Returns whether these were the last ones. */
  async #some(values: Value[], timeMs: number): Promise<boolean> {
    const room = Math.min(AT_ONCE, this.#limit - this.#lines.length);
    // One row more shows whether there is a next page.
    const all = [...values, this.#last ?? null, room + 1];
    const { rows } = await this.#connection.query(selectIn(this.#asked.order), all, timeMs);
    for (const { line, cursor } of (rows as { line: string; cursor: string }[]).slice(0, room)) {
      this.#lines.push(`${line}\n`);
      this.#chars += line.length + 1;
      this.#last = cursor;
    }
    return rows.length <= room;
  }
}

function tooSlow(error: unknown): boolean {
  if (!(error instanceof Failure)) return false;
  return error.when === 'timed-out' || (error.server !== undefined && isCancelled(error.server));
}
