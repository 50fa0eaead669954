// What a user writes has to have the right types: `tsc --strict` checks this file, and nothing runs it.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { tool } from 'ai';
import {
  audited,
  AuditError,
  type AuditEvent,
  auditMcpClient,
  AuditStore,
  auditTools,
  type Entry,
  InvalidError,
  type Status,
  type Whole,
} from 'audit-store';
import { z } from 'zod';

const store: AuditStore = await AuditStore.open({ dir: 'audit', backend: 'auto', databaseUrl: 'postgres://…', batchSize: 500n });
const nothing: void = store.write({ tool: 'search', duration_ms: 45, in_size: 2n ** 60n, ts: new Date(), attributes: { model: 'x' } });
// @ts-expect-error: an unknown field
store.write({ tol: 'search' });
// @ts-expect-error: a number is no text
store.write({ tool: 5 });
// @ts-expect-error: no such backend
await AuditStore.open({ backend: 'files' });

for await (const entry of store.read({ tool: 'search', from_ts: '2026-11-23' }, { order: 'newest-first' })) {
  const one: Entry = entry;
  const duration: Whole = one.duration_ms;
  const job: string | null = one.job_id;
  // An entry is an event, too.
  const again: AuditEvent = one;
  console.log(duration, job, again);
}
// @ts-expect-error: no such field of a filter
await store.readPage({ tol: 'x' });

try {
  const { accepted, firstSeq } = await store.writeBatch([{ ts: 'soon' }]);
  console.log(accepted + firstSeq);
} catch (error) {
  if (error instanceof InvalidError) console.log(error.index + 1, error.field.length, error.reason);
  else if (error instanceof AuditError && error.kind === 'access') console.log(error.message);
}

const add = audited((a: number, b: number) => a + b, { store, tool: 'add' });
const sum: number = add(1, 2);
// @ts-expect-error: the arguments of the function
add('1', 2);
const later: Promise<string> = audited(async (text: string) => text, { store, tool: 'echo', event: () => ({ agent_id: 'a' }) })('x');

const client: Client = auditMcpClient(new Client({ name: 'demo', version: '1' }), store, { event: { agent_id: 'demo/1' } });
const tools = auditTools(
  { weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => ({ city, degrees: 21 }) }) },
  { store },
);
const degrees = await tools.weather.execute!({ city: 'Rome' }, { toolCallId: '1', messages: [] });

const status: Status = await store.close();
console.log(nothing, sum, await later, client, degrees, status.counts.dropped.queueFull, status.dir);
