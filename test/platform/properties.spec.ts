import type { IncomingMessage } from 'node:http';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createApiKey } from '../../src/platform/auth/api-key.js';
import { decodeCursor, encodeCursor } from '../../src/platform/database/paginate.js';
import { findInvalidContent } from '../../src/platform/http/find-invalid-content.js';
import { parseJson } from '../../src/platform/http/parse-json.js';
import { Preconditions } from '../../src/platform/http/preconditions.js';
import { fingerprintOf } from '../../src/platform/idempotency/idempotent-request.decorator.js';
import { createLogger } from '../../src/platform/logging/logger.js';

/** A failure prints the seed and the smallest counterexample. `.ci/run` sets PROPERTY_RUNS to 10,000. */
const options = { numRuns: Number(process.env.PROPERTY_RUNS ?? 200) };

/** Text of any kind, also with NUL and unpaired surrogates. */
const text = fc.string({ unit: 'binary' });
const json = fc.jsonValue({ maxDepth: 2 });
const list = fc.tuple(text, fc.dictionary(text, fc.oneof(text, fc.integer(), fc.boolean()), { maxKeys: 3 }));

describe('a cursor', () => {
  it('is decoded to the row that it was made from, for the same list only', () => {
    fc.assert(
      fc.property(list, list, text, fc.uuid(), (own, other, value, id) => {
        const cursor = encodeCursor(own, value, id);
        expect(decodeCursor(cursor, own)).toEqual({ value: value.toWellFormed(), id });
        if (JSON.stringify(own) !== JSON.stringify(other)) expect(() => decodeCursor(cursor, other)).toThrow('Invalid');
      }),
      options,
    );
  });

  it('of any other text is rejected', () => {
    const almost = json.map((value) => Buffer.from(JSON.stringify(value)).toString('base64url'));
    fc.assert(
      fc.property(fc.oneof(text, almost), list, (cursor, own) => {
        expect(() => decodeCursor(cursor, own)).toThrow('Invalid request');
      }),
      options,
    );
  });
});

describe('a list of ETags', () => {
  const opaque = fc.string({ unit: fc.constantFrom(...'ab,*W/!'), maxLength: 3 }).map((tag) => `"${tag}"`);
  const tags = fc.array(fc.record({ isWeak: fc.boolean(), opaque }), { minLength: 1, maxLength: 5 });

  it('matches If-Match by strong and If-None-Match by weak comparison', () => {
    fc.assert(
      fc.property(tags, opaque, fc.constantFrom(',', ', ', ' ,, '), (sent, etag, separator) => {
        const header = sent.map((tag) => (tag.isWeak ? 'W/' : '') + tag.opaque).join(separator);
        const headers = { 'if-match': header, 'if-none-match': header };
        const conditions = Preconditions.of({ method: 'PATCH', headers } as IncomingMessage);
        expect(conditions?.matches(etag)).toBe(sent.some((tag) => !tag.isWeak && tag.opaque === etag));
        expect(conditions?.noneMatches(etag)).toBe(!sent.some((tag) => tag.opaque === etag));
      }),
      options,
    );
  });
});

