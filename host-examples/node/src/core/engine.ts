/**
 * The engine of a store: it owns the instance of the component, hands queued events to it in batches, answers calls, and
 * flushes from time to time. It runs in one thread and blocks there; whoever has an event loop to keep free puts it into
 * another thread.
 */

import { now } from '../clock.js';
import { AuditError, plain, text } from '../errors.js';
import { linesOf } from '../lines.js';
import type { Calls, ComponentConfig, FromEngine, ToEngine } from '../messages.js';
import type { Receipt, Status } from '../types.js';
import { type Instance, Trap } from './component.js';
import { deliver } from './deliver.js';
import { type Change, Ledger, type Placed } from './ledger.js';
import { stillUnwritten } from './recover.js';

/** What an engine needs from outside. */
export interface Surroundings {
  /** Makes an instance, which is not set up yet. The one before has ended, and lets go of its files. */
  instantiate(): Instance;
  config: ComponentConfig;
  /** How long an event may wait in the component, in milliseconds. */
  flushIntervalMs: number;
  /** How long until a database that failed is tried again, in milliseconds. */
  recoveryIntervalMs: number;
  /** The `seq` of the lines of this chain that are in its spool files. */
  spooled(chain: string, sought: ReadonlySet<number>): Set<number>;
  /** Prints a warning. */
  warn(text: string): void;
  /** Sends a message. */
  send(message: FromEngine): void;
}

/** Events that wait in front of the component. */
interface Waiting {
  lines: string;
  /** How many there were, and how many are left. */
  count: number;
  left: number;
  chars: number;
}

/** The engine. */
export class Engine {
  readonly ledger = new Ledger();
  readonly #with: Surroundings;
  #instance: Instance | undefined;
  #last: Status;
  #backlog: Waiting[] = [];
  /** Why the component does not take the backlog, which then waits for the next flush. */
  stalled: AuditError | undefined;
  #restarts = 0;
  #lastError: string | null = null;
  #nextFlush: number;
  #nextProbe: number;
  #closed = false;

  /** Opens the store. An error says what is wrong with the settings. */
  constructor(surroundings: Surroundings) {
    this.#with = surroundings;
    this.#instance = this.#make();
    this.#last = this.#instance.status();
    this.#nextFlush = Date.now() + surroundings.flushIntervalMs;
    this.#nextProbe = Date.now();
  }

  /** Takes a message. Never throws. */
  receive(message: ToEngine): void {
    if (message.kind === 'events') {
      const { lines, count } = message;
      this.#backlog.push({ lines, count, left: count, chars: lines.length });
      this.deliverBacklog();
      return;
    }
    try {
      this.#with.send({ kind: 'answer', id: message.id, value: this.#answer(message) });
    } catch (error) {
      this.#with.send({ kind: 'failure', id: message.id, error: plain(error) });
    }
  }

