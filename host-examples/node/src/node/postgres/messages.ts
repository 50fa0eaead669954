/** What the two threads of a database tell each other. */

import type { MessagePort } from 'node:worker_threads';
import type { ComponentFilter } from '../../lines.js';

/** What the thread with the connection is given for a store. */
export interface Connecting {
  port: MessagePort;
  /** Grows with every answer, and with every statement that begins: what waits for it waits on. */
  alive: Int32Array;
  url: string;
  /** For a connection and for a statement, in milliseconds. */
  timeoutMs: number;
  /** For a page, in milliseconds. */
  readTimeoutMs: number;
}

/** A page as the component asks for it. */
export interface Asked {
  filter: ComponentFilter;
  order: string;
  limit: number;
  cursor: string | undefined;
}

/** A call of the component. */
export type Request = { id: number } & ({ op: 'insert'; lines: string } | { op: 'select'; page: Asked });

/** Why a call failed, as the component takes it. */
export type SinkError =
  | { tag: 'not-configured' }
  | { tag: 'unavailable'; val: string }
  | { tag: 'unanswered'; val: string }
  | { tag: 'other'; val: string };

/** An answer. */
export type Reply = { id: number } & ({ value: unknown } | { error: SinkError });

/** A row that the database refused. */
export interface RefusedRow {
  /** The position in the batch, from 0. */
  index: number;
  /** Why, without the values of the row. */
  reason: string;
}

/** A page of rows, as the component takes it. */
export interface RowPage {
  lines: string;
  count: number;
  next: string | undefined;
  skipped: bigint;
}
