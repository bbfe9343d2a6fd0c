const MAX_BYTES = 8_000;

/**
 * Shortens the values of a log line above 8 kB. Clients control parts of a line, such as paths and names of fields, and
 * errors may quote them.
 */
export function limitLine(line: string): string {
  if (fits(line)) return line;
  const fields = JSON.parse(line) as Record<string, unknown>;
  for (let length = MAX_BYTES / 4; length > 10; length /= 2) {
    const values = Object.entries(fields).map(([name, value]) => [name, shorten(value, length)]);
    const short = toLine(Object.fromEntries(values));
    if (fits(short)) return short;
  }
  const { severity, time, requestId, message } = fields;
  return toLine({ severity, time, requestId, message: shorten(message, MAX_BYTES / 8) });
}

/** A character has up to three bytes in UTF-8. */
const fits = (line: string) => line.length <= MAX_BYTES / 3 || Buffer.byteLength(line) <= MAX_BYTES;

const toLine = (fields: object) => `${JSON.stringify(fields)}\n`;

/** Keeps both ends: a message ends with the status of the request, and a stack with the callers. */
function shorten(value: unknown, length: number): unknown {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > length ? `${text.slice(0, length / 2)}…${text.slice(-length / 2)}`.toWellFormed() : value;
}
