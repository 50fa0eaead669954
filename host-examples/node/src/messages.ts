/**
 * What the store's surface and the engine behind it tell each other. Events cross as JSON lines, many in one text, because
 * a text is cheap to hand over to another thread.
 */

import type { PlainError } from './errors.js';
import type { ComponentFilter } from './lines.js';
import type { Order } from './types.js';

/** Settings as the component takes them. */
export interface ComponentConfig {
  backend?: string;
  jsonlDir?: string;
  durability?: string;
  memoryLimit?: bigint;
  batchSize?: bigint;
  flushIntervalMs?: bigint;
  queueLimit?: bigint;
  recoveryIntervalS?: bigint;
}

/** A page request as the component takes it. */
export interface ComponentPageRequest {
  order: Order;
  limit: number;
  cursor?: string;
}

/** What can be asked, and with what. */
export interface Calls {
  /** Stores lines, all of them or none, and answers with a receipt. */
  write: { lines: string };
  /** Reads a page of JSON lines. */
  read: { filter: ComponentFilter; page: ComponentPageRequest };
  /** Passes on what waits. */
  flush: Record<string, never>;
  /** Tells the status. */
  status: Record<string, never>;
  /** Stores what waits, and ends. Answers with the last status. */
  close: Record<string, never>;
}

/** To the engine. */
export type ToEngine =
  | { kind: 'events'; lines: string; count: number }
  | { [K in keyof Calls]: { kind: 'call'; id: number; call: K; with: Calls[K] } }[keyof Calls];

/** From the engine. */
export type FromEngine =
  | { kind: 'released'; events: number; chars: number }
  | { kind: 'answer'; id: number; value: unknown }
  | { kind: 'failure'; id: number; error: PlainError };