  /** Does what has to be done from time to time: call it every now and then, such as each 100 ms. */
  tick(): void {
    const at = Date.now();
    if (this.#closed || at < this.#nextFlush) return;
    this.#nextFlush = at + this.#with.flushIntervalMs;
    this.stalled = undefined;
    this.deliverBacklog();
    const probes = this.hasSpool && at >= this.#nextProbe;
    if (this.#last.counts.pending === 0 && !probes) return;
    const before = this.#last.counts.spooled + this.#last.spooledByOthers;
    try {
      this.#flushInstance();
    } catch {
      // The component notes the error in its status, and the events stay pending.
    }
    const after = this.#last.counts.spooled + this.#last.spooledByOthers;
    const drains = after > 0 && after < before;
    if (drains) this.#nextFlush = Date.now();
    else this.#nextProbe = Date.now() + this.#with.recoveryIntervalMs;
    this.stalled = undefined;
    this.deliverBacklog();
  }

  /** Whether events may go to a spool. */
  get hasSpool(): boolean {
    return this.#last.requested === 'auto';
  }

  /** The counts and the state of the whole store. */
  status(): Status {
    const waiting = this.#backlog.reduce((sum, { left }) => sum + left, 0);
    const counts = this.ledger.counts();
    const lastError = [this.#last.lastError, this.#lastError].filter((error) => error !== null).sort();
    return {
      ...this.#last,
      counts: { ...counts, received: counts.received + waiting, pending: counts.pending + waiting },
      mended: this.ledger.mended,
      restarts: this.#restarts,
      lastError: lastError.at(-1) ?? null,
    };
  }

  #answer(message: ToEngine & { kind: 'call' }): unknown {
    switch (message.call) {
      case 'write':
        return this.#write(message.with);
      case 'read':
        return this.#read(message.with);
      case 'flush':
        this.#flush();
        return undefined;
      case 'status':
        this.call(() => undefined);
        return this.status();
      case 'close':
        return this.close();
    }
  }

  #write({ lines }: Calls['write']): Receipt {
    let rest = linesOf(lines);
    const count = rest.length;
    try {
      const { value, change } = this.call((instance) => instance.writeJsonl(lines));
      this.ledger.accepted(() => rest.slice(0, change.taken));
      if (value.error) throw value.error;
      return value.answer;
    } catch (error) {
      if (error instanceof Trap) {
        rest = this.recover(error, rest);
        this.ledger.rejected(rest.length);
        const stored = `${count - rest.length} of ${count} events stored`;
        throw new AuditError('other', `the component stopped: ${error.message}; ${stored}`);
      }
      throw error;
    }
  }

  #read({ filter, page }: Calls['read']): unknown {
    try {
      return this.#started().readJsonl(filter, page);
    } catch (error) {
      if (!(error instanceof Trap)) throw error;
      this.recover(error, []);
      throw new AuditError('other', `the component stopped: ${error.message}`);
    }
  }

