import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createApiKey } from '../../src/platform/auth/api-key.js';
import { advanceClock } from '../support/clock.js';
import { givenApiKey } from '../support/credentials.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

const LIMIT = 5;
const SECONDS = /^([1-9]|[1-5]\d|60)$/;

// The limits of this application last for the whole file: each test uses other addresses and keys.
let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp({ env: { RATE_LIMIT_PER_MINUTE: String(LIMIT) } });
});
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => sut.close());

/** A request as the proxy forwards it: the proxy appends the address that it saw. */
const from = (forwardedFor: string, key = '') =>
  sut.anonymous.get('/v1/me').set({ 'X-Forwarded-For': forwardedFor, ...(key && { 'x-api-key': key }) });

async function statusesOf(count: number, send: (index: number) => ReturnType<typeof from>): Promise<number[]> {
  const statuses = [];
  for (let index = 0; index < count; index++) statuses.push((await send(index)).status);
  return statuses;
}

const limited = (status: number) => [...Array<number>(LIMIT).fill(status), 429];

describe('the rate limit per client address', () => {
  it('counts all routes together, then returns 429 with Retry-After for the rest of the minute', async () => {
    const key = await givenApiKey(sut.database);
    for (let used = 1; used <= LIMIT; used++) {
      const { headers } = await from('203.0.113.1', key).expect(200);
      expect(headers).toMatchObject({
        'ratelimit-limit': String(LIMIT),
        'ratelimit-remaining': String(LIMIT - used),
        'ratelimit-reset': expect.stringMatching(SECONDS),
      });
    }
    const { body, headers } = await sut.anonymous.get('/').set('X-Forwarded-For', '203.0.113.1').expect(429);
    expect(body.code).toBe('too_many_requests');
    expect(headers).toMatchObject({
      'retry-after': expect.stringMatching(SECONDS),
      'ratelimit-limit': String(LIMIT),
      'ratelimit-remaining': '0',
    });
    advanceClock(61);
    await from('203.0.113.1', key).expect(200);
  });

  it('counts requests with invalid credentials', async () => {
    expect(await statusesOf(LIMIT + 1, () => from('203.0.113.2', createApiKey().key))).toEqual(limited(401));
  });

  it('ignores addresses that the client writes into X-Forwarded-For', async () => {
    const forged = await statusesOf(LIMIT + 1, (index) => from(`198.51.100.${index}, 203.0.113.3`));
    expect(forged).toEqual(limited(401));
    const distinct = await statusesOf(LIMIT + 1, (index) => from(`203.0.113.4, 203.0.113.${index + 10}`));
    expect(distinct).not.toContain(429);
  });

  it('counts values that are no address as the address of the connection', async () => {
    const invalid = (index: number) =>
      from(['x'.repeat(10_000), 'unknown', '1.2.3', '203.0.113.7:x'][index % 4]! + index);
    expect(await statusesOf(LIMIT + 1, invalid)).toEqual(limited(401));
  });

  it('counts every notation of an address together', async () => {
    const notations = ['203.0.113.5', '203.0.113.5:80', '203.0.113.5:81', '::ffff:203.0.113.5', '::ffff:cb00:7105'];
    expect(await statusesOf(LIMIT + 1, (index) => from(notations[index % notations.length]!))).toEqual(limited(401));
  });

  it('counts the addresses of an IPv6 /64 network together', async () => {
    expect(await statusesOf(LIMIT + 1, (index) => from(`2001:db8:1:2::${index}`))).toEqual(limited(401));
  });

  it('does not count health probes', async () => {
    for (let count = 0; count < LIMIT * 2; count++) await sut.anonymous.get('/health/ready').expect(200);
  });
});

describe('the rate limit per principal', () => {
  it('counts the requests from all addresses together', async () => {
    const [one, other] = [await givenApiKey(sut.database), await givenApiKey(sut.database)];
    expect(await statusesOf(LIMIT + 1, (index) => from(`203.0.113.${index + 50}`, one))).toEqual(limited(200));
    await from('203.0.113.90', other).expect(200);
  });

  it('reports the smaller of the two remaining budgets', async () => {
    const [one, other] = [await givenApiKey(sut.database), await givenApiKey(sut.database)];
    for (let count = 0; count < 3; count++) await from('203.0.113.7', one).expect(200);
    const { headers } = await from('203.0.113.7', other).expect(200);
    expect(headers['ratelimit-remaining']).toBe('1');
  });
});
