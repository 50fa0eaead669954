/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The surface of a store: a bounded queue in front of an engine, which runs elsewhere. `write` puts an event into the
 * queue and returns; everything else asks the engine, and waits for its answer without holding up the event loop.
 */

import { queue } from './accepted.js';
import { now } from './clock.js';
import { AuditError, found, InvalidError, revive, text } from './errors.js';
import { componentFilter, entries, lenientLine, strictLine } from './lines.js';
import type { Calls, FromEngine, ToEngine } from './messages.js';
import type {
  AuditEvent,
  Entry,
  Filter,
  JsonlPage,
  Order,
  Page,
  PageRequest,
  Receipt,
  Status,
  StoreSettings,
} from './types.js';

/** The way to an engine, in another thread or in this one. */
export interface Link {
  /** Hands a message over, in order. Never blocks. */
  post(message: ToEngine): void;
  /** Whether something is awaited, for which the process has to go on. */
  busy(is: boolean): void;
  /** Ends the engine. */
  end(): Promise<void>;
}

/** Events that go to the engine in one text, at most. */
const BATCH_EVENTS = 1024;

/** The characters after which a text goes to the engine. */
const BATCH_CHARS = 1 << 20;

/** How often the same warning is printed, in milliseconds. */
const WARN_EVERY = 60_000;

/** The same for warnings, but what it throws is nobody's: a store must not fail because a log does. */
export function guarded(warn: (text: string) => void): (text: string) => void {
  return (text) => {
    try {
      warn(text);
    } catch {
      // There is nowhere else to report it.
    }
  };
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: AuditError): void;
}

/** A store of audit events. Open it with `AuditStore.open`. */
export abstract class Store {
  readonly #link: Link;
  readonly #most: { events: number; chars: number };
  readonly #warn: (text: string) => void;
  #lines: string[] = [];
  #chars = 0;
  /** What the engine has been sent and has not stored yet. */
  #sent = { events: 0, chars: 0 };
  /** Whether the process waits for no answer any more. */
  #isLetGo = false;
  #scheduled = false;
  #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #notTaken = { queueFull: 0, closed: 0, invalid: 0 };
  #warned = new Map<string, number>();
  /** Events of `writeLater`. */
  #later = new Set<Promise<void>>();
  #closing: Promise<Status> | undefined;
  #isClosed = false;
  #last: Status | undefined;
  #failed: string | undefined;
  #isEnded = false;

  /** @internal */
  protected constructor(link: Link, settings: StoreSettings, warn: (text: string) => void) {
    this.#link = link;
    this.#most = queue(settings);
    this.#warn = guarded(warn);
  }

  /**
   * Records an event. Never blocks, never throws: an event for which the queue has no room, or that comes after the store
   * was closed, is counted in `status()`, and a warning goes to stderr once a minute. An event without a `ts` gets the
   * time of the call.
   */
  write(event: AuditEvent): void {
    if (this.isClosed) {
      this.#notTaken.closed++;
      this.#warnOf('closed', 'the store is closed; events were not recorded');
      return;
    }
    let line: string;
    try {
      line = lenientLine(event, now());
    } catch (error) {
      this.#notTaken.invalid++;
      this.#warnOf('invalid', `an event was not recorded, its fields cannot be read: ${text(error)}`);
      return;
    }
    const events = this.#sent.events + this.#lines.length;
    // An event that is longer than the whole queue is taken where none waits before it.
    const isLong = events > 0 && this.#sent.chars + this.#chars + line.length > this.#most.chars;
    if (events >= this.#most.events || isLong) {
      this.#notTaken.queueFull++;
      this.#warnOf('full', `the queue is full; ${this.#notTaken.queueFull} events were dropped so far`);
      return;
    }
    this.#lines.push(line);
    this.#chars += line.length + 1;
    if (this.#lines.length >= BATCH_EVENTS || this.#chars >= BATCH_CHARS) {
      this.#send();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      // In a microtask, so that an event is on its way before anything else is awaited.
      queueMicrotask(() => {
        this.#scheduled = false;
        this.#send();
      });
    }
  }

