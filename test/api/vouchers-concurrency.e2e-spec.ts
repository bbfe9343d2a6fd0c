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
  // Generous timeouts, because all requests wait for one row.
  const env = {
    DATABASE_URL: database.url,
    DATABASE_CONNECT_TIMEOUT_MS: '20000',
    DATABASE_POOL_ACQUIRE_TIMEOUT_MS: '20000',
    DATABASE_STATEMENT_TIMEOUT_MS: '20000',
  };
  instances = await Promise.all([startProgram(env), startProgram(env)]);
  for (const { url } of instances) await until(async () => (await fetch(`${url}/health/ready`)).ok);
});
afterAll(async () => {
  await Promise.all(instances.map((instance) => instance.stop()));
  await database.drop();
});

async function send(method: string, path: string, body: object = {}, instance = 0) {
  const response = await fetch(`${instances[instance]?.url}${path}`, {
    method,
    headers: { 'Content-Type': 'application/json', 'x-api-key': apiKey },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** Sends `count` requests at the same time, to the instances in turn. */
const post = (count: number, path: string, body: object = {}) =>
  Promise.all(Array.from({ length: count }, (_, index) => send('POST', path, body, index % 2)));

describe('concurrent POST /v1/vouchers/:code/redemptions', () => {
  it('accepts 50 of 200 requests for maxRedemptions 50', async () => {
    await post(1, '/v1/vouchers', { code: 'FIFTY', maxRedemptions: 50 });
    const responses = await post(200, '/v1/vouchers/FIFTY/redemptions');
    const succeeded = responses.filter(({ status }) => status === 201);
    const counts = succeeded.map(({ body }) => Number(body.redemptions));
    expect(counts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    expect(responses.filter(({ status }) => status === 409)).toHaveLength(150);
    const rows = await database.query(`SELECT redemptions, version FROM vouchers WHERE code = 'FIFTY'`);
    expect(rows).toEqual([{ redemptions: 50, version: 51 }]);
  });

  it.each([
    ['voucher_inactive', { active: false }, { active: true, maxRedemptions: 1_000_000 }],
    ['voucher_exhausted', {}, { maxRedemptions: 1_000_000 }],
  ])('during updates fail for no other reason than %s', async (code, disable, enable) => {
    const fields = { code: code.replace('_', '-'), maxRedemptions: 1, ...disable };
    const voucher = await send('POST', '/v1/vouchers', aVoucher(fields));
    const reasons = new Set<unknown>();
    let isDone = false;
    const redeem = async (instance: number) => {
      while (!isDone) {
        const { body } = await send('POST', `/v1/vouchers/${String(voucher.body.code)}/redemptions`, {}, instance);
        reasons.add(body.code);
      }
    };
    const redeemers = [0, 1].map(redeem);
    try {
      for (let round = 0; round < 10; round++) {
        await send('PATCH', `/v1/vouchers/${String(voucher.body.id)}`, enable);
        await send('PATCH', `/v1/vouchers/${String(voucher.body.id)}`, disable);
      }
    } finally {
      isDone = true;
      await Promise.all(redeemers);
    }
    expect([voucher.body.code, code]).toEqual(expect.arrayContaining([...reasons]));
    expect(reasons.size).toBeGreaterThan(0);
  });
});

describe('concurrent POST /v1/vouchers', () => {
  it('creates one voucher for 20 requests with the same code', async () => {
    const responses = await post(20, '/v1/vouchers', aVoucher({ code: 'ONLY-ONE' }));
    expect(responses.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(responses.filter(({ status }) => status === 409)).toHaveLength(19);
  });
});
