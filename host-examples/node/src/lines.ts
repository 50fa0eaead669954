/** Events and entries as JSON lines, with numbers up to 2^64 - 1 that are never rounded. */

import { found, InvalidError } from './errors.js';
import type { AuditEvent, Entry, Filter } from './types.js';

/** The fields of an event, in the order of a line. */
const FIELDS = [
  'ts',
  'req_id',
  'workspace_id',
  'user_id',
  'agent_id',
  'tool',
  'action',
  'status',
  'duration_ms',
  'in_size',
  'out_size',
  'input_hash',
  'graph_run_id',
  'graph_node',
  'job_id',
] as const;

const NUMBERS: ReadonlySet<string> = new Set(['duration_ms', 'in_size', 'out_size']);

/** The fields that the store gives an entry: an entry can be written again, and gets its own. */
const OF_THE_STORE: ReadonlySet<string> = new Set(['id', 'chain', 'seq', 'hash']);

/**
 * The line of an event that is to be written whatever it is: fields that are not known are left out, and values of
 * another type become texts.
 */
export function lenientLine(event: AuditEvent, ts: string): string {
  if (isPlain(event)) {
    const json = JSON.stringify(event);
    if (event.ts !== undefined) return json;
    return json === '{}' ? `{"ts":"${ts}"}` : `{"ts":"${ts}",${json.slice(1)}`;
  }
  let line = '{"ts":';
  line += event.ts == null || event.ts === '' ? `"${ts}"` : quote(event.ts instanceof Date ? date(event.ts) : event.ts);
  for (let n = 1; n < FIELDS.length; n++) {
    const name = FIELDS[n]!;
    const value: unknown = event[name];
    if (value == null) continue;
    line += `,"${name}":${NUMBERS.has(name) ? number(value) : quote(value)}`;
  }
  const attributes = event.attributes;
  if (attributes != null && typeof attributes === 'object') {
    const pairs = Object.entries(attributes).filter(([, value]) => value != null);
    if (pairs.length > 0) line += `,"attributes":{${pairs.map(([key, value]) => `${quote(key)}:${quote(value)}`).join()}}`;
  }
  return `${line}}`;
}

/** The types of the fields of an event that is JSON as it is. */
const TYPES: Readonly<Record<string, string | undefined>> = Object.fromEntries(
  FIELDS.map((name) => [name, NUMBERS.has(name) ? 'number' : 'string']),
);

/** Whether an event is JSON as it is, which nearly all are: `JSON.stringify` alone is much faster. */
function isPlain(event: AuditEvent): boolean {
  // What has another prototype may have fields there.
  if (event === null || typeof event !== 'object' || Object.getPrototypeOf(event) !== Object.prototype) return false;
  if (event.ts === '') return false;
  for (const name in event) {
    const value: unknown = event[name as keyof AuditEvent];
    if (name === 'attributes') {
      if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return false;
      for (const key in value) if (typeof (value as Record<string, unknown>)[key] !== 'string') return false;
    } else if (typeof value !== TYPES[name] || (typeof value === 'number' && !(value >= 0 && value < 2 ** 64))) {
      return false;
    }
  }
  return !('toJSON' in event);
}

/** The line of an event of a batch, in which the store refuses what is wrong. */
export function strictLine(event: AuditEvent, index: number): string {
  if (event === null || typeof event !== 'object') {
    throw new InvalidError(index, 'json', `found ${found(event)}; accepted is an object`);
  }
  if (isPlain(event)) return JSON.stringify(event);
  const members: string[] = [];
  for (const [name, value] of Object.entries(event)) {
    if (value === undefined || OF_THE_STORE.has(name)) continue;
    members.push(`${JSON.stringify(name)}:${exact(value, index, name)}`);
  }
  return `{${members.join()}}`;
}

/** A JSON text of the value, in which a bigint is a number. */
function exact(value: unknown, index: number, field: string): string {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Date) return quote(date(value));
  try {
    const json = JSON.stringify(value);
    if (json !== undefined) return json;
  } catch {
    // Named below, as what has no JSON text is.
  }
  throw new InvalidError(index, field, `found a value without a JSON text (${typeof value})`);
}

/** A text, whatever it is. */
function quote(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(String(value));
  try {
    return JSON.stringify(JSON.stringify(value) ?? '');
  } catch {
    return '"[object]"';
  }
}

/** The whole number nearest to the value; what is none is 0. */
function number(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  const found = typeof value === 'number' ? value : Number(value);
  if (Number.isNaN(found)) return '0';
  return found === Infinity ? '1e300' : found === -Infinity ? '0' : String(found);
}

function date(value: Date): string {
  return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
}

