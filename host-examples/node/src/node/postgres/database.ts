/**
 * The import `audit:store/postgres`. It has to answer at once, while a driver of Node.js answers later: the driver is in
 * a thread of its own, and the engine's thread waits for it, for a bounded time. Nothing but a `sink-error` is thrown.
 */

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';

import { text } from '../../errors.js';
import type { ComponentFilter } from '../../lines.js';
import type { Resolved } from '../settings.js';
import type { Asked, Connecting, RefusedRow, Reply, Request, RowPage, SinkError } from './messages.js';

/** What a statement may take beyond its own limits, in milliseconds: a cancellation, and the way of the answer. */
const GRACE = 2000;

type Unnumbered<R> = R extends Request ? Omit<R, 'id'> : never;

/** The thread of a store that was closed, without its connection: the driver is loaded there. */
let idle: Worker | undefined;

/** A thread that serves no store. */
function thread(): Worker {
  const worker = idle ?? new Worker(new URL('./thread.js', import.meta.url), { execArgv: [], name: 'audit-store-database' });
  if (worker !== idle) {
    // Its end is seen as a missing answer.
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      if (idle === worker) idle = undefined;
    });
    worker.unref();
  }
  idle = undefined;
  return worker;
}

/** The database of a store. */
export class Database {
  readonly #settings: Resolved;
  #thread: { worker: Worker; port: MessagePort; alive: Int32Array } | undefined;
  #lastId = 0;

  constructor(settings: Resolved) {
    this.#settings = settings;
  }

  readonly isConfigured = (): boolean => this.#settings.databaseUrl !== undefined;

  readonly insertBatch = (lines: string): RefusedRow[] =>
    this.#call({ op: 'insert', lines }, 2 * this.#settings.databaseTimeoutMs + GRACE, 'unanswered') as RefusedRow[];

  readonly select = (filter: object, page: { order: string; limit: number; cursor?: string }): RowPage => {
    const asked: Asked = { filter: filter as ComponentFilter, order: page.order, limit: page.limit, cursor: page.cursor };
    const limit = this.#settings.databaseTimeoutMs + this.#settings.databaseReadTimeoutMs + GRACE;
    return this.#call({ op: 'select', page: asked }, limit, 'unavailable') as RowPage;
  };

  /** Ends the connection. The thread is left to the next store. */
  end(): void {
    const worker = this.#leave();
    if (worker && !idle) idle = worker;
    else void worker?.terminate();
  }

  /** Ends the thread, which may wait for the server. */
  #stop(): void {
    void this.#leave()?.terminate();
  }

  #leave(): Worker | undefined {
    const thread = this.#thread;
    this.#thread = undefined;
    thread?.port.close();
    return thread?.worker;
  }

  #call(request: Unnumbered<Request>, limit: number, late: 'unavailable' | 'unanswered'): unknown {
    let reply: Reply | undefined;
    try {
      reply = this.#wait(request, limit);
    } catch (error) {
      this.#stop();
      throw { payload: { tag: late, val: `the database's thread has failed: ${text(error)}` } satisfies SinkError };
    }
    if (reply === undefined) {
      // A new thread gets the next call.
      this.#stop();
      throw { payload: { tag: late, val: `the database did not answer within ${limit} ms` } satisfies SinkError };
    }
    if ('error' in reply) throw { payload: reply.error };
    return reply.value;
  }

  /** Waits for the answer. Nothing: for `limit` milliseconds, no statement has begun and none was answered. */
  #wait(request: Unnumbered<Request>, limit: number): Reply | undefined {
    const { port, alive } = (this.#thread ??= this.#start());
    const id = ++this.#lastId;
    let seen = Atomics.load(alive, 0);
    port.postMessage({ ...request, id });
    for (;;) {
      for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port)) {
        // An answer to an earlier call comes too late for it.
        if ((got.message as Reply).id === id) return got.message as Reply;
      }
      if (Atomics.wait(alive, 0, seen, limit) === 'timed-out') return undefined;
      seen = Atomics.load(alive, 0);
    }
  }

  #start(): { worker: Worker; port: MessagePort; alive: Int32Array } {
    const { port1, port2 } = new MessageChannel();
    const alive = new Int32Array(new SharedArrayBuffer(4));
    const given: Connecting = {
      port: port2,
      alive,
      url: this.#settings.databaseUrl ?? '',
      timeoutMs: this.#settings.databaseTimeoutMs,
      readTimeoutMs: this.#settings.databaseReadTimeoutMs,
    };
    const worker = thread();
    worker.postMessage(given, [port2]);
    port1.unref();
    return { worker, port: port1, alive };
  }
}
