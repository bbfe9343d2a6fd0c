import { Problem } from '../problems/problem.js';
import { malformedRequest } from '../problems/problem-types.js';

/**
 * Parses an `application/x-www-form-urlencoded` body. All values are text; a repeated name becomes an array.
 * See https://url.spec.whatwg.org/#urlencoded-parsing
 * @throws {Problem} malformed_request for invalid percent-encoding or UTF-8, which the standard would replace
 */
export function parseForm(bytes: Buffer): Record<string, string | string[]> {
  // Bytes that a client did not encode are read as UTF-8 too.
  const text = bytes.toString('latin1').replaceAll(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`);
  const pairs = text.replaceAll('+', ' ').split('&').filter(Boolean);
  try {
    const decoded = pairs.map((pair) => /^([^=]*)=?(.*)$/s.exec(pair)!.slice(1).map(decodeURIComponent));
    const fields = Map.groupBy(decoded, ([name]) => name!);
    const values = Array.from(fields, ([name, group]) => [name, group.map(([, value]) => value!)] as const);
    // Defines also `__proto__` as a property, which findInvalidContent() rejects.
    return Object.fromEntries(values.map(([name, all]) => [name, all.length === 1 ? all[0]! : all]));
  } catch (cause) {
    throw new Problem(malformedRequest, { detail: 'The body is not a valid URL-encoded form in UTF-8', cause });
  }
}
