/** What is kept of a call's arguments and its answer: sizes, and a hash of the arguments' canonical form (RFC 8785). */

/** The longest JSON of arguments, in UTF-16 units, whose canonical form is hashed. Longer JSON is hashed as it is. */
const MAX_CANONICAL = 16 << 20;

const encoder = new TextEncoder();

/** The arguments of a call, as they are hashed. */
export interface Input {
  bytes: Uint8Array;
  /** They are too long for a canonical form. */
  isRaw: boolean;
}

/** The arguments. Nothing: they have no JSON text, as a cycle has none. */
export function input(value: unknown): Input | undefined {
  const json = jsonOf(value);
  if (json === undefined) return undefined;
  const isRaw = json.length > MAX_CANONICAL;
  return { bytes: encoder.encode(isRaw ? json : canonicalText(json)), isRaw };
}

/** The canonical form of JSON. Of a text that is JSON itself, as some sources give arguments, that of this JSON. */
export function canonicalText(json: string): string {
  const value: unknown = JSON.parse(json);
  if (typeof value === 'string' && /^\s*[[{]/.test(value)) {
    try {
      return canonical(JSON.parse(value));
    } catch {
      // A text like any other.
    }
  }
  return canonical(value);
}

/** Numbers and texts are written as RFC 8785 wants them by ECMAScript itself; keys are sorted by their UTF-16 units. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = value as Record<string, unknown>;
  return `{${Object.keys(members)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(members[key])}`)
    .join()}}`;
}

/** The size of an answer, in bytes: of a text or of bytes their own, of all else that of its JSON. */
export function size(value: unknown): number {
  if (typeof value === 'string') return encoder.encode(value).length;
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value.byteLength;
  const json = jsonOf(value);
  return json === undefined ? 0 : encoder.encode(json).length;
}

function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item));
  } catch {
    return undefined;
  }
}
