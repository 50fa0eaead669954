/**
 * What crosses the package's surface: events, entries, filters, settings and counts. Events, entries and filters have the
 * field names of the JSON lines, so that they can be passed on as they are.
 */

/** A whole number from 0 to 2^64 - 1: a `bigint` only where a `number` would round. Both are accepted. */
export type Whole = number | bigint;

/**
 * One tool call of an agent, as its caller describes it. It has no field for the payload. What is absent, `null` or
 * `undefined` is empty. No event is refused for its content: what is too long is cut, and the record says so.
 */
export interface AuditEvent {
  /** When the call happened: RFC 3339, a `Date`, or seconds or milliseconds since 1970. Absent: the time of the call. */
  ts?: string | number | Date | null;
  /** The request that the call belongs to. */
  req_id?: string | null;
  /** The workspace or tenant. */
  workspace_id?: string | null;
  /** The person on whose behalf the agent works. */
  user_id?: string | null;
  /** The agent that called. */
  agent_id?: string | null;
  /** The tool that was called. */
  tool?: string | null;
  /** What the tool was asked to do, such as `query` or `exec`. */
  action?: string | null;
  /** The outcome: free text, such as `ok`, `error`, `denied`, `cancelled`, `timeout`, or an exit status. */
  status?: string | null;
  /** How long the call took, in milliseconds. */
  duration_ms?: Whole | null;
  /** The size of the input, in bytes. */
  in_size?: Whole | null;
  /** The size of the output, in bytes. */
  out_size?: Whole | null;
  /** A hash of the input, such as SHA-256 in hexadecimal. */
  input_hash?: string | null;
  /** The run of an agent graph or workflow. */
  graph_run_id?: string | null;
  /** The node of that graph. */
  graph_node?: string | null;
  /** The background job. */
  job_id?: string | null;
  /** What the fields have no place for: at most 16 texts. */
  attributes?: Readonly<Record<string, string>> | null;
}

/** An event as it is stored. Lines that another writer left have no `id`, `chain` and `hash`, and the `seq` 0. */
export interface Entry {
  /** In UTC with microseconds. */
  ts: string;
  req_id: string;
  workspace_id: string;
  user_id: string;
  agent_id: string;
  tool: string;
  action: string;
  status: string;
  /** In milliseconds. */
  duration_ms: Whole;
  /** In bytes. */
  in_size: Whole;
  /** In bytes. */
  out_size: Whole;
  input_hash: string;
  graph_run_id: string | null;
  graph_node: string | null;
  job_id: string | null;
  attributes: Record<string, string>;
  /** A UUIDv7, strictly increasing within one store. */
  id: string;
  /** The instance that wrote it, a UUIDv7. */
  chain: string;
  /** The position in its chain, from 0. */
  seq: Whole;
  /** The RFC 6962 leaf hash, in hexadecimal. */
  hash: string;
}

/** What a read selects: every field that is given must match, whole and exactly. */
export interface Filter {
  /** The earliest instant, inclusive: RFC 3339, or a date, which means its first instant in UTC. */
  from_ts?: string | Date | null;
  /** The latest instant, inclusive: RFC 3339, or a date, which means its last instant in UTC. */
  to_ts?: string | Date | null;
  tool?: string | null;
  agent_id?: string | null;
  workspace_id?: string | null;
  user_id?: string | null;
  action?: string | null;
  status?: string | null;
  req_id?: string | null;
  graph_run_id?: string | null;
  graph_node?: string | null;
  job_id?: string | null;
  /** Attributes that must be among those of the event. */
  attributes?: Readonly<Record<string, string>> | null;
}

/** The order of a read: by `ts`, ties by `id`. */
export type Order = 'oldest-first' | 'newest-first';

/** Which part of the matching entries a page has. */
export interface PageRequest {
  /** Default: `oldest-first`. */
  order?: Order;
  /** The most entries; 0 means 50 000. A page may end earlier: what says that there is more is `next`. */
  limit?: number;
  /** Where to go on: the `next` of the page before. */
  cursor?: string | null;
}

