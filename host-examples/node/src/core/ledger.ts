/**
 * The counts of a store over all of its instances: each event is counted once.
 *
 * An instance counts for itself, and adds every event of a call to its `received`, even where it refuses them. The engine
 * may hand the same event over more than once, because a batch was refused or an instance stopped. So the ledger
 * withdraws events that an instance has refused and that are handed over again, carries over the counts of an instance
 * that has ended, and keeps the lines that only the memory of the instance has.
 */

import type { Counts, Status } from '../types.js';

/** How a call changed the counts of the instance. */
export interface Change {
  /** How many events the component accepted. */
  taken: number;
  /** How many events the component rejected with an error. */
  rejected: number;
}

/** A line with its place in the chain of an instance, which accepted it or stopped while it wrote it. */
export interface Placed {
  seq: number;
  line: string;
}

/** Counts of nothing. */
export function none(): Counts {
  return {
    received: 0,
    stored: 0,
    spooled: 0,
    pending: 0,
    rejected: 0,
    dropped: { invalid: 0, queueFull: 0, unwritable: 0 },
  };
}

/** The counts of a store, and copies of the lines that only the memory of its instance has. */
export class Ledger {
  /** The sum over the instances that have ended. */
  #carried = none();
  #carriedMended = 0;
  /** The last known counts of the instance in use. */
  #current = none();
  #currentMended = 0;
  /** Events that the instance in use counts as rejected, and that are handed over again. */
  #withdrawn = 0;
  /** The accepted batches that the instance may still have in memory, the oldest first. */
  #unflushed: { firstSeq: number; lines: string[] }[] = [];
  #kept = 0;
  /** The `seq` that the next accepted event gets. */
  nextSeq = 0;

  /** How many of the events that were taken differ from what was sent. */
  get mended(): number {
    return this.#carriedMended + this.#currentMended;
  }

  /** Takes over the counts of the instance after a call, and returns what the call changed. */
  observe(status: Status, hasSpool: boolean): Change {
    const [now, before] = [status.counts, this.#current];
    const rejected = now.rejected - before.rejected;
    const dropped = now.dropped.invalid - before.dropped.invalid + now.dropped.queueFull - before.dropped.queueFull;
    const taken = Math.max(0, now.received - before.received - rejected - dropped);
    // Nothing of others is left in the spool: this instance has drained what its predecessors had spooled.
    if (hasSpool && status.spooledByOthers === 0) {
      this.#carried.stored += this.#carried.spooled;
      this.#carried.spooled = 0;
    }
    this.#current = now;
    this.#currentMended = status.mended;
    this.nextSeq += taken;
    for (let oldest = this.#unflushed[0]; oldest !== undefined; oldest = this.#unflushed[0]) {
      if (this.#kept - oldest.lines.length < now.pending) break;
      this.#kept -= oldest.lines.length;
      this.#unflushed.shift();
    }
    return { taken, rejected };
  }

  /** Keeps the last accepted lines for as long as only the instance's memory has them. Call it after `observe`. */
  accepted(lines: () => string[]): void {
    if (this.#current.pending === 0) return;
    const kept = lines();
    this.#kept += kept.length;
    this.#unflushed.push({ firstSeq: this.nextSeq - kept.length, lines: kept });
  }

  /** Withdraws events that the instance has counted as rejected and that are handed over again. */
  withdraw(count: number): void {
    this.#withdrawn += count;
  }

  /** Counts events as lost that no instance has counted. */
  lost(count: number): void {
    this.#carried.received += count;
    this.#carried.dropped.unwritable += count;
  }

  /** Counts events that stopped the component, and that no instance has counted. */
  invalid(count: number): void {
    this.#carried.received += count;
    this.#carried.dropped.invalid += count;
  }

  /** Counts events as rejected that no instance has counted. */
  rejected(count: number): void {
    this.#carried.received += count;
    this.#carried.rejected += count;
  }

  /** Counts events that a stopped instance turned out to have stored or spooled. */
  found(stored: number, spooled: number): void {
    this.#carried.received += stored + spooled;
    this.#carried.stored += stored;
    this.#carried.spooled += spooled;
  }

  /**
   * Carries over the counts of the instance, which has ended. Returns the lines that were in its memory and have to be
   * written again, and how many others were there, which are lost.
   */
  carryOver(): { unwritten: Placed[]; lost: number } {
    const { pending } = this.#current;
    const placed = this.#unflushed.flatMap(({ firstSeq, lines }) =>
      lines.map((line, place) => ({ seq: firstSeq + place, line })),
    );
    // The memory has the newest `pending` events. Older ones that are still kept here were flushed.
    const unwritten = pending === 0 ? [] : placed.slice(-pending);
    const lost = pending - unwritten.length;
    const [sum, gone] = [this.#carried, this.#current];
    sum.received += gone.received - this.#withdrawn - unwritten.length;
    sum.stored += gone.stored;
    sum.spooled += gone.spooled;
    sum.rejected += gone.rejected - this.#withdrawn;
    sum.dropped.invalid += gone.dropped.invalid;
    sum.dropped.queueFull += gone.dropped.queueFull;
    sum.dropped.unwritable += gone.dropped.unwritable + lost;
    this.#carriedMended += this.#currentMended;
    this.#currentMended = 0;
    this.#current = none();
    this.#withdrawn = 0;
    this.#unflushed = [];
    this.#kept = 0;
    this.nextSeq = 0;
    return { unwritten, lost };
  }

  /** The counts of the store, without the events that wait in front of the component. */
  counts(): Counts {
    const [sum, current] = [this.#carried, this.#current];
    return {
      received: sum.received + current.received - this.#withdrawn,
      stored: sum.stored + current.stored,
      spooled: sum.spooled + current.spooled,
      pending: current.pending,
      rejected: sum.rejected + current.rejected - this.#withdrawn,
      dropped: {
        invalid: sum.dropped.invalid + current.dropped.invalid,
        queueFull: sum.dropped.queueFull + current.dropped.queueFull,
        unwritable: sum.dropped.unwritable + current.dropped.unwritable,
      },
    };
  }
}
