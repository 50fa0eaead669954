/** The thread that has the connection to the database. It answers one request after the other, and never throws. */

import { workerData } from 'node:worker_threads';

import { Connection } from './connection.js';
import { sinkError } from './failure.js';
import { insert } from './insert.js';
import type { Connecting, Reply, Request } from './messages.js';
import { select } from './select.js';

const { port, alive, ...settings } = workerData as Connecting;

function wake(): void {
  Atomics.add(alive, 0, 1);
  Atomics.notify(alive, 0);
}

const connection = new Connection(settings, wake);

async function answer(request: Request): Promise<Reply> {
  try {
    const value = request.op === 'insert' ? await insert(connection, request.lines) : await select(connection, request.page);
    return { id: request.id, value };
  } catch (error) {
    return { id: request.id, error: sinkError(error, connection.names) };
  }
}

port.on('message', (request: Request) => {
  void answer(request).then((reply) => {
    port.postMessage(reply);
    wake();
  });
});
