import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { givenApiKey } from '../support/credentials.js';
import { startProgram } from '../support/program.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';
import { aVoucher, createVoucher } from '../support/vouchers.js';

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp({ env: { DATABASE_STATEMENT_TIMEOUT_MS: '1000' } });
});
afterAll(() => sut.close());

describe('an unknown method', () => {
  it.each([
    ['put', '/v1/vouchers', 'POST, GET, HEAD'],
    ['options', '/v1/vouchers', 'POST, GET, HEAD'],
    ['delete', '/v1/vouchers/stats', 'GET, HEAD'],
    ['post', '/v1/vouchers/00000000-0000-4000-8000-000000000000', 'GET, PATCH, DELETE, HEAD'],
    ['get', '/v1/vouchers/CODE/redemptions', 'POST'],
  ] as const)('%s %s is answered with 405 and what is allowed', async (method, path, allowed) => {
    const { body, headers } = await sut.http[method](path).expect(405);
    expect(body.code).toBe('method_not_allowed');
    expect(headers.allow).toBe(allowed);
  });
});

describe('the database', () => {
  it('that keeps a request waiting for too long is a 503 with Retry-After', async () => {
    const { id } = await createVoucher(sut);
    const holder = await sut.database.hold('SELECT 1 FROM vouchers WHERE id = $1 FOR UPDATE', [id]);
    const { body, headers } = await sut.http.patch(`/v1/vouchers/${id}`).send({ active: false }).expect(503);
    await holder.release();
    expect(body.code).toBe('database_timeout');
    expect(headers['retry-after']).toBe('1');
  });

  it('that has gone is a 503 with Retry-After on every route, until it is back', async () => {
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
    await sut.database.giveBack();
    await sut.http.get(`/v1/vouchers/${id}`).expect(200);
  });
});

it('secrets in a body, or in the row that the database names in its error, reach no line of the log', async () => {
  const program = await startProgram({ DATABASE_URL: sut.database.url });
  await until(async () => (await fetch(`${program.url}/health/ready`)).ok);
  await sut.database.query(`ALTER TABLE vouchers ADD CONSTRAINT no_secrets CHECK (description NOT LIKE '%secret%')`);
  const headers = { 'Content-Type': 'application/json', 'x-api-key': await givenApiKey(sut.database) };
  const bodies = [
    '{"password":broken-secret',
    JSON.stringify({ password: 'unknown-secret' }),
    JSON.stringify(aVoucher({ description: 'sql-secret', metadata: { token: 'nested-secret' } })),
  ];
  for (const body of bodies) await fetch(`${program.url}/v1/vouchers`, { method: 'POST', headers, body });
  const redemption = { method: 'POST', headers: { ...headers, 'Idempotency-Key': 'key-secret' } };
  await fetch(`${program.url}/v1/vouchers/ABCD/redemptions`, redemption);
  const statuses = () => program.lines.flatMap(({ status }) => (status === undefined ? [] : [status]));
  await until(() => statuses().length === 4);
  await program.stop();
  await sut.database.query('ALTER TABLE vouchers DROP CONSTRAINT no_secrets');
  expect(statuses()).toEqual([400, 400, 500, 404]);
  expect(JSON.stringify(program.lines)).not.toMatch(/-secret/);
});
