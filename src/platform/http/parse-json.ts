import { isUtf8 } from 'node:buffer';
import { Problem } from '../problems/problem.js';
import { malformedRequest } from '../problems/problem-types.js';

/** Ignores a byte order mark. */
const utf8 = new TextDecoder();

/** Matches every text with a number that JavaScript may change. Up to 15 digits without an exponent are exact. */
const MAY_CHANGE = /[\d.]{16}|\d[eE]/;

/** A longer number is rejected without a comparison of its digits. */
const MAX_NUMBER_LENGTH = 100;

/** PostgreSQL stores a smaller number with all its zeros. */
const MIN_MAGNITUDE = 1e-50;

/**
 * Parses the body of a request, whose data is stored as it was sent or rejected. A number that JavaScript would change
 * becomes NaN, for which findInvalidContent() returns a violation with a pointer.
 * @throws {Problem} malformed_request for text that is not JSON in UTF-8, and for an object that repeats a name
 */
export function parseJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) throw malformed('The body is not valid UTF-8');
  const text = utf8.decode(bytes);
  try {
    const value: unknown = MAY_CHANGE.test(text) ? JSON.parse(text, rejectChangedNumber) : JSON.parse(text);
    if (typeof value !== 'object' || value === null) throw malformed('The body must be a JSON object');
    // JSON.parse() keeps the last value of a repeated name. Other parsers keep the first.
    if (countNames(text) > countProperties(value)) throw malformed('An object in the body has the same name twice');
    return value;
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw malformed(
      error instanceof RangeError ? 'The body is nested too deeply' : 'The body is not valid JSON',
      error,
    );
  }
}

const malformed = (detail: string, cause?: unknown) => new Problem(malformedRequest, { detail, cause });

function rejectChangedNumber(_: string, value: unknown, { source = '' }: { source?: string } = {}): unknown {
  return typeof value === 'number' && isChanged(value, source) ? Number.NaN : value;
}

/** The value is the nearest one to the source, so the two are equal if their digits are. */
function isChanged(value: number, source: string): boolean {
  const magnitude = Math.abs(value);
  if (source.length > MAX_NUMBER_LENGTH || magnitude > Number.MAX_SAFE_INTEGER) return true;
  if (magnitude > 0 && magnitude < MIN_MAGNITUDE) return true;
  return significantDigits(source) !== significantDigits(String(value));
}

/** The digits of a number without sign, point, exponent and outer zeros. */
function significantDigits(number: string): string {
  const [mantissa = ''] = number.split(/e/i);
  return mantissa.replaceAll(/\D/g, '').replaceAll(/^0+|0+$/g, '');
}

/** Counts the names in a valid JSON text: a colon outside of a string follows each. */
function countNames(json: string): number {
  return json.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').split(':').length - 1;
}

/** Without recursion, because nothing has limited the depth of the value yet. */
function countProperties(root: object): number {
  let count = 0;
  const values: unknown[] = [root];
  for (const value of values) {
    if (typeof value !== 'object' || value === null) continue;
    const children = Object.values(value);
    if (!Array.isArray(value)) count += children.length;
    for (const child of children) values.push(child);
  }
  return count;
}