describe('a fingerprint', () => {
  const path = { method: 'POST', route: { path: '/v1/notes/:id' }, headers: {} };
  const query = fc.uniqueArray(fc.tuple(fc.string(), fc.string()), { selector: ([name]) => name, maxLength: 5 });
  const body = fc.dictionary(fc.string(), json, { maxKeys: 4 });
  const urlOf = (pairs: [string, string][]) => `/v1/notes/1?${new URLSearchParams(pairs)}`;
  const reversed = (value: object) => Object.fromEntries(Object.entries(value).toReversed());

  it('does not depend on the order of query parameters and properties', () => {
    fc.assert(
      fc.property(query, body, (pairs, content) => {
        const first = fingerprintOf({ ...path, originalUrl: urlOf(pairs), body: content }, { id: '1' });
        const second = { ...path, originalUrl: urlOf(pairs.toReversed()), body: reversed(content) };
        expect(fingerprintOf(second, { id: '1' })).toBe(first);
      }),
      options,
    );
  });

  it('differs for another query or body', () => {
    const request = fc.record({ pairs: query, content: body });
    const identity = ({ pairs, content }: { pairs: [string, string][]; content: object }): unknown => [
      new Map(pairs),
      JSON.parse(JSON.stringify(content)),
    ];
    fc.assert(
      fc.property(request, request, (a, b) => {
        const [first, second] = [a, b].map(({ pairs, content }) =>
          fingerprintOf({ ...path, originalUrl: urlOf(pairs), body: content }, {}),
        );
        expect(first === second).toBe(isDeepStrictEqual(identity(a), identity(b)));
      }),
      options,
    );
  });
});

describe('a JSON body', () => {
  const number = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }).map(String),
    fc.stringMatching(/^-?(0|[1-9]\d{0,20})(\.\d{1,20})?([eE][+-]?\d{1,3})?$/),
  );
  /** The exact value of a decimal number: digits and an exponent of ten. */
  const exact = (decimal: string) => {
    const [, sign = '', whole = '', fraction = '', exponent = '0'] =
      /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(decimal) ?? [];
    const digits = (whole + fraction).replace(/^0+/, '');
    const significant = digits.replace(/0+$/, '');
    const power = Number(exponent) - fraction.length + digits.length - significant.length;
    return significant === '' ? '0' : `${sign}${significant}e${power}`;
  };

  it('has the numbers that were sent, or is rejected', () => {
    fc.assert(
      fc.property(number, (sent) => {
        const value = parseJson(Buffer.from(`{"a":[${sent}]}`)) as { a: [number] };
        expect(findInvalidContent(value) || exact(JSON.stringify(value.a[0])) === exact(sent)).toBeTruthy();
      }),
      options,
    );
  });

  it('has every number that JavaScript sends, up to 2^53', () => {
    fc.assert(
      fc.property(fc.double({ min: -(2 ** 53) + 1, max: 2 ** 53 - 1, noNaN: true }), (sent) => {
        if (Math.abs(sent) < 1e-50) return;
        const value = parseJson(Buffer.from(JSON.stringify([sent])));
        expect(findInvalidContent(value)).toBeUndefined();
        expect(JSON.stringify(value)).toBe(JSON.stringify([sent]));
      }),
      options,
    );
  });

  it('has the value that was sent, with any text and any names', () => {
    fc.assert(
      fc.property(fc.dictionary(text, fc.json({ stringUnit: 'binary' })), (sent) => {
        const body = JSON.stringify(sent);
        expect(JSON.stringify(parseJson(Buffer.from(body)))).toBe(body);
      }),
      options,
    );
  });
});

describe('a log line', () => {
  const password = 'correct-horse';
  const { key } = createApiKey();
  const jwt = ['eyJhbGciOiJSUzI1NiJ9', 'eyJzdWIiOiJzb21lb25lIn0', 'c2lnbmF0dXJl'].join('.');
  const secret = fc.constantFrom(key, key.toUpperCase(), jwt, password);

  it('is JSON and has no secret at any place', async () => {
    let line = '';
    const env = { LOG_LEVEL: 'info', LOG_FORMAT: 'json' as const, DATABASE_URL: `postgresql://app:${password}@db/app` };
    const logger = await createLogger(env, { write: (written) => void (line = written) });
    fc.assert(
      fc.property(text, secret, text, json, (before, hidden, after, fields) => {
        const content = `${before}${hidden}${after}`;
        logger.error({ fields, [content]: content, err: new Error(content, { cause: new Error(content) }) }, content);
        expect(() => JSON.parse(line)).not.toThrow();
        expect(line).not.toContain(hidden);
      }),
      options,
    );
  });
});
