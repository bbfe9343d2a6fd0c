import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { problemCatalog } from '../src/errors/problem.js';
import { createTestApp, type TestApp } from './support/test-app.js';
import { aVoucher, createVoucher } from './support/vouchers.js';

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp({ env: { DATABASE_STATEMENT_TIMEOUT_MS: '300' } });
});
afterAll(() => sut.close());

/** Sends bytes as they are and reads the answer to its end. */
async function sendRaw(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(sut.url).port), '127.0.0.1');
  socket.write(bytes);
  return text(socket);
}

it('answers an unknown address with 404, in the shape of every problem', async () => {
  const { body, headers } = await sut.http.get('/nope?secret=1').set('X-Request-Id', 'mine').expect(404);
  expect(headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(body).toEqual({
    type: 'urn:problem-type:route_not_found',
    title: expect.any(String),
    status: 404,
    code: 'route_not_found',
    requestId: 'mine',
  });
});

describe('an unknown method', () => {
  it.each([
    ['put', '/v1/vouchers', 'POST, GET, HEAD'],
    ['options', '/v1/vouchers', 'POST, GET, HEAD'],
    ['trace', '/v1/vouchers', 'POST, GET, HEAD'],
    ['delete', '/v1/vouchers/stats', 'GET, HEAD'],
    ['post', '/v1/vouchers/00000000-0000-4000-8000-000000000000', 'GET, PATCH, DELETE, HEAD'],
    ['get', '/v1/vouchers/CODE/redemptions', 'POST'],
    ['post', '/', 'GET, HEAD'],
    ['delete', '/health/live', 'GET, HEAD'],
    ['post', '/openapi.json', 'GET, HEAD'],
  ] as const)('%s %s is answered with 405 and what is allowed', async (method, path, allowed) => {
    const { body, headers } = await sut.http[method](path).expect(405);
    expect(body.code).toBe('method_not_allowed');
    expect(headers.allow).toBe(allowed);
  });

  it('is HEAD nowhere where there is GET', async () => {
    await sut.http.head('/v1/vouchers').expect(200);
  });
});

describe('what the HTTP parser refuses', () => {
  it.each([
    ['a method that is none', 'NOSUCH / HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'malformed_request'],
    ['a header without a name', 'GET / HTTP/1.1\r\nHost: x\r\n: x\r\n\r\n', 400, 'malformed_request'],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx',
      400,
      'malformed_request',
    ],
    ['headers without end', `GET / HTTP/1.1\r\nHost: x\r\nA: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
  ])('%s', async (_, bytes, status, code) => {
    const [head = '', body = ''] = (await sendRaw(bytes)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(head).toContain('application/problem+json');
    expect(JSON.parse(body)).toMatchObject({ status, code, requestId: expect.any(String) });
  });
});

describe('the database', () => {
  it('that keeps a request waiting for too long is a 503 with Retry-After', async () => {
    const { id } = await createVoucher(sut);
    const holder = await sut.database.hold('SELECT 1 FROM vouchers WHERE id = $1 FOR UPDATE', [id]);
    const { body, headers } = await sut.http.patch(`/v1/vouchers/${id}`).send({ active: false }).expect(503);
    await holder.release();
    expect(body.code).toBe('database_busy');
    expect(headers['retry-after']).toBe('1');
  });

  it('that has gone is a 503 with Retry-After on every route that needs it, until it is back', async () => {
    const { id, code } = await createVoucher(sut);
    await sut.database.takeAway();
    const requests = [
      () => sut.http.get('/v1/vouchers'),
      () => sut.http.get('/v1/vouchers/stats'),
      () => sut.http.get(`/v1/vouchers/${id}`),
      () => sut.http.post('/v1/vouchers').send(aVoucher()),
      () => sut.http.patch(`/v1/vouchers/${id}`).send({ active: false }),
      () => sut.http.delete(`/v1/vouchers/${id}`),
      () => sut.http.post(`/v1/vouchers/${code}/redemptions`),
      () => sut.http.post(`/v1/vouchers/${code}/redemptions`).set('Idempotency-Key', 'key'),
    ];
    for (const request of requests) {
      const { body, headers } = await request().expect(503);
      expect(body.code).toBe('database_unavailable');
      expect(headers['retry-after']).toBe('1');
    }
    await sut.http.get('/').expect(200);
    await sut.database.giveBack();
    await sut.http.get(`/v1/vouchers/${id}`).expect(200);
  });

  it('that fails as nobody foresaw is a 500 that tells nothing', async () => {
    await sut.database.query('ALTER TABLE vouchers RENAME TO elsewhere');
    const { body, text: sent } = await sut.http.get('/v1/vouchers').expect(500);
    await sut.database.query('ALTER TABLE elsewhere RENAME TO vouchers');
    expect(body.code).toBe('internal_error');
    expect(sent).not.toMatch(/voucher|relation|SELECT|stack|\.ts|\.js/i);
  });
});

describe('the catalogue', () => {
  it('has a problem for every constraint that a request can violate', async () => {
    const constraints = await sut.database.query<{ conname: string }>(
      `SELECT conname FROM pg_constraint
        WHERE contype IN ('u', 'c', 'f', 'x') AND connamespace = 'public'::regnamespace AND conrelid <> 'migrations'::regclass`,
    );
    const named = [...problemCatalog.values()].flatMap(({ constraint }) => constraint?.name ?? []);
    expect(named.toSorted()).toEqual(constraints.map(({ conname }) => conname).toSorted());
  });
});
