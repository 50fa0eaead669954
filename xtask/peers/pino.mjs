// pino into a file: `pino.mjs PACKAGES FOLDER EVENTS sync|async`. Prints how many events a second are handed over and are in
// the file. An asynchronous destination collects 4096 bytes before it writes, as pino's documentation has it.

import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [packages, folder, count, kind] = process.argv.slice(2);
const pino = createRequire(join(packages, 'package.json'))('pino');
const events = Number(count);
mkdirSync(folder, { recursive: true });
const path = join(folder, 'events.jsonl');
const sync = kind === 'sync';
const destination = pino.destination({ dest: path, sync, minLength: sync ? 0 : 4096 });
const logger = pino({ base: undefined }, destination);
if (!sync) await new Promise((ready) => destination.once('ready', ready));

const began = performance.now();
for (let n = 0; n < events; n++) {
  logger.info({
    req_id: '01a21dfd-9a33-7f0e-8c57-2f2c9d1e0b44',
    workspace_id: 'workspace',
    user_id: 'user',
    agent_id: 'planner',
    tool: 'search',
    action: 'query',
    status: 'ok',
    duration_ms: n,
    in_size: 120,
    out_size: 4800,
    input_hash: '28c059fecab2486c4df7fa0ef24097d0c363d808bffc0407a8032a3e08614c3f',
  });
}
const handedOver = performance.now() - began;
const closed = new Promise((resolve) => destination.once('close', resolve));
destination.end();
await closed;
const stored = performance.now() - began;
const found = readFileSync(path, 'latin1').split('\n').length - 1;
if (found !== events) throw new Error(`${found} of ${events} events are in the file`);
const print = (figure, millis) => console.log(JSON.stringify({ figure, value: (events * 1000) / millis }));
print('write, handed over', handedOver);
print('write, stored', stored);
