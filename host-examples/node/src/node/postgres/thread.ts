/**
 * The thread that has the connection to the database. It serves one store after the other, answers one request after the
 * other, and never throws.
 */

import { parentPort } from 'node:worker_threads';

import { Connection } from './connection.js';
import { sinkError } from './failure.js';
import { insert } from './insert.js';
import type { Connecting, Reply, Request } from './messages.js';
import { select } from './select.js';
import { Table } from './table.js';

function serve({ port, alive, ...settings }: Connecting): void {
  const wake = () => {
    Atomics.add(alive, 0, 1);
    Atomics.notify(alive, 0);
  };
  const connection = new Connection(settings, wake);
  const table = new Table();

  async function answer(request: Request): Promise<Reply> {
    try {
      const { id } = request;
      if (request.op === 'insert') return { id, value: await insert(connection, table, request.lines) };
      return { id, value: await select(connection, request.page) };
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
  port.on('close', () => {
    connection.end();
    table.end();
  });
}

parentPort!.on('message', serve);
