/** What the component imports from WASI: the store's folder, the clock, random numbers, stderr, and its settings. */

import { randomFillSync } from 'node:crypto';
import * as path from 'node:path';

import { nowMicros } from '../clock.js';
import type { ImportObject } from '../core/component.js';
import { Descriptor, DirectoryEntryStream, IoError, type OpenFiles, OutputStream } from './files.js';

/** The functions behind `audit:store/postgres`. */
export type Postgres = ImportObject['audit:store/postgres@0.1.0'];

/**
 * The imports. The component reaches the one folder, which it creates, and of the environment its own settings alone.
 *
 * @param dir the absolute path of the folder
 */
export function imports(dir: string, env: [string, string][], files: OpenFiles, postgres: Postgres): ImportObject {
  const above = path.dirname(dir);
  const random = new BigUint64Array(1);
  // Without versions, as the component's bindings look them up.
  const found = {
    'audit:store/postgres': postgres,
    'audit:store/types': {},
    'wasi:cli/environment': { getEnvironment: () => env },
    'wasi:cli/stderr': { getStderr: () => new OutputStream(2) },
    'wasi:clocks/wall-clock': {
      now() {
        const micros = nowMicros();
        return { seconds: micros / 1_000_000n, nanoseconds: Number(micros % 1_000_000n) * 1000 };
      },
    },
    'wasi:filesystem/preopens': {
      getDirectories: () => [[new Descriptor(files, above, undefined, path.basename(dir)), above]],
    },
    'wasi:filesystem/types': {
      Descriptor,
      DirectoryEntryStream,
      filesystemErrorCode: (error: IoError) => error.code,
    },
    'wasi:io/error': { Error: IoError },
    'wasi:io/streams': { OutputStream },
    'wasi:random/random': { getRandomU64: () => randomFillSync(random)[0]! },
  };
  return found as unknown as ImportObject;
}