/** The numbers of a line that a `number` may round: the names of members are the only places of a quote and a colon. */
const LONG = /"(duration_ms|in_size|out_size|seq)":(\d{16,})/g;

/** The members of a stored line, with a bigint where a number would round. */
export function parseLine(line: string): Record<string, unknown> {
  const members = JSON.parse(line) as Record<string, unknown>;
  for (const [, name, digits] of line.matchAll(LONG)) {
    const whole = BigInt(digits!);
    members[name!] = whole > BigInt(Number.MAX_SAFE_INTEGER) ? whole : Number(whole);
  }
  return members;
}

/** The entries of stored lines. */
export function entries(lines: string): Entry[] {
  const found: Entry[] = [];
  for (let start = 0; start < lines.length; ) {
    const end = lines.indexOf('\n', start);
    const line = lines.slice(start, end < 0 ? lines.length : end);
    start = end < 0 ? lines.length : end + 1;
    const entry = parseLine(line) as unknown as Entry;
    // Lines of other writers have none of these.
    entry.attributes ??= {};
    entry.id ??= '';
    entry.chain ??= '';
    entry.seq ??= 0;
    entry.hash ??= '';
    found.push(entry);
  }
  return found;
}

/** The lines of a text that are not empty. */
export function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '');
}

/** The fields that a filter may have, as they are called in the component. */
const FILTERED = {
  from_ts: 'fromTs',
  to_ts: 'toTs',
  tool: 'tool',
  agent_id: 'agentId',
  workspace_id: 'workspaceId',
  user_id: 'userId',
  action: 'action',
  status: 'status',
  req_id: 'reqId',
  graph_run_id: 'graphRunId',
  graph_node: 'graphNode',
  job_id: 'jobId',
} as const;

/** A filter as the component takes it. */
export interface ComponentFilter {
  [name: string]: unknown;
  attributes: { key: string; value: string }[];
}

/** The component's form of a filter. */
export function componentFilter(filter: Filter): ComponentFilter {
  if (filter === null || typeof filter !== 'object') {
    throw new InvalidError(0, 'json', `found ${found(filter)}; accepted is an object with the fields of a filter`);
  }
  const wanted: ComponentFilter = { attributes: [] };
  for (const [name, value] of Object.entries(filter)) {
    if (value == null) continue;
    if (name === 'attributes') {
      wanted.attributes = pairs(value, name);
    } else if (Object.hasOwn(FILTERED, name)) {
      const text = value instanceof Date ? date(value) : value;
      if (typeof text !== 'string') throw new InvalidError(0, name, `found ${found(value)}; accepted is a text`);
      wanted[FILTERED[name as keyof typeof FILTERED]] = text;
    } else {
      const known = Object.keys(FILTERED).join(', ');
      throw new InvalidError(0, name, `the filter has no such field; accepted are ${known} and attributes`);
    }
  }
  return wanted;
}

function pairs(value: unknown, field: string): { key: string; value: string }[] {
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new InvalidError(0, field, `found ${found(value)}; accepted is an object with texts`);
  }
  return Object.entries(value as Record<string, unknown>).map(([key, value]) => {
    if (typeof value !== 'string') throw new InvalidError(0, field, `found ${found(value)}; accepted are texts`);
    return { key, value };
  });
}

/** The component's record of an event in a line that was made here. */
export function record(line: string): Record<string, unknown> {
  const members = parseLine(line);
  const text = (name: string) => (typeof members[name] === 'string' ? members[name] : '');
  const option = (name: string) => (typeof members[name] === 'string' ? members[name] : undefined);
  const whole = (name: string) => toWhole(members[name]);
  return {
    ts: typeof members['ts'] === 'number' ? String(members['ts']) : text('ts'),
    reqId: text('req_id'),
    workspaceId: text('workspace_id'),
    userId: text('user_id'),
    agentId: text('agent_id'),
    tool: text('tool'),
    action: text('action'),
    status: text('status'),
    durationMs: whole('duration_ms'),
    inSize: whole('in_size'),
    outSize: whole('out_size'),
    inputHash: text('input_hash'),
    graphRunId: option('graph_run_id'),
    graphNode: option('graph_node'),
    jobId: option('job_id'),
    attributes: Object.entries((members['attributes'] as Record<string, string>) ?? {}).map(([key, value]) => ({
      key,
      value: String(value),
    })),
  };
}

const MOST = 2n ** 64n - 1n;

function toWhole(value: unknown): bigint {
  if (typeof value === 'bigint') return value > MOST ? MOST : value;
  if (typeof value !== 'number' || !(value > 0)) return 0n;
  const whole = Number.isFinite(value) ? BigInt(Math.round(value)) : MOST;
  return whole > MOST ? MOST : whole;
}
