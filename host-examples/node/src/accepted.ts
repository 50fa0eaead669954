/** Settings that are checked before the component gets them: an error says what was found, and what is accepted. */

import { AuditError } from './errors.js';
import type { StoreSettings, Whole } from './types.js';

/** One of these texts. */
export function oneOf(name: string, value: string, accepted: readonly string[]): string {
  if (accepted.includes(value)) return value;
  throw new AuditError('config', `${name}: found ${JSON.stringify(value)}; accepted are ${accepted.join(', ')}`);
}

/** A whole number as the component takes it. */
export function whole(name: string, value: Whole): bigint {
  const is = typeof value === 'bigint' ? value >= 0n && value < 2n ** 64n : Number.isSafeInteger(value) && value >= 0;
  if (is) return BigInt(value);
  throw new AuditError('config', `${name}: found ${String(value)}; accepted is a whole number from 0`);
}

/** A whole number in this range. */
export function within(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new AuditError('config', `${name}: found ${String(value)}; accepted is a whole number from ${least} to ${most}`);
}

/** What `write` may leave waiting. */
export function queue({ queueEvents, queueChars }: StoreSettings): { events: number; chars: number } {
  return {
    events: within('queueEvents', queueEvents ?? 100_000, 1, Number.MAX_SAFE_INTEGER),
    chars: within('queueChars', queueChars ?? 64 << 20, 1, Number.MAX_SAFE_INTEGER),
  };
}
