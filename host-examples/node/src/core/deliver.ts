/**
 * How queued events get into the component: in batches, each of which it takes as a whole or not at all. A batch with a
 * wrong event is split around it. A batch that cannot be stored now waits.
 */

import { AuditError, IncompleteError, InvalidError } from '../errors.js';
import { linesOf, record } from '../lines.js';
import { Trap } from './component.js';
import type { Engine } from './engine.js';

/**
 * How many events in a row may stop the component, each by itself, until the cause is taken to be something other than
 * the events. These are dropped; the others wait.
 */
const MAX_STOPS_IN_A_ROW = 3;

/** Lines to hand over. */
type Piece = {
  lines: string[];
  /** How often the component has stopped over them. */
  stops: number;
  /** The component has refused them: they are written one by one, so that it takes each as well as it can. */
  refused: boolean;
};

/** What became of the lines: those that have to wait, and why. */
export interface Delivered {
  rest: string[];
  why: AuditError | undefined;
}

/** Hands over the lines. Events in `text` are never refused: they come from `write`. */
export function deliver(engine: Engine, text: string, count: number): Delivered {
  // Nearly always the whole text is taken as it is.
  try {
    const { value, change } = engine.call((instance) => instance.writeJsonl(text));
    if (change.taken === count) {
      engine.ledger.accepted(() => linesOf(text));
      return { rest: [], why: undefined };
    }
    return inPieces(engine, after(engine, linesOf(text), change.taken, change.rejected, value.error));
  } catch (error) {
    if (!(error instanceof Trap)) return { rest: linesOf(text), why: error as AuditError };
    const lines = engine.recover(error, linesOf(text));
    return inPieces(engine, { pieces: [{ lines, stops: 1, refused: false }] });
  }
}

/** What is still to be done. `why`: it has to wait. */
type Next = { pieces: Piece[]; why?: AuditError };

function inPieces(engine: Engine, next: Next): Delivered {
  // A stack: the next piece is the last one.
  const pieces = [...next.pieces];
  if (next.why) return { rest: remaining(pieces), why: next.why };
  let stopsInARow = 0;
  for (let piece = pieces.pop(); piece !== undefined; piece = pieces.pop()) {
    if (piece.lines.length === 0) continue;
    const { lines, stops, refused } = piece;
    try {
      if (refused) {
        writeRefused(engine, lines[0]!);
        continue;
      }
      const { value, change } = engine.call((instance) => instance.writeJsonl(`${lines.join('\n')}\n`));
      stopsInARow = 0;
      const then = after(engine, lines, change.taken, change.rejected, value.error);
      pieces.push(...then.pieces);
      if (then.why) return { rest: remaining(pieces), why: then.why };
    } catch (error) {
      if (!(error instanceof Trap)) return { rest: remaining([...pieces, piece]), why: error as AuditError };
      const left = engine.recover(error, lines);
      if (left.length === 0) continue;
      if (stops === 0 && !refused) {
        pieces.push({ lines: left, stops: 1, refused });
      } else if (left.length > 1) {
        // Tried one by one, only the event that stops the component is lost.
        pieces.push(...left.toReversed().map((line) => ({ lines: [line], stops: 2, refused })));
      } else {
        engine.note('an event was not recorded: the component stopped each time it was written');
        engine.ledger.invalid(1);
        if (++stopsInARow === MAX_STOPS_IN_A_ROW) {
          return { rest: remaining(pieces), why: new AuditError('unavailable', error.message) };
        }
      }
    }
  }
  return { rest: [], why: undefined };
}

/** What follows from the answer to a batch. */
function after(
  engine: Engine,
  lines: string[],
  taken: number,
  rejected: number,
  error: AuditError | undefined,
): Next {
  if (taken > 0) engine.ledger.accepted(() => lines.slice(0, taken));
  engine.ledger.withdraw(rejected);
  const left = lines.slice(taken);
  if (error === undefined || left.length === 0) return { pieces: [] };
  const piece = (some: string[], refused = false): Piece => ({ lines: some, stops: 0, refused });
  if (error instanceof InvalidError && error.index < left.length) {
    const { index } = error;
    return { pieces: [piece(left.slice(index + 1)), piece([left[index]!], true), piece(left.slice(0, index))] };
  }
  const waits = error instanceof IncompleteError || ['access', 'unavailable', 'unanswered'].includes(error.kind);
  if (waits) return { pieces: [piece(left)], why: error };
  // The component would refuse the same batch again.
  return { pieces: left.toReversed().map((line) => piece([line], true)) };
}

/** Writes an event that was refused in a batch: `write` mends what can be mended, and counts the others by reason. */
function writeRefused(engine: Engine, line: string): void {
  const { change } = engine.call((instance) => instance.write(record(line)));
  if (change.taken > 0) engine.ledger.accepted(() => [line]);
}

/** All lines that are left, in their order. */
function remaining(pieces: Piece[]): string[] {
  return pieces.toReversed().flatMap(({ lines }) => lines);
}
