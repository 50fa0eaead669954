// The requests of the contract run, answered by a store: one JSON text in, one out.

import { AuditError } from '../dist/errors.js';
import { parse, stringify } from './exact.mjs';

/** Answers requests with stores that `open` opens. */
export class Requests {
  #open;
  #store;

  constructor(open) {
    this.#open = open;
  }

  async answer(text) {
    try {
      const [name, value] = Object.entries(parse(text))[0];
      return stringify({ ok: (await this.#one(name, value)) ?? null });
    } catch (error) {
      if (!(error instanceof AuditError)) return stringify({ error: { kind: 'other', message: String(error?.stack ?? error) } });
      const { kind, message, index, field, reason } = error;
      return stringify({ error: kind === 'invalid' ? { kind, index, field, reason } : { kind, message } });
    }
  }

  async #one(name, value) {
    const store = this.#store;
    switch (name) {
      case 'open':
        await store?.close();
        this.#store = await this.#open(value);
        return null;
      case 'write':
        return store.write(value);
      case 'write_batch':
        await store.writeBatch(value);
        return null;
      case 'write_jsonl':
        await store.writeJsonl(value);
        return null;
      case 'flush':
        return store.flush();
      case 'read':
        return store.readPage(value.filter ?? {}, value);
      case 'read_jsonl':
        return store.readJsonl(value.filter ?? {}, value);
      case 'status': {
        const { backend, mended, counts } = await store.status();
        const { invalid, queueFull, unwritable } = counts.dropped;
        return { backend, mended, counts: { ...counts, dropped: invalid + queueFull + unwritable } };
      }
      case 'close':
        await store?.close();
        this.#store = undefined;
        return null;
      default:
        throw new AuditError('other', `there is no request ${name}`);
    }
  }
}