  #flush(): void {
    this.stalled = undefined;
    this.deliverBacklog();
    // The component's own queue may be full.
    if (this.#stalledFor('unavailable')) {
      this.#flushInstance();
      this.stalled = undefined;
      this.deliverBacklog();
    }
    if (this.stalled) throw this.stalled;
    this.#flushInstance();
  }

  #stalledFor(kind: string): boolean {
    return this.stalled?.kind === kind;
  }

  #flushInstance(): void {
    try {
      const { value } = this.call((instance) => instance.flush());
      if (value.error) throw value.error;
    } catch (error) {
      if (!(error instanceof Trap)) throw error;
      this.recover(error, []);
      throw new AuditError('other', `the component stopped: ${error.message}`);
    }
  }

  /** Hands the backlog to the component, until it is empty or the component does not take it. */
  deliverBacklog(): void {
    while (this.stalled === undefined) {
      const batch = this.#backlog[0];
      if (batch === undefined) return;
      // Not in the backlog while it is handed over, so that it is counted once.
      this.#backlog.shift();
      const { rest, why } = deliver(this, batch.lines, batch.left);
      this.stalled = why;
      if (rest.length > 0) {
        const lines = rest.map((line) => `${line}\n`).join('');
        this.#backlog.unshift({ ...batch, lines, left: rest.length });
      } else if (batch.count > 0) {
        this.#with.send({ kind: 'released', events: batch.count, chars: batch.chars });
      }
    }
  }

  /**
   * Calls the instance, and takes over its counts: what the call changed, and its answer or its error. Throws a `Trap`
   * where the instance has stopped, and what kept a new one from being started.
   */
  call<T>(call: (instance: Instance) => T): { value: Outcome<T>; change: Change } {
    const instance = this.#started();
    let value: Outcome<T>;
    try {
      value = { answer: call(instance), error: undefined };
    } catch (error) {
      if (!(error instanceof AuditError)) throw error;
      value = { answer: undefined, error };
    }
    let status: Status;
    try {
      status = instance.status();
    } catch (error) {
      throw new Trap(text(error));
    }
    const change = this.ledger.observe(status, this.hasSpool);
    if (status.backend === 'spool' && this.#last.backend !== 'spool') {
      this.#nextProbe = Date.now() + this.#with.recoveryIntervalMs;
    }
    this.#last = status;
    return { value, change };
  }

  /**
   * Replaces the instance, which has stopped. Returns those of the lines that it was writing that it had not stored; what
   * was in its memory goes back in front of the backlog.
   */
  recover(trap: Trap, busy: string[]): string[] {
    this.note(`the component stopped and is restarted: ${trap.message}`);
    const { chain } = this.#last;
    const first = this.ledger.nextSeq;
    const { unwritten, lost } = this.ledger.carryOver();
    if (lost > 0) this.note(`${lost} events that the component had in memory are lost`);
    if (this.#last.backend === 'memory' && this.#last.counts.stored > 0) {
      this.note('the events that the backend `memory` kept are lost');
    }
    this.#instance = undefined;
    const placed: Placed[] = busy.map((line, place) => ({ seq: first + place, line }));
    let left = { unwritten, placed };
    try {
      const instance = this.#started();
      const spooled = this.hasSpool ? this.#with.spooled(chain, seqs([...unwritten, ...placed])) : new Set<number>();
      const found = stillUnwritten(instance, chain, [...unwritten, ...placed], spooled);
      this.ledger.found(found.stored, spooled.size);
      const isLeft = ({ seq }: Placed) => found.left.has(seq);
      left = { unwritten: unwritten.filter(isLeft), placed: placed.filter(isLeft) };
    } catch (error) {
      if (error instanceof Trap) this.#instance = undefined;
      if (unwritten.length + busy.length > 0) this.note(`some events may be recorded twice: ${text(error)}`);
    }
    if (left.unwritten.length > 0) {
      const lines = left.unwritten.map(({ line }) => `${line}\n`).join('');
      // They were released before: their room in the queue is not theirs any more.
      this.#backlog.unshift({ lines, count: 0, left: left.unwritten.length, chars: 0 });
    }
    return left.placed.map(({ line }) => line);
  }

  /** Drains the queue, and closes the component. */
  close(): Status {
    if (this.#closed) return this.status();
    // A second round hands the events of a component that stops here to the one that replaces it.
    for (let round = 0; round < 2; round++) {
      const { backend, since } = this.#last;
      try {
        this.#flush();
      } catch {
        // What is left is counted below.
      }
      try {
        const { value } = this.call((instance) => instance.close());
        if (value.error) this.note(`the store could not be closed: ${value.error.message}`);
        this.#last = { ...this.#last, backend, since };
        break;
      } catch (error) {
        if (error instanceof Trap) this.recover(error, []);
        else this.note(`the store could not be closed: ${text(error)}`);
      }
    }
    const waiting = this.#backlog.reduce((sum, { left }) => sum + left, 0);
    const unwritten = this.#last.counts.pending > 0 ? this.ledger.carryOver().unwritten.length : 0;
    this.#backlog = [];
    if (waiting + unwritten > 0) {
      const why = this.stalled ? `: ${this.stalled.message}` : '';
      this.note(`${waiting + unwritten} events were not recorded when the store was closed${why}`);
      this.ledger.lost(waiting + unwritten);
    }
    this.#closed = true;
    return this.status();
  }

  /** Notes an error for the status, and warns. */
  note(what: string): void {
    this.#lastError = `${now()} ${what}`;
    this.#with.warn(what);
  }

  #started(): Instance {
    if (this.#instance) return this.#instance;
    try {
      const instance = this.#make();
      this.#last = instance.status();
      this.#restarts++;
      this.ledger.observe(this.#last, this.hasSpool);
      this.#instance = instance;
      return instance;
    } catch (error) {
      throw new AuditError('unavailable', `the component cannot be started: ${text(error)}`);
    }
  }

  #make(): Instance {
    const instance = this.#with.instantiate();
    instance.configure(this.#with.config);
    return instance;
  }
}

/** An answer or an error. */
export type Outcome<T> = { answer: T; error: undefined } | { answer: undefined; error: AuditError };

function seqs(placed: Placed[]): Set<number> {
  return new Set(placed.map(({ seq }) => seq));
}