/** Some of the matching entries. */
export interface Page {
  /** The entries, in the order that was asked for. */
  entries: Entry[];
  /** The cursor of the next page. Null: this is the last. */
  next: string | null;
  /** How many lines were passed over because they are not events. */
  skipped: number;
}

/** A page as JSON lines. */
export interface JsonlPage {
  /** The entries, each as its stored line with a newline. */
  lines: string;
  /** How many lines there are. */
  count: number;
  /** The cursor of the next page. Null: this is the last. */
  next: string | null;
  /** How many lines were passed over because they are not events. */
  skipped: number;
}

/** What an accepted batch got. */
export interface Receipt {
  /** How many events were accepted: all of the batch. */
  accepted: number;
  /** The instance that accepted them. */
  chain: string;
  /** The `seq` of the first; the others follow without a gap. */
  firstSeq: number;
}

/** Where events are kept. */
export type Backend = 'memory' | 'jsonl' | 'postgres' | 'auto' | 'null';

/** When an event counts as stored in a file. */
export type Durability = 'buffered' | 'written' | 'synced';

/** Events that did not get into the record, by reason. */
export interface Dropped {
  /** Events that stopped the component each time. */
  invalid: number;
  /** The queue was full. */
  queueFull: number;
  /** They could not be written, came after the store was closed, or were refused by the database. */
  unwritable: number;
}

/** What became of the events. At every moment `received` is the sum of all others. */
export interface Counts {
  /** Events that were handed to the store. */
  received: number;
  /** Events that the backend took for good. */
  stored: number;
  /** Events that wait on disk for the database. */
  spooled: number;
  /** Events that wait in memory. */
  pending: number;
  /** Events that were refused to the caller with an error. */
  rejected: number;
  dropped: Dropped;
}

/** The state of a store. */
export interface Status {
  /** What takes the events now. */
  backend: 'memory' | 'jsonl' | 'postgres' | 'spool' | 'null';
  /** Since when it is in use: RFC 3339 in UTC. */
  since: string;
  /** The name of the backend that was asked for. */
  requested: string;
  /** The folder of the daily files, or of the spool; empty where the backend has none. */
  dir: string;
  durability: Durability;
  /** The chain of the instance in use, a UUIDv7. */
  chain: string;
  counts: Counts;
  /** How many of the events that were taken differ from what was sent. */
  mended: number;
  /** Under `auto`: how many bytes of other instances wait in spool files. */
  spooledByOthers: number;
  /** The last thing that went wrong, with its time. */
  lastError: string | null;
  /** What is wrong with the configuration, and what is done instead. */
  warnings: string[];
  /** How often the component has stopped and was replaced. */
  restarts: number;
}

/** The settings of the store itself. Each that is absent comes from its environment variable, else its default. */
export interface StoreSettings {
  /** `AUDIT_BACKEND`, default `jsonl`. */
  backend?: Backend;
  /** `AUDIT_DURABILITY`, default `written`. */
  durability?: Durability;
  /** How many events `memory` keeps. `AUDIT_MEMORY_LIMIT`, default 100 000. */
  memoryLimit?: Whole;
  /** How many events wait for the database until they are sent. `AUDIT_BATCH_SIZE`, default 50. */
  batchSize?: Whole;
  /** How long an event may wait in the component's memory, in milliseconds. `AUDIT_FLUSH_INTERVAL_MS`, default 2000. */
  flushIntervalMs?: Whole;
  /** How many events may wait there. `AUDIT_QUEUE_LIMIT`, default 10 000. */
  queueLimit?: Whole;
  /** How long until a database that failed is tried again, in seconds. `AUDIT_RECOVERY_INTERVAL_S`, default 300. */
  recoveryIntervalS?: Whole;
  /** How many events `write` may leave waiting. Default: 100 000. */
  queueEvents?: number;
  /** How many characters of JSON lines `write` may leave waiting. Default: 64 Mi. */
  queueChars?: number;
}