  /**
   * Records all of the events, in their order, or none, and waits until the backend has taken them.
   *
   * @throws {InvalidError} for an event with an unknown field, a value of the wrong type or a wrong `ts`
   * @throws {IncompleteError} where a file took the first events and no more
   * @throws {AuditError}
   */
  async writeBatch(events: readonly AuditEvent[]): Promise<Receipt> {
    if (!Array.isArray(events)) throw new InvalidError(0, 'json', `found ${found(events)}; accepted is a list of events`);
    return this.writeJsonl(events.map((event, index) => `${strictLine(event, index)}\n`).join(''));
  }

  /**
   * `writeBatch` for events as JSON lines: objects with the field names of the stored lines, one a line. `index` in an
   * error is the position of the line.
   *
   * @throws {AuditError} as `writeBatch` does
   */
  async writeJsonl(lines: string): Promise<Receipt> {
    if (typeof lines !== 'string') throw new InvalidError(0, 'json', `found ${found(lines)}; accepted is a text of lines`);
    return (await this.#ask('write', { lines })) as Receipt;
  }

  /** All entries that match, page by page while they are iterated. */
  async *read(
    filter: Filter = {},
    options: { order?: Order; limit?: number } = {},
  ): AsyncGenerator<Entry, void, undefined> {
    let cursor: string | null = null;
    do {
      const page: Page = await this.readPage(filter, { ...options, cursor });
      yield* page.entries;
      cursor = page.next;
    } while (cursor !== null);
  }

  /**
   * One page of the entries that match, with those that were written before the call.
   *
   * @throws {InvalidError} for a wrong filter or cursor
   * @throws {AuditError}
   */
  async readPage(filter: Filter = {}, page: PageRequest = {}): Promise<Page> {
    const { lines, next, skipped } = await this.readJsonl(filter, page);
    return { entries: entries(lines), next, skipped };
  }

  /** `readPage` with the entries as their stored lines. */
  async readJsonl(filter: Filter = {}, page: PageRequest = {}): Promise<JsonlPage> {
    if (page === null || typeof page !== 'object') {
      throw new AuditError('config', `page: found ${found(page)}; accepted is an object with order, limit and cursor`);
    }
    const limit = page.limit ?? 0;
    if (!Number.isInteger(limit) || limit < 0 || limit > 0xffff_ffff) {
      throw new AuditError('config', `limit: found ${limit}; accepted is a whole number from 0 to 4294967295`);
    }
    const order = page.order ?? 'oldest-first';
    if (order !== 'oldest-first' && order !== 'newest-first') {
      throw new AuditError('config', `order: found ${String(order)}; accepted are oldest-first and newest-first`);
    }
    const { cursor } = page;
    if (cursor != null && typeof cursor !== 'string') {
      throw new InvalidError(0, 'cursor', `found ${found(cursor)}; accepted is the text that a page has as its \`next\``);
    }
    const request = { order, limit, ...(cursor == null ? {} : { cursor }) };
    return (await this.#ask('read', { filter: componentFilter(filter), page: request })) as JsonlPage;
  }

  /** How the store is doing, after all that was written before. A closed store tells its last status. */
  async status(): Promise<Status> {
    if (this.#closing) return this.#counted(await this.#closing);
    if (this.#failed !== undefined && this.#last) return this.#counted(this.#last);
    this.#last = (await this.#ask('status', {})) as Status;
    return this.#counted(this.#last);
  }

  /**
   * Stores what waits in memory. Under `auto` it also tries the database again, and drains a part of the spool.
   *
   * @throws {AuditError} says why events still wait; nothing is lost by it
   */
  async flush(): Promise<void> {
    await this.#ask('flush', {});
  }

  /** Stores what waits, and ends. Returns the last status: what was not stored is counted there as `unwritable`. */
  async close(): Promise<Status> {
    this.#closing ??= this.#later.size > 0 ? this.#settled().then(() => this.#end()) : this.#end();
    return this.#counted(await this.#closing);
  }

  /** Closes the store at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal SHA-256 in hexadecimal, for the wrappers. */
  abstract sha256(bytes: Uint8Array): string | Promise<string>;

  /** @internal Writes an event that is not whole yet, before whatever is asked after this call. */
  writeLater(event: Promise<AuditEvent>): void {
    const written = event.then((whole) => this.write(whole));
    this.#later.add(written);
    void written.finally(() => this.#later.delete(written));
  }

  /** @internal Whether the store is closed, or about to be. */
  protected get isClosed(): boolean {
    return this.#isClosed || this.#failed !== undefined;
  }

  /** @internal Prints a warning. Never throws. */
  protected warn(what: string): void {
    this.#warn(what);
  }

  /** @internal Has the process wait for nothing that was asked until now. */
  protected letGo(): void {
    this.#isLetGo = true;
    this.#signal();
  }

  /** @internal Hands over the events that wait here. */
  protected handOver(): void {
    this.#send();
  }

  /** @internal Called once the store is closed or has failed. */
  protected ended(): void {}

  /** @internal Takes a message of the engine. */
  protected receive(message: FromEngine): void {
    if (message.kind === 'released') {
      this.#sent.events -= message.events;
      this.#sent.chars -= message.chars;
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    this.#signal();
    if (message.kind === 'answer') waiting?.resolve(message.value);
    else waiting?.reject(revive(message.error));
  }

  /** @internal The engine has ended without having been asked to. */
  protected fail(why: string): void {
    if (this.#failed !== undefined || this.#isEnded) return;
    this.#failed = why;
    const lost = this.#lines.length + this.#sent.events;
    this.#notTaken.closed += lost;
    this.#lines = [];
    this.#sent = { events: 0, chars: 0 };
    this.#warn(`the store has ended: ${why}; ${lost} events that waited may not be recorded`);
    for (const { reject } of this.#waiting.values()) reject(new AuditError('other', `the store has ended: ${why}`));
    this.#waiting.clear();
    this.#signal();
    this.ended();
  }

  #send(): void {
    const count = this.#lines.length;
    if (count === 0) return;
    const lines = `${this.#lines.join('\n')}\n`;
    this.#sent.events += count;
    this.#sent.chars += lines.length;
    this.#lines = [];
    this.#chars = 0;
    this.#link.post({ kind: 'events', lines, count });
  }

  async #ask<K extends keyof Calls>(call: K, what: Calls[K]): Promise<unknown> {
    if (this.#later.size > 0) await this.#settled();
    if (this.isClosed) {
      const why = this.#failed === undefined ? 'the store is closed' : `the store has ended: ${this.#failed}`;
      throw new AuditError('unavailable', why);
    }
    return this.#post(call, what);
  }

  #post<K extends keyof Calls>(call: K, what: Calls[K]): Promise<unknown> {
    this.#send();
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#isLetGo = false;
      this.#signal();
      this.#link.post({ kind: 'call', id, call, with: what } as ToEngine);
    });
  }

  async #settled(): Promise<void> {
    await Promise.allSettled(this.#later);
  }

  async #end(): Promise<Status> {
    if (this.#failed !== undefined) {
      if (this.#last) return this.#last;
      throw new AuditError('unavailable', `the store has ended: ${this.#failed}`);
    }
    this.#isClosed = true;
    const status = (await this.#post('close', {})) as Status;
    this.#isEnded = true;
    this.ended();
    await this.#link.end();
    return status;
  }

  #signal(): void {
    // Not for events: what is not stored when the process has nothing else to do is stored at its end.
    this.#link.busy(this.#waiting.size > 0 && !this.#isLetGo);
  }

  /** The status with the events that did not get to the engine. */
  #counted(status: Status): Status {
    const { queueFull, closed, invalid } = this.#notTaken;
    const { counts } = status;
    const dropped = {
      invalid: counts.dropped.invalid + invalid,
      queueFull: counts.dropped.queueFull + queueFull,
      unwritable: counts.dropped.unwritable + closed,
    };
    return { ...status, counts: { ...counts, received: counts.received + queueFull + closed + invalid, dropped } };
  }

  #warnOf(reason: string, what: string): void {
    const last = this.#warned.get(reason);
    const at = Date.now();
    if (last !== undefined && at - last < WARN_EVERY) return;
    this.#warned.set(reason, at);
    this.#warn(what);
  }
}
