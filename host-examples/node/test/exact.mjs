// JSON with whole numbers that `JSON` alone would round: as bigint where a number rounds, and back.

const LONG = /([:[,]\s*)(\d{16,})(?=\s*[,}\]])/g;

/** The value of a JSON text. A number inside a text is left alone: what is before it there is no unescaped quote's end. */
export function parse(text) {
  // Texts are taken out first, so that digits in them stay as they are.
  const texts = [];
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/g, (found) => `"${texts.push(found) - 1}"`);
  const marked = bare.replace(LONG, (whole, before, digits) => {
    const exact = BigInt(digits);
    return exact > BigInt(Number.MAX_SAFE_INTEGER) ? `${before}{"bigint":"n${digits}"}` : whole;
  });
  const revive = (name, value) => {
    if (typeof value === 'string' && value.startsWith('n')) return BigInt(value.slice(1));
    if (typeof value === 'string') return JSON.parse(texts[Number(value)]);
    return value;
  };
  return restore(JSON.parse(marked.replace(/\{"bigint":/g, '{"@":'), revive), texts);
}

/** Names of members are texts too. */
function restore(value, texts) {
  if (Array.isArray(value)) return value.map((item) => restore(item, texts));
  if (value === null || typeof value !== 'object') return value;
  if ('@' in value) return value['@'];
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [JSON.parse(texts[Number(name)]), restore(item, texts)]),
  );
}

/** The JSON text of a value, with bigints as numbers. */
export function stringify(value) {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => stringify(item ?? null)).join()}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value ?? null);
  const members = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${members.map(([name, item]) => `${JSON.stringify(name)}:${stringify(item)}`).join()}}`;
}
