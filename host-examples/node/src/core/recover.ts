/**
 * Which events of a stopped instance are still to be written. It may have stopped after it had stored an event and before
 * it said so: the events are looked up by their chain and `seq`, so that none is recorded twice.
 */

import { parseLine } from '../lines.js';
import type { Instance } from './component.js';
import type { Placed } from './ledger.js';

/** Entries of a page when stored events are looked up. */
const PAGE = 10_000;

/** Looks the events up. `spooled` are those that are known to be in spool files. */
export function stillUnwritten(
  instance: Instance,
  chain: string,
  placed: Placed[],
  spooled: ReadonlySet<number>,
): { left: Set<number>; stored: number } {
  const left = new Set(placed.map(({ seq }) => seq).filter((seq) => !spooled.has(seq)));
  if (left.size === 0) return { left, stored: 0 };
  const before = left.size;
  const filter = { attributes: [], ...span(placed.map(({ line }) => line)) };
  let cursor: string | null = null;
  do {
    const request = { order: 'oldest-first' as const, limit: PAGE, ...(cursor === null ? {} : { cursor }) };
    const page = instance.readJsonl(filter, request);
    for (const line of page.lines.split('\n')) {
      if (!line.includes(chain)) continue;
      const entry = parseLine(line);
      if (entry['chain'] === chain) left.delete(Number(entry['seq']));
    }
    cursor = page.next;
  } while (cursor !== null);
  return { left, stored: before - left.size };
}

/** Times of a line that are surely read as this program reads them: in UTC, as `write` makes them. */
const PLAIN_TIME = /^\{"ts":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z)"/;

/** The time span of the lines. Nothing where one of them has no plain time. */
function span(lines: string[]): { fromTs: string; toTs: string } | Record<string, never> {
  const times: string[] = [];
  for (const line of lines) {
    const time = PLAIN_TIME.exec(line)?.[1];
    if (time === undefined || Number.isNaN(Date.parse(time))) return {};
    times.push(time);
  }
  const sorted = times.sort((a, b) => Date.parse(a) - Date.parse(b));
  // To the second, as fractions of different lengths are not compared.
  return { fromTs: `${sorted[0]!.slice(0, 19)}Z`, toTs: `${sorted.at(-1)!.slice(0, 19)}.999999Z` };
}
