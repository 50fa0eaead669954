/** The wall clock in microseconds, as texts of a fixed width. */

let anchor = performance.timeOrigin;

/**
 * Microseconds since 1970. `Date` has milliseconds alone: the digits below come from the monotonic clock, which is set
 * anew wherever the two differ, as after the system's clock was set.
 */
export function nowMicros(): bigint {
  const millis = Date.now();
  let fine = anchor + performance.now();
  if (fine < millis || fine >= millis + 1) {
    anchor += (fine < millis ? millis : millis + 0.999) - fine;
    fine = fine < millis ? millis : millis + 0.999;
  }
  return BigInt(millis) * 1000n + BigInt(Math.min(999, Math.floor((fine - millis) * 1000)));
}

/** The time now, RFC 3339 in UTC with microseconds. */
export function now(): string {
  const micros = nowMicros();
  const millis = Number(micros / 1000n);
  const rest = String(micros % 1000n).padStart(3, '0');
  return `${new Date(millis).toISOString().slice(0, -1)}${rest}Z`;
}
