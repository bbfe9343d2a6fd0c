/** Larger than a handwritten statement; the rest of a bulk INSERT repeats its first rows. */
const MAX_LENGTH = 4_000;
/** Upper bound on memory: statements with values in their text are all different. */
const MAX_CACHED = 500;

/**
 * Literals and comments in the syntax of PostgreSQL, and the tokens that contain their characters: identifiers and
 * parameters. An unterminated token extends to the end. https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 */
const TOKENS = new RegExp(
  [
    String.raw`(?<kept>"(?:[^"]|"")*(?:"|$)|\$\d+|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*(?![\w$\u0080-\uffff']))`,
    String.raw`(?<![\w$\u0080-\uffff])[eE]'(?:[^'\\]|\\.|'')*(?:'|$)`,
    String.raw`'(?:[^']|'')*(?:'|$)`,
    String.raw`\$(?<tag>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[^]*?(?:\$\k<tag>\$|$)`,
    String.raw`--[^\n]*`,
    String.raw`/\*(?:[^]*\*/|[^]*)`, // to the last end, because comments nest
    String.raw`\.?\d[\w.]*`,
  ].join('|'),
  'gs',
);

/** The first table of a statement: no argument of a function such as `extract(epoch FROM a)`, and no function. */
const TABLE = /\b(?:into|update|(?<!\(\w+ )(?:from|join)(?! "?\w+ ?\()) "?(\w{1,63})/i;

interface Description extends Record<string, string> {
  name: string;
  'db.query.text': string;
  'db.operation.name': string;
}

const cache = new Map<string, Description>();

/** Returns the name and attributes of a statement's span. Literals and comments may contain values, and become `?`. */
export function describeStatement(sql: string): Description {
  const cached = cache.get(sql);
  if (cached) return cached;
  const text = removeValues(sql);
  const operation = /^\W*([a-z]{1,20})\b/i.exec(text)?.[1]?.toUpperCase() ?? 'SQL';
  const table = TABLE.exec(text)?.[1];
  const description = {
    name: table ? `${operation} ${table}` : operation,
    'db.query.text': text,
    'db.operation.name': operation,
  };
  if (sql.length <= MAX_LENGTH && cache.size < MAX_CACHED) cache.set(sql, description);
  return description;
}

function removeValues(sql: string): string {
  const text = sql.slice(0, MAX_LENGTH).replace(TOKENS, (...args) => (args.at(-1) as { kept?: string }).kept ?? '?');
  return text.replaceAll(/\s+/g, ' ').trim();
}
