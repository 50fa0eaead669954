/** The thread of a store's engine. It serves one store after the other. */

import * as fs from 'node:fs';
import * as path from 'node:path';
import { type MessagePort, parentPort } from 'node:worker_threads';

import { Instance, type Modules } from '../core/component.js';
import { Engine } from '../core/engine.js';
import { plain } from '../errors.js';
import { parseLine } from '../lines.js';
import type { FromEngine, ToEngine } from '../messages.js';
import { OpenFiles } from './files.js';
import { Database } from './postgres/database.js';
import type { Resolved } from './settings.js';
import { imports } from './wasi.js';

/** What the thread is given for a store. */
export interface Given {
  settings: Resolved;
  /** The component's parts, by their names. */
  compiled: Readonly<Record<string, WebAssembly.Module>>;
  port: MessagePort;
  /** Set to 1 once the store is closed, for a thread that waits without an event loop. */
  closed: Int32Array;
}

/** How often the engine looks whether it has something to do, in milliseconds. */
const TICK = 100;

function warn(text: string): void {
  try {
    fs.writeSync(2, `audit-store: ${text}\n`);
  } catch {
    // There is nowhere else to report it.
  }
}

/** Looks for the `seq`s in the chain's spool files. What cannot be read is skipped. */
function spooled(dir: string, chain: string, sought: ReadonlySet<number>): Set<number> {
  const found = new Set<number>();
  for (const name of fs.existsSync(dir) ? fs.readdirSync(dir) : []) {
    if (!name.startsWith(`spool_${chain}_`)) continue;
    for (const line of fs.readFileSync(path.join(dir, name), 'utf8').split('\n')) {
      try {
        const seq = Number(parseLine(line)['seq']);
        if (sought.has(seq)) found.add(seq);
      } catch {
        // A torn line.
      }
    }
  }
  return found;
}

function serve({ settings, port, closed, compiled }: Given): void {
  const database = new Database(settings);
  const files = new OpenFiles();
  const modules: Modules = (name) => compiled[name]!;
  const send = (message: FromEngine) => port.postMessage(message);
  try {
    const engine = new Engine({
      instantiate() {
        files.closeAll();
        return new Instance(modules, imports(settings.dir, settings.env, files, database));
      },
      config: settings.config,
      flushIntervalMs: settings.flushIntervalMs,
      recoveryIntervalMs: settings.recoveryIntervalMs,
      spooled: (chain, sought) => spooled(settings.dir, chain, sought),
      warn,
      send,
    });
    const timer = setInterval(() => engine.tick(), Math.max(1, Math.min(TICK, settings.flushIntervalMs)));
    port.on('message', (message: ToEngine) => {
      engine.receive(message);
      if (message.kind === 'call' && message.call === 'close') {
        clearInterval(timer);
        database.end();
        files.closeAll();
        Atomics.store(closed, 0, 1);
        Atomics.notify(closed, 0);
        // The port stays until the other side closes it: its end could overtake the answer.
      }
    });
    send({ kind: 'answer', id: 0, value: undefined });
  } catch (error) {
    send({ kind: 'failure', id: 0, error: plain(error) });
    database.end();
    files.closeAll();
  }
}

parentPort!.on('message', serve);
