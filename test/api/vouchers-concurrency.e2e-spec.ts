import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { givenApiKey } from '../support/credentials.js';
import { type Program, startProgram } from '../support/program.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { aVoucher } from '../support/vouchers.js';

// Two instances of the built service on one database, as during every rollout.
let database: TestDatabase;
let instances: Program[];
let apiKey: string;
beforeAll(async () => {
  database = await createTestDatabase();
  apiKey = await givenApiKey(database, { scopes: ['vouchers:read', 'vouchers:write', 'vouchers:redeem'] });
  // It is about what is right, not how fast: nobody is turned away.
  const env = { DATABASE_URL: database.url, LOG_LEVEL: 'info', DATABASE_POOL_ACQUIRE_TIMEOUT_MS: '20000' };
  instances = await Promise.all([startProgram(env), startProgram(env)]);
  for (const { url } of instances) await until(async () => (await fetch(`${url}/health/ready`)).ok);
});
afterAll(async () => {
  await Promise.all(instances.map((instance) => instance.stop()));
  await database.drop();
});

/** Sends the request `count` times at once, to the instances in turn. */
async function atOnce(count: number, path: string, { headers, ...init }: RequestInit) {
  const responses = Array.from({ length: count }, async (_, index) => {
    const response = await fetch(`${instances[index % 2]?.url}${path}`, {
      ...init,
      headers: { ...headers, 'x-api-key': apiKey },
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  });
  return Promise.all(responses);
}

async function createVoucher(fields: Record<string, unknown>) {
  const [created] = await atOnce(1, '/v1/vouchers', json('POST', aVoucher(fields)));
  return JSON.parse(created?.text ?? '') as { id: string; code: string };
}

const json = (method: string, body: unknown, headers = {}): RequestInit => ({
  method,
  headers: { 'Content-Type': 'application/json', ...headers },
  body: JSON.stringify(body),
});

const countOf = (answers: { status: number }[], status: number) =>
  answers.filter((answer) => answer.status === status).length;

describe('redemptions', () => {
  it('never exceed maxRedemptions: of 200 at once with 50 left, 50 succeed', async () => {
    const { id, code } = await createVoucher({ maxRedemptions: 50 });
    const answers = await atOnce(200, `/v1/vouchers/${code}/redemptions`, { method: 'POST' });
    expect(countOf(answers, 201)).toBe(50);
    expect(countOf(answers, 409)).toBe(150);
    const rows = await database.query('SELECT redemptions, version FROM vouchers WHERE id = $1', [id]);
    expect(rows).toEqual([{ redemptions: 50, version: 51 }]);
    const counts = answers.filter(({ status }) => status === 201).map(({ text }) => JSON.parse(text).redemptions);
    expect(counts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
  });
});

describe('changes', () => {
  it('are not lost: of 20 with the same ETag, one is made', async () => {
    const { id } = await createVoucher({});
    const init = json('PATCH', { description: 'mine' }, { 'If-Match': '"1"' });
    const answers = await atOnce(20, `/v1/vouchers/${id}`, init);
    expect(countOf(answers, 200)).toBe(1);
    expect(countOf(answers, 412)).toBe(19);
  });

  it('to different fields are all made', async () => {
    const { id } = await createVoucher({});
    const changes = [{ description: 'new' }, { active: false }, { maxRedemptions: 99 }, { metadata: { a: 1 } }];
    await Promise.all(changes.map((change) => atOnce(1, `/v1/vouchers/${id}`, json('PATCH', change))));
    const [answer] = await atOnce(1, `/v1/vouchers/${id}`, {});
    expect(JSON.parse(answer?.text ?? '')).toMatchObject({ ...Object.assign({}, ...changes), version: 5 });
  });

  it('of one code by 20 creations at once give one voucher', async () => {
    const answers = await atOnce(20, '/v1/vouchers', json('POST', aVoucher({ code: 'ONLY-ONE' })));
    expect(countOf(answers, 201)).toBe(1);
    expect(countOf(answers, 409)).toBe(19);
  });
});

describe('Idempotency-Key', () => {
  const redeem = (code: string, key: string, body: unknown = {}) =>
    atOnce(1, `/v1/vouchers/${code}/redemptions`, json('POST', body, { 'Idempotency-Key': key })).then(
      ([answer]) => answer!,
    );
  const redemptionsOf = async (id: string) => {
    const [row] = await database.query<{ redemptions: number }>('SELECT redemptions FROM vouchers WHERE id = $1', [id]);
    return row?.redemptions;
  };

  it('has one effect when it comes 20 times at once; who comes too early is told so', async () => {
    const { id, code } = await createVoucher({});
    const init = json('POST', { reference: 'r' }, { 'Idempotency-Key': randomUUID() });
    const answers = await atOnce(20, `/v1/vouchers/${code}/redemptions`, init);
    const successes = answers.filter(({ status }) => status === 201);
    expect(successes.length).toBeGreaterThan(0);
    expect(new Set(successes.map(({ text }) => text)).size).toBe(1);
    for (const { status, text, headers } of answers) {
      if (status === 201) continue;
      expect(JSON.parse(text)).toMatchObject({ status: 409, code: 'idempotency_key_in_use' });
      expect(headers.get('Retry-After')).toBe('1');
    }
    expect(await redemptionsOf(id)).toBe(1);
  });

  it('holds no connection while the first request is at work', async () => {
    const { id, code } = await createVoucher({});
    const key = randomUUID();
    const holder = await database.hold('SELECT 1 FROM vouchers WHERE id = $1 FOR UPDATE', [id]);
    const first = redeem(code, key);
    const blocked = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    await until(async () => (await database.query(blocked)).length === 1);
    // More repeats than the two pools have connections.
    const init = json('POST', {}, { 'Idempotency-Key': key });
    const repeats = await atOnce(60, `/v1/vouchers/${code}/redemptions`, init);
    expect(countOf(repeats, 409)).toBe(60);
    await holder.release();
    expect((await first).status).toBe(201);
  });

  it('gets the first answer again, byte for byte, from either instance', async () => {
    const { id, code } = await createVoucher({ maxRedemptions: 1 });
    const [key, late] = [randomUUID(), randomUUID()];
    const first = await redeem(code, key, { reference: 'ä' });
    const refused = await redeem(code, late);
    expect([first.status, refused.status]).toEqual([201, 409]);
    await database.query('UPDATE vouchers SET max_redemptions = 9 WHERE id = $1', [id]);
    for (const instance of instances) {
      for (const [answer, body, with_] of [
        [first, { reference: 'ä' }, key],
        [refused, {}, late],
      ] as const) {
        const again = await fetch(
          `${instance.url}/v1/vouchers/${code}/redemptions`,
          json('POST', body, { 'Idempotency-Key': with_, 'x-api-key': apiKey }),
        );
        expect(again.status).toBe(answer.status);
        expect(again.headers.get('Content-Type')).toBe(answer.headers.get('Content-Type'));
        expect(await again.text()).toBe(answer.text);
      }
    }
    expect(await redemptionsOf(id)).toBe(1);
  });

  it('is refused for another request', async () => {
    const [{ code }, other] = [await createVoucher({}), await createVoucher({})];
    const key = randomUUID();
    await redeem(code, key, { reference: 'a' });
    for (const answer of [
      await redeem(code, key, { reference: 'b' }),
      await redeem(other.code, key, { reference: 'a' }),
    ]) {
      expect(JSON.parse(answer.text)).toMatchObject({ status: 422, code: 'idempotency_key_reused' });
    }
  });

  it('is free again after a request that came to nothing', async () => {
    const key = randomUUID();
    expect((await redeem('NOT-YET-THERE', key)).status).toBe(404);
    await createVoucher({ code: 'NOT-YET-THERE' });
    expect((await redeem('NOT-YET-THERE', key)).status).toBe(201);
  });

  it('is forgotten after 24 hours, and the table with it', async () => {
    const { id, code } = await createVoucher({});
    const [key, another] = [randomUUID(), randomUUID()];
    await redeem(code, key);
    await database.query(`UPDATE idempotency_keys SET created_at = now() - interval '24 hours'`);
    expect((await redeem(code, key)).status).toBe(201);
    expect(await redemptionsOf(id)).toBe(2);
    await database.query(`UPDATE idempotency_keys SET created_at = now() - interval '25 hours'`);
    await redeem(code, another);
    expect(await database.query('SELECT key FROM idempotency_keys')).toEqual([{ key: another }]);
  });
});
