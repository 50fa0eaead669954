/** What the component imports from WASI in a browser: a clock, random numbers, and the console. There are no files. */

import { nowMicros } from '../clock.js';
import type { ImportObject } from '../core/component.js';

/** Nothing opens files: the component looks for a folder, and finds none. */
class Absent {}

/** Warnings, a line at a time. */
class Console {
  readonly #warn: (text: string) => void;
  readonly #decoder = new TextDecoder();

  constructor(warn: (text: string) => void) {
    this.#warn = warn;
  }

  blockingWriteAndFlush(contents: Uint8Array): void {
    this.#warn(this.#decoder.decode(contents).trimEnd());
  }
}

/** The imports. */
export function imports(warn: (text: string) => void): ImportObject {
  const console = new Console(warn);
  const none = () => {
    throw { payload: { tag: 'not-configured' } };
  };
  const found = {
    'audit:store/postgres': { isConfigured: () => false, insertBatch: none, select: none },
    'audit:store/types': {},
    'wasi:cli/environment': { getEnvironment: () => [] },
    'wasi:cli/stderr': { getStderr: () => console },
    'wasi:clocks/wall-clock': {
      now() {
        const micros = nowMicros();
        return { seconds: micros / 1_000_000n, nanoseconds: Number(micros % 1_000_000n) * 1000 };
      },
    },
    'wasi:filesystem/preopens': { getDirectories: () => [] },
    'wasi:filesystem/types': {
      Descriptor: Absent,
      DirectoryEntryStream: class extends Absent {},
      filesystemErrorCode: () => undefined,
    },
    'wasi:io/error': { Error: class extends Absent {} },
    'wasi:io/streams': { OutputStream: Console },
    'wasi:random/random': { getRandomU64: () => crypto.getRandomValues(new BigUint64Array(1))[0]! },
  };
  return found as unknown as ImportObject;
}
