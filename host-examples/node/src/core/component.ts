/**
 * The component as jco made it, and calls of it. A call ends in an answer, in an error of the store, or in a trap: then
 * the instance is of no more use.
 */

import { instantiate, type ImportObject, type Root } from '../../generated/component.js';
import { AuditError, IncompleteError, InvalidError, text } from '../errors.js';
import type { ComponentFilter } from '../lines.js';
import type { ComponentConfig, ComponentPageRequest } from '../messages.js';
import type { JsonlPage, Receipt, Status } from '../types.js';

export type { ImportObject };

/** The compiled parts of the component, by their file names. */
export type Modules = (name: string) => WebAssembly.Module;

/** The instance has stopped in the middle of a call. */
export class Trap extends Error {}

/** One instance of the component, which is one store. */
export class Instance {
  readonly #root: Root;

  constructor(modules: Modules, imports: ImportObject) {
    this.#root = calling(() => instantiate(modules, imports));
  }

  configure(config: ComponentConfig): void {
    calling(() => this.#root.control.configure(config as Parameters<Root['control']['configure']>[0]));
  }

  writeJsonl(lines: string): Receipt {
    const { accepted, chain, firstSeq } = calling(() => this.#root.writer.writeJsonl(lines));
    return { accepted: Number(accepted), chain, firstSeq: Number(firstSeq) };
  }

  /** Writes one event, which is never refused. */
  write(event: Record<string, unknown>): void {
    calling(() => this.#root.writer.write(event as unknown as Parameters<Root['writer']['write']>[0]));
  }

  flush(): void {
    calling(() => this.#root.writer.flush());
  }

  readJsonl(filter: ComponentFilter, page: ComponentPageRequest): JsonlPage {
    const { lines, count, next, skipped } = calling(() => this.#root.reader.readJsonl(filter, page));
    return { lines, count, next: next ?? null, skipped: Number(skipped) };
  }

  close(): void {
    calling(() => this.#root.control.close());
  }

  status(): Status {
    const found = calling(() => this.#root.control.status());
    const { counts } = found;
    return {
      backend: found.backend,
      since: found.since,
      requested: found.requested,
      dir: found.jsonlDir,
      durability: found.durability,
      chain: found.chain,
      counts: {
        received: Number(counts.received),
        stored: Number(counts.stored),
        spooled: Number(counts.spooled),
        pending: Number(counts.pending),
        rejected: Number(counts.rejected),
        dropped: {
          invalid: Number(counts.dropped.invalid),
          queueFull: Number(counts.dropped.queueFull),
          unwritable: Number(counts.dropped.unwritable),
        },
      },
      mended: Number(found.mended),
      spooledByOthers: Number(found.spooledByOthers),
      lastError: found.lastError ?? null,
      warnings: found.warnings,
      restarts: 0,
    };
  }
}

/** An error as the component gives it. */
type Payload = { tag: string; val: unknown };

/** Runs a call, and tells errors of the store from traps. */
function calling<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const payload = error instanceof Error ? (error as Error & { payload?: Payload }).payload : undefined;
    throw payload === undefined ? new Trap(text(error)) : ofPayload(payload);
  }
}

function ofPayload({ tag, val }: Payload): AuditError {
  if (tag === 'invalid') {
    const { index, field, reason } = val as { index: bigint; field: string; reason: string };
    return new InvalidError(Number(index), field, reason);
  }
  if (tag === 'incomplete') {
    const { stored, reason } = val as { stored: bigint; reason: string };
    return new IncompleteError(Number(stored), reason);
  }
  return new AuditError(tag as 'other', String(val));
}
