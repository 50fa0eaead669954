// The driver of the contract run: answers each JSON line of stdin with one on stdout, with the package's surface alone.

import { createInterface } from 'node:readline';

import { AuditStore } from '../dist/index.js';
import { Requests } from './requests.mjs';

const requests = new Requests(({ backend, dir, database_url: databaseUrl }) =>
  AuditStore.open({ backend, dir, env: {}, warnings: () => {}, ...(databaseUrl ? { databaseUrl, databaseTimeoutMs: 60_000 } : {}) }),
);

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() !== '') process.stdout.write(`${await requests.answer(line)}\n`);
}
