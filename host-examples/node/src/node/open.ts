/** Opening a store under Node.js: the engine is in a worker thread. */

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { MessageChannel, Worker } from 'node:worker_threads';

import { AuditError, revive, text } from '../errors.js';
import type { FromEngine, ToEngine } from '../messages.js';
import { type Link, Store } from '../store.js';
import { type OpenOptions, type Resolved, resolve } from './settings.js';
import type { Given } from './worker.js';

/** A worker thread with an engine. */
class Thread implements Link {
  readonly worker: Worker;
  readonly port: import('node:worker_threads').MessagePort;
  readonly closed = new Int32Array(new SharedArrayBuffer(4));
  #busy = true;

  constructor(settings: Resolved, compiled: Given['compiled']) {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    const given: Given = { settings, compiled, port: port2, closed: this.closed };
    const url = new URL('./worker.js', import.meta.url);
    // The arguments of the process, such as --eval, are not the thread's.
    this.worker = new Worker(url, { workerData: given, transferList: [port2], execArgv: [], name: 'audit-store' });
  }

  post(message: ToEngine): void {
    this.port.postMessage(message);
  }

  busy(is: boolean): void {
    if (is === this.#busy) return;
    this.#busy = is;
    if (is) {
      this.port.ref();
      this.worker.ref();
    } else {
      this.port.unref();
      this.worker.unref();
    }
  }

  async end(): Promise<void> {
    this.port.close();
    await this.worker.terminate();
  }
}

/** The component's parts: compiled once for all stores of a process. */
let compiled: Promise<Given['compiled']> | undefined;

async function compile(): Promise<Given['compiled']> {
  const folder = new URL('../../generated/', import.meta.url);
  const names = fs.readdirSync(folder).filter((name) => name.endsWith('.wasm'));
  const part = async (name: string) => [name, await WebAssembly.compile(fs.readFileSync(new URL(name, folder)))];
  return Object.fromEntries(await Promise.all(names.map(part))) as Given['compiled'];
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
  readonly #warnings: (text: string) => void;
  #flushed = false;

  private constructor(thread: Thread, options: OpenOptions) {
    const warnings = options.warnings ?? toStderr;
    super(thread, options, warnings);
    this.#thread = thread;
    this.#exitTimeoutMs = options.exitTimeoutMs ?? 5000;
    this.#warnings = warnings;
    thread.port.on('message', (message: FromEngine) => this.receive(message));
    thread.worker.on('error', (error) => this.fail(text(error)));
    thread.worker.on('exit', (code) => this.fail(`its thread ended with ${code}`));
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
    const thread = new Thread(settings, await (compiled ??= compile()));
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error) => reject(new AuditError('other', `the store's thread has failed: ${text(error)}`));
      thread.worker.once('error', failed);
      thread.port.once('message', (message: FromEngine) => {
        thread.worker.off('error', failed);
        if (message.kind === 'failure') {
          void thread.end();
          reject(revive(message.error));
        } else {
          resolve();
        }
      });
    });
    return new AuditStore(thread, options);
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
    this.flush().catch(() => undefined);
  }

  /** @internal In the end there is no event loop any more: hands over what waits, and waits for the thread. */
  exit(): void {
    if (this.isClosed) return;
    this.handOver();
    this.#thread.post({ kind: 'call', id: 0, call: 'close', with: {} });
    if (Atomics.wait(this.#thread.closed, 0, 0, this.#exitTimeoutMs) === 'timed-out') {
      this.#warnings(`events were still being stored ${this.#exitTimeoutMs} ms after the process was to end, and may be lost`);
    }
  }
}

function beforeExit(): void {
  for (const store of open) store.beforeExit();
}

function exit(): void {
  for (const store of open) store.exit();
}
