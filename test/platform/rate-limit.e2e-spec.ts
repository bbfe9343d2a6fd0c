import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createApiKey } from '../../src/platform/auth/api-key.js';
import { givenApiKey } from '../support/credentials.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

const LIMIT = 5;

let sut: TestApp;
beforeEach(async () => {
  sut = await createTestApp({ env: { RATE_LIMIT_PER_MINUTE: String(LIMIT) } });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await sut.close();
});

/** Asks as the proxy in front of the service passes it on; what a client writes itself stands before the proxy's part. */
const from = (forwardedFor: string, key?: string) => {
  const request = sut.anonymous.get('/v1/me').set('X-Forwarded-For', forwardedFor);
  return key === undefined ? request : request.set('x-api-key', key);
};

async function statusesOf(count: number, ask: (index: number) => ReturnType<typeof from>): Promise<number[]> {
  const statuses = [];
  for (let index = 0; index < count; index++) statuses.push((await ask(index)).status);
  return statuses;
}

describe('a client address', () => {
  it('has so many requests a minute, on all routes together; then it is told when to come again', async () => {
    const key = await givenApiKey(sut.database);
    for (let used = 1; used <= LIMIT; used++) {
      const { headers } = await from('203.0.113.1', key).expect(200);
      expect(headers).toMatchObject({
        'ratelimit-limit': String(LIMIT),
        'ratelimit-remaining': String(LIMIT - used),
        'ratelimit-reset': expect.stringMatching(/^([1-9]|[1-5]\d|60)$/),
      });
    }
    const { body, headers } = await sut.anonymous.get('/').set('X-Forwarded-For', '203.0.113.1').expect(429);
    expect(body.code).toBe('too_many_requests');
    expect(headers).toMatchObject({
      'retry-after': expect.stringMatching(/^([1-9]|[1-5]\d|60)$/),
      'ratelimit-limit': String(LIMIT),
      'ratelimit-remaining': '0',
    });

    const inAMinute = performance.now() + 61_000;
    jest.spyOn(performance, 'now').mockReturnValue(inAMinute);
    await from('203.0.113.1', key).expect(200);
  });

  it('is limited in guessing credentials, too', async () => {
    const statuses = await statusesOf(LIMIT + 1, () => from('203.0.113.2', createApiKey().key));
    expect(statuses).toEqual([...Array<number>(LIMIT).fill(401), 429]);
  });

  it('is the one that the nearest proxy saw: what a client writes before it does not help', async () => {
    const statuses = await statusesOf(LIMIT + 1, (index) => from(`198.51.100.${index}, 203.0.113.3`));
    expect(statuses.at(-1)).toBe(429);
    expect(await statusesOf(LIMIT + 1, (index) => from(`203.0.113.4, 203.0.113.${index + 10}`))).not.toContain(429);
  });

  it('of IPv6 is its network: whoever has one has 2^64 addresses', async () => {
    const statuses = await statusesOf(LIMIT + 1, (index) => from(`2001:db8:1:2::${index}`));
    expect(statuses.at(-1)).toBe(429);
  });
});

it('a principal has so many requests a minute, from wherever they come', async () => {
  const [one, other] = [await givenApiKey(sut.database), await givenApiKey(sut.database)];
  const statuses = await statusesOf(LIMIT + 1, (index) => from(`203.0.113.${index + 50}`, one));
  expect(statuses).toEqual([...Array<number>(LIMIT).fill(200), 429]);
  await from('203.0.113.90', other).expect(200);
});

it('a client is told of the budget that ends first', async () => {
  const [one, other] = [await givenApiKey(sut.database), await givenApiKey(sut.database)];
  for (let count = 0; count < 3; count++) await from('203.0.113.7', one).expect(200);
  const { headers } = await from('203.0.113.7', other).expect(200);
  expect(headers['ratelimit-remaining']).toBe('1');
});

it('probes are not limited', async () => {
  for (let count = 0; count < LIMIT * 2; count++) await sut.anonymous.get('/health/ready').expect(200);
});
