/** Opening a store under Node.js: the engine is in a worker thread. */

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';

import { AuditError, revive, text } from '../errors.js';
import type { FromEngine, ToEngine } from '../messages.js';
import { type Link, Store } from '../store.js';
import { type OpenOptions, type Resolved, resolve } from './settings.js';
import type { Given } from './worker.js';

/** How long a thread waits for the next store, in milliseconds. */
const IDLE = 10_000;

/** The thread of a store that was closed: the next one opens in a fraction of the time. */
let idle: { worker: Worker; timer: NodeJS.Timeout } | undefined;

/** A thread that serves no store. */
function thread(): Worker {
  if (idle) {
    const { worker, timer } = idle;
    clearTimeout(timer);
    idle = undefined;
    worker.ref();
    return worker;
  }
  // The arguments of the process, such as --eval, are not the thread's.
  const worker = new Worker(new URL('./worker.js', import.meta.url), { execArgv: [], name: 'audit-store' });
  // A store that is served is told of both.
  worker.on('error', () => undefined);
  worker.on('exit', () => {
    if (idle?.worker === worker) idle = undefined;
  });
  return worker;
}

/** A worker thread with an engine. */
class Thread implements Link {
  readonly #worker = thread();
  readonly #ended = (code: number) => this.#fail(`its thread ended with ${code}`);
  readonly #failed = (error: Error) => this.#fail(text(error));
  /** Who is told that the thread has failed. */
  #fail: (why: string) => void = () => undefined;
  readonly port: MessagePort;
  readonly closed = new Int32Array(new SharedArrayBuffer(4));
  readonly #engine: MessagePort;
  #busy = true;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    this.#engine = port2;
    this.#worker.on('exit', this.#ended).on('error', this.#failed);
  }

  /** Starts the engine. */
  async start(settings: Resolved, compiled: Given['compiled']): Promise<void> {
    const given: Given = { settings, compiled, port: this.#engine, closed: this.closed };
    await new Promise<void>((resolve, reject) => {
      this.#fail = (why) => reject(new AuditError('other', `the store's thread has failed: ${why}`));
      this.port.once('message', (message: FromEngine) => {
        if (message.kind === 'failure') reject(revive(message.error));
        else resolve();
      });
      this.#worker.postMessage(given, [this.#engine]);
    });
  }

  /** Has messages, and the failure of the thread, told to a store. */
  serve(receive: (message: FromEngine) => void, fail: (why: string) => void): void {
    this.port.on('message', receive);
    this.#fail = fail;
  }

  post(message: ToEngine): void {
    this.port.postMessage(message);
  }

  busy(is: boolean): void {
    if (is === this.#busy) return;
    this.#busy = is;
    if (is) {
      this.port.ref();
      this.#worker.ref();
    } else {
      this.port.unref();
      this.#worker.unref();
    }
  }

  async end(): Promise<void> {
    this.port.close();
    const worker = this.#worker;
    worker.off('exit', this.#ended).off('error', this.#failed);
    if (idle) {
      await worker.terminate();
      return;
    }
    worker.unref();
    const timer = setTimeout(() => {
      idle = undefined;
      void worker.terminate();
    }, IDLE).unref();
    idle = { worker, timer };
  }

  /** Ends the thread, too. */
  async terminate(): Promise<void> {
    this.port.close();
    this.#worker.off('exit', this.#ended).off('error', this.#failed);
    await this.#worker.terminate();
  }
}

/** The component's parts: compiled once for all stores of a process. */
let compiled: Promise<Given['compiled']> | undefined;

function compile(): Promise<Given['compiled']> {
  const parts = async () => {
    const folder = new URL('../../generated/', import.meta.url);
    const names = fs.readdirSync(folder).filter((name) => name.endsWith('.wasm'));
    const part = async (name: string) => [name, await WebAssembly.compile(fs.readFileSync(new URL(name, folder)))];
    return Object.fromEntries(await Promise.all(names.map(part))) as Given['compiled'];
  };
  return (compiled ??= parts().catch((error: unknown) => {
    // The next one tries again.
    compiled = undefined;
    throw error;
  }));
}

function toStderr(warning: string): void {
  try {
    fs.writeSync(2, `audit-store: ${warning}\n`);
  } catch {
    // There is nowhere else to report it.
  }
}

/** The stores that are open, for the end of the process. */
const open = new Set<AuditStore>();

/** A store of audit events. */
export class AuditStore extends Store {
  readonly #thread: Thread;
  readonly #exitTimeoutMs: number;
  #flushed = false;
  /** Since when the process waits for the last flush. */
  #endsSince: number | undefined;

  private constructor(thread: Thread, options: OpenOptions, { exitTimeoutMs }: Resolved) {
    super(thread, options, options.warnings ?? toStderr);
    this.#thread = thread;
    this.#exitTimeoutMs = exitTimeoutMs;
    thread.serve((message) => this.receive(message), (why) => this.fail(why));
    thread.busy(false);
    if (open.size === 0) {
      process.on('beforeExit', beforeExit);
      process.on('exit', exit);
    }
    open.add(this);
  }

  /**
   * Opens a store. Close it in the end, or let the process end: what is queued then is stored.
   *
   * @throws {AuditError} of the kind `config` for a wrong setting
   */
  static async open(options: OpenOptions = {}): Promise<AuditStore> {
    const settings = resolve(options);
    const thread = new Thread();
    try {
      // The thread starts meanwhile.
      await thread.start(settings, await compile());
    } catch (error) {
      await thread.terminate();
      throw error;
    }
    return new AuditStore(thread, options, settings);
  }

  /** @internal */
  override sha256(bytes: Uint8Array): string {
    return createHash('sha256').update(bytes).digest('hex');
  }

  protected override ended(): void {
    open.delete(this);
    if (open.size === 0) {
      process.off('beforeExit', beforeExit);
      process.off('exit', exit);
    }
  }

  /** @internal Once there is nothing else to do: stores what waits, and lets the process end. */
  beforeExit(): void {
    if (this.#flushed || this.isClosed) return;
    // Once: what the database does not take must not keep the process alive.
    this.#flushed = true;
    this.#endsSince = performance.now();
    const timer = setTimeout(() => this.letGo(), this.#exitTimeoutMs);
    const done = () => {
      clearTimeout(timer);
      this.#endsSince = undefined;
    };
    this.flush().then(done, done);
  }

  /** @internal In the end there is no event loop any more: hands over what waits. */
  exit(): void {
    if (this.isClosed) return;
    this.handOver();
    this.#thread.post({ kind: 'call', id: 0, call: 'close', with: {} });
  }

  /** @internal Waits until the thread has stored it, also where the store was being closed. */
  exited(since: number): void {
    const left = Math.max(0, this.#exitTimeoutMs - (performance.now() - (this.#endsSince ?? since)));
    if (Atomics.wait(this.#thread.closed, 0, 0, left) === 'timed-out') {
      this.warn(`events were still being stored ${this.#exitTimeoutMs} ms after the process was to end, and may be lost`);
    }
  }
}

function beforeExit(): void {
  for (const store of open) store.beforeExit();
}

function exit(): void {
  const since = performance.now();
  for (const store of open) store.exit();
  for (const store of open) store.exited(since);
}
