import { describe, expect, it } from '@jest/globals';
import { Problem } from '../problems/problem.js';
import { findInvalidContent } from './find-invalid-content.js';
import { parseJson } from './parse-json.js';

const parse = (json: string) => parseJson(Buffer.from(json));

/** The detail of the problem that parseJson() throws. */
function detailOf(bytes: Uint8Array | string): string | undefined {
  try {
    parseJson(Buffer.from(bytes));
  } catch (error) {
    return (error as Problem).details.detail;
  }
  throw new Error('The body was accepted');
}

describe('parseJson', () => {
  it.each(['{}', '[]', '{"a":{"a":{"b":":"}},"b":"\\":\\\\"}', '{"__proto__":1}', '\ufeff {"a" : "\\u0000" }\n'])(
    'returns the value of %j',
    (json) => {
      expect(JSON.stringify(parse(json))).toBe(JSON.stringify(JSON.parse(json.replace('\ufeff', ''))));
    },
  );

  it.each([
    '0',
    '-0',
    '-0.0e-5',
    '0e999999999',
    '1.50',
    '100e-2',
    '0.1',
    '0.30000000000000004',
    '5e-1',
    '1e15',
    '9007199254740991',
    '-9007199254740991',
    '9007199254740991.0',
    '6.62607015e-34',
    '1E+3',
    '000'.replaceAll('0', '1'),
    `1.${'0'.repeat(90)}`,
  ])('accepts the number %s', (number) => {
    expect(findInvalidContent(parse(`{"a":[${number}]}`))).toBeUndefined();
  });

  it.each([
    '1e400',
    '-1e400',
    '1e-400',
    '1e100000',
    '1e20',
    '1e-300',
    '9007199254740992',
    '9007199254740993',
    '-9007199254740992',
    '12345678901234567890',
    '0.12345678901234567890',
    '0.10000000000000001',
    '12345678901234.567',
    '9007199254740991.5',
    `0.${'0'.repeat(100)}`,
    `1${'0'.repeat(90_000)}1`,
  ])('rejects the number %s with a pointer', (number) => {
    for (const [json, pointer] of [
      [`{"a":${number}}`, '#/a'],
      [`{"a":{"b":[1, {"c":${number}}]}}`, '#/a/b/1/c'],
    ] as const) {
      expect(findInvalidContent(parse(json))).toEqual({ pointer, detail: expect.stringMatching('double precision') });
    }
  });

  it('leaves a deeply nested value to findInvalidContent()', () => {
    const value = parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`);
    expect(findInvalidContent(value)?.detail).toContain('nested');
  });

  it('leaves digits in text alone', () => {
    const text = '{"12345678901234567890":"1e400 12345678901234567890 0.12345678901234567890"}';
    expect(JSON.stringify(parse(text))).toBe(text);
    expect(findInvalidContent(parse(text))).toBeUndefined();
  });

  it.each([
    ['{"a":', 'The body is not valid JSON'],
    [' ', 'The body is not valid JSON'],
    ['{"a":NaN}', 'The body is not valid JSON'],
    ['{"a":01}', 'The body is not valid JSON'],
    ['"text"', 'The body must be a JSON object'],
    ['null', 'The body must be a JSON object'],
    ['1e400', 'The body must be a JSON object'],
    ['{"a":1,"a":1}', 'An object in the body has the same name twice'],
    ['{"a":[{"b":1,"\\u0062":2}]}', 'An object in the body has the same name twice'],
    ['{"__proto__":1,"__proto__":1}', 'An object in the body has the same name twice'],
    [`${'['.repeat(50_000)}1e5${']'.repeat(50_000)}`, 'The body is nested too deeply'],
  ])('rejects %.40j: %s', (json, detail) => {
    expect(detailOf(json)).toBe(detail);
  });

  it.each([
    ['a byte that is not UTF-8', [0x22, 0xff, 0x22]],
    ['a truncated character', [0x22, 0xe2, 0x82, 0x22]],
    ['an overlong form', [0x22, 0xc0, 0x80, 0x22]],
    ['a surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ])('rejects %s', (_, bytes) => {
    expect(detailOf(Uint8Array.from([...Buffer.from('{"a":'), ...bytes, 0x7d]))).toBe('The body is not valid UTF-8');
  });
});
