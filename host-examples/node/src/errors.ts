/** Why a call failed: plain errors, which say their kind. */

/** The kinds of errors. */
export type ErrorKind = 'invalid' | 'incomplete' | 'config' | 'access' | 'unavailable' | 'unanswered' | 'other';

/** An error of the store. */
export class AuditError extends Error {
  override readonly name: string = 'AuditError';

  /**
   * @param kind what went wrong: `config` (a setting), `access` (a file or folder), `unavailable` (the store or its database
   * takes or gives nothing now), `unanswered` (the database may have stored the events or not; the store sends them again),
   * `other`
   * @param message what was found, and what is accepted
   */
  constructor(
    readonly kind: ErrorKind,
    message: string,
  ) {
    super(message);
  }
}

/** An event, a filter or a page request is invalid. Nothing of the batch was taken. */
export class InvalidError extends AuditError {
  override readonly name = 'InvalidError';

  /**
   * @param index the position in the batch, from 0: of the event, or of the line; 0 where there is no batch
   * @param field the field, in the spelling of the JSON lines; `json` where a line is no JSON object
   * @param reason what is wrong, and what is accepted
   */
  constructor(
    readonly index: number,
    readonly field: string,
    readonly reason: string,
  ) {
    super('invalid', `event ${index}: ${field}: ${reason}`);
  }
}

/** A file took the first events of a batch and no more, such as where the disk is full. */
export class IncompleteError extends AuditError {
  override readonly name = 'IncompleteError';

  /**
   * @param stored how many events are stored: the first ones of the batch; the caller goes on behind them
   * @param reason why the others are not
   */
  constructor(
    readonly stored: number,
    readonly reason: string,
  ) {
    super('incomplete', `only the first ${stored} events are stored: ${reason}`);
  }
}

/** An error as it crosses from one thread to another, where classes are lost. */
export type PlainError =
  | { kind: 'invalid'; index: number; field: string; reason: string }
  | { kind: 'incomplete'; stored: number; reason: string }
  | { kind: Exclude<ErrorKind, 'invalid' | 'incomplete'>; message: string };

/** The error of this plain form. */
export function revive(plain: PlainError): AuditError {
  switch (plain.kind) {
    case 'invalid':
      return new InvalidError(plain.index, plain.field, plain.reason);
    case 'incomplete':
      return new IncompleteError(plain.stored, plain.reason);
    default:
      return new AuditError(plain.kind, plain.message);
  }
}

/** The plain form of whatever was thrown. */
export function plain(error: unknown): PlainError {
  if (error instanceof InvalidError) {
    const { index, field, reason } = error;
    return { kind: 'invalid', index, field, reason };
  }
  if (error instanceof IncompleteError) return { kind: 'incomplete', stored: error.stored, reason: error.reason };
  const kind = error instanceof AuditError ? (error.kind as Exclude<ErrorKind, 'invalid' | 'incomplete'>) : 'other';
  return { kind, message: text(error) };
}

/** How a message names a value by its type. */
export function found(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** The message of whatever was thrown. */
export function text(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'a value without a text was thrown';
  }
}
