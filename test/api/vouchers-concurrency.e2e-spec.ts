import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { givenApiKey } from '../support/credentials.js';
import { type Program, startProgram } from '../support/program.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { aVoucher } from '../support/vouchers.js';

// Two instances of the built service share a database, as during every rollout.
let database: TestDatabase;
let instances: Program[];
let apiKey: string;
beforeAll(async () => {
  database = await createTestDatabase();
  apiKey = await givenApiKey(database, { scopes: ['vouchers:write', 'vouchers:redeem'] });
  const env = { DATABASE_URL: database.url, DATABASE_POOL_ACQUIRE_TIMEOUT_MS: '20000' };
  instances = await Promise.all([startProgram(env), startProgram(env)]);
  for (const { url } of instances) await until(async () => (await fetch(`${url}/health/ready`)).ok);
});
afterAll(async () => {
  await Promise.all(instances.map((instance) => instance.stop()));
  await database.drop();
});

/** Sends `count` requests at the same time, to the instances in turn. */
const post = (count: number, path: string, body: object = {}) =>
  Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const response = await fetch(`${instances[index % 2]?.url}${path}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'x-api-key': apiKey },
        body: JSON.stringify(body),
      });
      return { status: response.status, body: await response.json() };
    }),
  );

describe('concurrent redemptions', () => {
  it('never exceed maxRedemptions: 50 of 200 succeed', async () => {
    await post(1, '/v1/vouchers', { code: 'FIFTY', maxRedemptions: 50 });
    const responses = await post(200, '/v1/vouchers/FIFTY/redemptions');
    const succeeded = responses.filter(({ status }) => status === 201);
    const counts = succeeded.map(({ body }) => (body as { redemptions: number }).redemptions);
    expect(counts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    expect(responses.filter(({ status }) => status === 409)).toHaveLength(150);
    const rows = await database.query(`SELECT redemptions, version FROM vouchers WHERE code = 'FIFTY'`);
    expect(rows).toEqual([{ redemptions: 50, version: 51 }]);
  });
});

describe('concurrent creations', () => {
  it('with the same code create one voucher', async () => {
    const responses = await post(20, '/v1/vouchers', aVoucher({ code: 'ONLY-ONE' }));
    expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(responses.filter(({ status }) => status === 409)).toHaveLength(19);
  });
});
