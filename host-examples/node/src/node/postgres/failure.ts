/** Why a statement failed, and what that means: whether the same statement may succeed later, and whether it has stored. */

import { text } from '../../errors.js';
import type { SinkError } from './messages.js';

/** An error as the server sent it. */
export interface ServerError extends Error {
  /** The SQLSTATE. */
  code: string;
  severity: string;
  detail?: string;
  where?: string;
  column?: string;
  constraint?: string;
  routine?: string;
}

/** How messages name the server, the user and the database. */
export interface Names {
  server: string;
  user: string;
  database: string;
}

/** A statement failed, or there was no connection for it. */
export class Failure extends Error {
  constructor(
    /** `connecting`: the statement was not sent. `sent`: it may have been executed. */
    readonly when: 'connecting' | 'sent' | 'timed-out',
    override readonly cause: unknown,
  ) {
    super(text(cause));
  }

  /** The error of the server. */
  get server(): ServerError | undefined {
    const error = this.cause as ServerError | undefined;
    const is = error instanceof Error && typeof error.severity === 'string' && /^[0-9A-Z]{5}$/.test(error.code ?? '');
    return is ? error : undefined;
  }

  /** Whether the connection cannot be used any more. */
  get endsConnection(): boolean {
    const { server } = this;
    return server === undefined || endsSession(server) || server.code === '25006';
  }
}

/** What is known to be wrong: the same call would fail again. */
export class Known extends Error {}

/** What fails now, and may succeed later. */
export class Later extends Error {}

/** The batch was sent in part, and there is no answer to the rest. */
export class Unanswered extends Error {}

function endsSession(error: ServerError): boolean {
  return error.severity === 'FATAL' || error.severity === 'PANIC' || error.code.startsWith('57P');
}

/** Whether a session that ends, or a connection that breaks, leaves open what became of a statement that writes. */
export function isOpen(failure: Failure): boolean {
  if (failure.when === 'connecting') return false;
  return failure.server === undefined || endsSession(failure.server);
}

/** Why the database refuses a row, without the row's values. Nothing: the error is about something else. */
export function refusal(error: ServerError): string | undefined {
  return meaning(error) === 'refused' ? reason(error) : undefined;
}

/** Whether the table is missing, or lacks something that the statement needs. */
export function lacksTable(error: ServerError): boolean {
  return ['42P01', '42703', '42P10'].includes(error.code);
}

/** Whether the statement was ended because it took too long. */
export function isCancelled(error: ServerError): boolean {
  return error.code === '57014';
}

function meaning(error: ServerError): 'refused' | 'unavailable' | 'other' {
  const { code } = error;
  // A row-level security policy that refuses a row has the SQLSTATE of a missing privilege.
  if (code === '42501' && error.routine === 'ExecWithCheckOptions') return 'refused';
  if (code === '2200H' || code === '57P04') return 'other';
  if (code === '23502' && error.where === undefined && error.column && !WRITTEN.has(error.column)) return 'other';
  if (['22', '23', '44', '54', 'P0'].includes(code.slice(0, 2))) return 'refused';
  const later = ['08', '40', '53', '57', '58', 'XX'].includes(code.slice(0, 2)) || ['25006', '55P03'].includes(code);
  return later ? 'unavailable' : 'other';
}

/** The columns that an insert writes: of another one that may not be NULL, no row has a value. */
const WRITTEN = new Set(
  (
    'ts req_id workspace_id user_id agent_id tool action status duration_ms in_size out_size input_hash ' +
    'graph_run_id graph_node job_id attributes event_id chain seq hash'
  ).split(' '),
);

/** The server's message without the values of the row: its detail may have them, and so may what it quotes. */
function reason(error: ServerError): string {
  let found = oneLine(error.message);
  if (['22021', '22P05'].includes(error.code)) found = found.replaceAll(/0x[0-9a-f]+( 0x[0-9a-f]+)*/g, '…');
  else if (error.code.startsWith('22')) found = found.replace(/["«»„“”].*["«»„“”]/, '…');
  for (const [kind, name] of [
    ['constraint', error.constraint],
    ['column', error.column],
  ]) {
    if (name && !found.includes(name)) found += ` (${kind} ${name})`;
  }
  return found;
}

/** The text on one line. */
export function oneLine(found: string): string {
  return found.split(/[\r\n]+/).map((line) => line.trim()).filter((line) => line !== '').join(' ');
}

/** The error that the component gets. */
export function sinkError(error: unknown, names: Names): SinkError {
  if (error instanceof Known) return { tag: 'other', val: error.message };
  if (error instanceof Later) return { tag: 'unavailable', val: error.message };
  if (error instanceof Unanswered) return { tag: 'unanswered', val: error.message };
  if (!(error instanceof Failure)) return { tag: 'other', val: oneLine(text(error)) };
  const { server } = error;
  const message = oneLine(error.message);
  if (server === undefined || meaning(server) === 'unavailable') {
    return { tag: 'unavailable', val: `the database is not available (${names.server}): ${message}` };
  }
  return { tag: 'other', val: explain(server, message, names) };
}

function explain({ code, column }: ServerError, message: string, { server, user, database }: Names): string {
  if (code === '28P01') {
    return `the database refuses ${user}: password authentication failed; check user and password in the database URL`;
  }
  if (code.startsWith('28')) return `the database refuses ${user}: ${message}; check the database URL, and pg_hba.conf`;
  if (code === '3D000' || code === '57P04') {
    return `there is no ${database} (${server}); create it, or name another in the database URL`;
  }
  if (code === '42501') {
    return (
      `${user} lacks a privilege: ${message}; grant the user SELECT and INSERT on tool_audit_events, and USAGE on the ` +
      'sequence of its column id'
    );
  }
  if (code === '23502') {
    return (
      `the column ${column} of the table tool_audit_events may not be NULL and has no default, and no event has a value ` +
      'for it; give it a default, or let it be NULL'
    );
  }
  return `the database cannot run the statement (${server}): ${message} (SQLSTATE ${code})`;
}
