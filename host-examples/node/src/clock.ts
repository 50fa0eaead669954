/** The wall clock in microseconds, as texts of a fixed width. */

let anchor = performance.timeOrigin;

/**
 * The time now: milliseconds since 1970, and microseconds beyond them. `Date` has milliseconds alone: the digits below come
 * from the monotonic clock, which is set anew wherever the two differ, as after the system's clock was set.
 */
function read(): [millis: number, micros: number] {
  const millis = Date.now();
  let beyond = anchor + performance.now() - millis;
  if (beyond < 0 || beyond >= 1) {
    const nearest = beyond < 0 ? 0 : 0.999;
    anchor += nearest - beyond;
    beyond = nearest;
  }
  return [millis, Math.min(999, Math.floor(beyond * 1000))];
}

/** Microseconds since 1970. */
export function nowMicros(): bigint {
  const [millis, micros] = read();
  return BigInt(millis) * 1000n + BigInt(micros);
}

/** The text of the last millisecond that was asked for. */
let known = { millis: -1, text: '' };

/** The time now, RFC 3339 in UTC with microseconds. */
export function now(): string {
  const [millis, micros] = read();
  if (known.millis !== millis) known = { millis, text: new Date(millis).toISOString().slice(0, -1) };
  return `${known.text}${String(micros).padStart(3, '0')}Z`;
}
