/** One call of a tool, from its begin to its end, and the event that it becomes. A call never fails for its record. */

import { now } from '../clock.js';
import { found } from '../errors.js';
import type { AuditEvent } from '../types.js';
import { type Input, input, size } from './input.js';

/** Where wrappers record: a store. */
export interface Recorder {
  write(event: AuditEvent): void;
  /** @internal SHA-256 in hexadecimal. */
  sha256(bytes: Uint8Array): string | Promise<string>;
  /** @internal Writes an event that is not whole yet. */
  writeLater(event: Promise<AuditEvent>): void;
}

/** What every wrapper takes: the store, and what its events have besides what the call itself tells. */
export interface CallOptions {
  /** Where the calls are recorded. */
  store: Recorder;
  /** Fields of every event, such as `agent_id`, or a function that is asked at the begin of each call. */
  event?: AuditEvent | (() => AuditEvent);
}

/** What a wrapper knows of a call. */
export interface Known {
  tool: string;
  action: string;
  args: unknown;
  req_id?: string | undefined;
  attributes?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** How a call ended. */
export interface End {
  status: string;
  errorType?: string;
}

/** Wrappers that have nowhere to record are a mistake, which shows where it is made. */
export function checkStore({ store }: CallOptions): void {
  if (typeof store?.write !== 'function') throw new TypeError(`store: found ${found(store)}; accepted is an AuditStore`);
}

/** A call that has begun. */
export class Call {
  readonly #options: CallOptions;
  readonly #known: Known;
  readonly #ts = now();
  readonly #began = performance.now();
  #input: Input | undefined;
  readonly #more: AuditEvent;
  #ended = false;

  constructor(options: CallOptions, known: Known) {
    this.#options = options;
    this.#known = known;
    // Before the call, which may change its arguments.
    try {
      this.#input = input(known.args);
    } catch {
      // They are nested too deeply.
    }
    let more: AuditEvent | undefined;
    try {
      more = typeof options.event === 'function' ? options.event() : options.event;
    } catch {
      // The event then has less, but is there.
    }
    this.#more = more ?? {};
  }

  /** The call has returned this. */
  returned(value: unknown): void {
    this.end({ status: 'ok' }, size(value));
  }

  /** The call has returned this, which says that the tool has failed. */
  failed(value: unknown): void {
    this.end({ status: 'error', errorType: 'tool_error' }, size(value));
  }

  /** The call has thrown this. */
  threw(error: unknown): void {
    this.end(endOf(error, this.#known.signal), 0);
  }

  /** Records the event, once. Never throws. */
  end(end: End, outSize: number): void {
    if (this.#ended) return;
    this.#ended = true;
    try {
      this.#record(end, outSize);
    } catch {
      // The store is none of this package's.
    }
  }

  #record({ status, errorType }: End, outSize: number): void {
    const { tool, action, req_id } = this.#known;
    const more = this.#more;
    const found = this.#input;
    const attributes: Record<string, string> = { ...this.#known.attributes, ...more.attributes };
    if (errorType) attributes['error_type'] = errorType;
    if (found?.isRaw) attributes['input_form'] = 'raw';
    const event: AuditEvent = {
      ts: this.#ts,
      tool,
      action,
      status,
      duration_ms: Math.round(performance.now() - this.#began),
      in_size: found?.bytes.length ?? 0,
      out_size: outSize,
      ...(req_id === undefined ? {} : { req_id }),
      ...more,
      attributes,
    };
    if (found === undefined) {
      this.#options.store.write(event);
      return;
    }
    const hash = this.#options.store.sha256(found.bytes);
    if (typeof hash === 'string') {
      this.#options.store.write({ input_hash: hash, ...event });
      return;
    }
    const { store } = this.#options;
    store.writeLater(hash.then((input_hash) => ({ input_hash, ...event }), () => event));
  }
}

/** How a call ended that threw. */
function endOf(error: unknown, signal: AbortSignal | undefined): End {
  const { name, code } = (typeof error === 'object' && error !== null ? error : {}) as { name?: unknown; code?: unknown };
  const named = typeof name === 'string' && name !== 'Error' ? name : '';
  const errorType = named || (typeof code === 'string' ? code : '') || (error instanceof Error ? 'Error' : typeof error);
  // Before what the error says: the MCP SDK has the code of a timeout for an aborted request too.
  if (signal?.aborted) {
    const late = (signal.reason as { name?: unknown } | undefined)?.name === 'TimeoutError';
    return { status: late ? 'timeout' : 'cancelled', errorType };
  }
  if (named === 'TimeoutError' || code === 'ETIMEDOUT' || code === REQUEST_TIMEOUT) return { status: 'timeout', errorType };
  if (named === 'AbortError') return { status: 'cancelled', errorType };
  return { status: 'error', errorType: typeof code === 'number' ? String(code) : errorType };
}

/** `RequestTimeout` of the MCP SDK. */
const REQUEST_TIMEOUT = -32001;
