// Evaluates gcloud's --filter and --format, Cloud Logging filters, and IAM conditions (CEL). Supports the syntax that the
// pipeline uses and fails for the rest.
import { runInNewContext } from 'node:vm';
import { Refusal } from './refusal.mjs';

/** Returns the value at a path such as status.traffic[0].url or metadata.annotations["run.googleapis.com/ingress"]. */
function at(value, path) {
  const keys = path.match(/"[^"]*"|[^.[\]"]+/g) ?? [];
  return keys.reduce((here, key) => here?.[key.replaceAll('"', '')], value);
}

// ── --format ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Formats a resource or a list like gcloud. https://cloud.google.com/sdk/gcloud/reference/topic/formats */
export function print(format, result) {
  if (format === 'json') return `${JSON.stringify(result, null, 2)}\n`;
  if (format === 'none') return '';
  const [, separator = '\t', keys] = /^value(?:\[separator="?([^\]"]*)"?\])?\((.+)\)$/.exec(format ?? '') ?? [];
  if (!keys) throw new Refusal(`The stand-in does not support --format=${format}.`);
  const rows = Array.isArray(result) ? result : [result];
  const line = (row) =>
    split(keys)
      .map((key) => text(column(row, key)))
      .join(separator);
  return rows.map((row) => `${line(row)}\n`).join('');
}

/** Splits at commas outside brackets. */
function split(keys) {
  return keys.match(/(?:\[[^\]]*\]|\([^)]*\)|[^,[(])+/g).map((key) => key.trim());
}

function column(row, key) {
  const [, path, transform] = /^(.+?)(?:\.(\w+)\(\))?$/.exec(key);
  const value = at(row, path);
  if (!transform && !path.includes('(')) return value;
  if (transform === 'basename') return value?.split('/').at(-1);
  throw new Refusal(`The stand-in does not support the transform of ${key} in --format.`);
}

/** Formats a value like Python. */
function text(value) {
  if (value === undefined || value === null) return '';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return value.map(text).join(';');
  if (typeof value === 'object')
    return JSON.stringify(value)
      .replaceAll('"', "'")
      .replaceAll(/([:,])/g, '$1 ');
  return String(value);
}

// ── Filters ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const TOKEN =
  /\s*(\(|\)|AND\b|OR\b|NOT\b|log_id\("[^"]+"\)|((?:[\w.\-[\]]+|"[^"]*")+?)\s*(>=|<=|!=|=~|!~|=|:|>|<)\s*("(?:\\.|[^"\\])*"|[^\s()]+))/y;

/** Returns whether a value matches the filter. https://docs.cloud.google.com/logging/docs/view/logging-query-language */
export function matches(filter, value) {
  const tokens = [];
  let position = 0;
  while (filter.slice(position).trim()) {
    TOKEN.lastIndex = position;
    const token = TOKEN.exec(filter);
    if (!token) throw new Refusal(`The stand-in cannot read the filter at: ${filter.slice(position)}`);
    tokens.push(token);
    position = TOKEN.lastIndex;
  }
  const isNext = (word) => tokens[0]?.[1] === word;
  const either = () => {
    let result = all();
    while (isNext('OR')) {
      tokens.shift();
      const right = all();
      result ||= right;
    }
    return result;
  };
  const all = () => {
    let result = one();
    while (tokens.length > 0 && !isNext('OR') && !isNext(')')) {
      if (isNext('AND')) tokens.shift();
      const right = one();
      result &&= right;
    }
    return result;
  };
  const one = () => {
    const [, word, path, operator, operand] = tokens.shift();
    if (word === 'NOT') return !one();
    if (word.startsWith('log_id')) return decodeURIComponent(value.logName.split('/logs/')[1]) === word.slice(8, -2);
    if (word !== '(') return compare(at(value, path), operator, unquote(operand));
    const result = either();
    tokens.shift();
    return result;
  };
  return tokens.length === 0 || either();
}

const unquote = (operand) => (operand.startsWith('"') ? JSON.parse(operand) : operand);

function compare(actual, operator, expected) {
  if (Array.isArray(actual)) return actual.some((item) => compare(item, operator, expected));
  if (operator === '!=') return !compare(actual, '=', expected);
  if (operator === '!~') return !compare(actual, '=~', expected);
  if (actual === undefined || actual === null) return false;
  if (operator === ':') return String(actual).toLowerCase().includes(expected.toLowerCase());
  if (operator === '=~') return new RegExp(expected).test(actual);
  const ordered = order(actual, expected);
  return { '=': ordered === 0, '>': ordered > 0, '<': ordered < 0, '>=': ordered >= 0, '<=': ordered <= 0 }[operator];
}

function order(actual, expected) {
  if (typeof actual === 'number') return actual - Number(expected);
  // With and without fractions of a second.
  if (/^\d{4}-\d\d-\d\dT/.test(expected)) return Date.parse(actual) - Date.parse(expected);
  return actual < expected ? -1 : Number(actual > expected);
}

// ── Conditions ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** The subset of CEL that is also valid JavaScript. https://docs.cloud.google.com/iam/docs/conditions-overview */
const CEL = /^(\s|'[^']*'|==|!=|&&|\|\||[()+,!]|(assertion|resource)(\.\w+)+)*$/;

/** Evaluates a condition or an attribute mapping. `variables` contains `assertion` or `resource`. */
export function evaluate(expression, variables) {
  if (!CEL.test(expression)) throw new Refusal(`The stand-in cannot evaluate the condition: ${expression}`);
  return runInNewContext(expression, variables);
}
