import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createTestApp, type TestApp } from './support/test-app.js';
import { until } from './support/until.js';
import { aVoucher } from './support/vouchers.js';

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp({ env: { MAX_CONCURRENT_REQUESTS: '2' } });
});
afterAll(() => sut.close());

it('refuses a request at once while MAX_CONCURRENT_REQUESTS others are worked on, and none of the probes', async () => {
  const { body: voucher } = await sut.http.post('/v1/vouchers').send(aVoucher()).expect(201);
  const path = `/v1/vouchers/${voucher.id}`;
  const table = await sut.database.hold('LOCK TABLE vouchers IN ACCESS EXCLUSIVE MODE');
  const reads = [sut.http.get(path), sut.http.get(path)].map((read) => read.then(({ status }) => status));
  const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
  await until(async () => (await sut.database.query(waiting)).length === 2);

  const { body, headers } = await sut.anonymous.get(path).expect(503);
  expect(body).toMatchObject({ code: 'overloaded', requestId: headers['x-request-id'] });
  expect(headers).toMatchObject({ 'content-type': 'application/problem+json', 'retry-after': '1' });
  await sut.anonymous.get('/health/live').expect(200);
  await sut.anonymous.get('/health/ready').expect(200);

  await table.release();
  expect(await Promise.all(reads)).toEqual([200, 200]);
  await sut.http.get(path).expect(200);
});
