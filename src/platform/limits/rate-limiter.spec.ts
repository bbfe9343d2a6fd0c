import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Request, Response } from 'express';
import { clientAddress } from './client-address.js';
import { RateLimiter } from './rate-limiter.js';

let now = 0;
beforeEach(() => {
  jest.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => {
  jest.restoreAllMocks();
});

/** Counts a request and returns its RateLimit headers. */
function count(limiter: RateLimiter, key: string): Record<string, number> {
  const headers: Record<string, number> = {};
  const getHeader = (name: string) => headers[name];
  const setHeader = (name: string, value: number) => (headers[name] = value);
  limiter.count(key, { getHeader, setHeader } as unknown as Response);
  return headers;
}

describe('RateLimiter', () => {
  it('accepts the limit per key, then rejects with the seconds until the window ends', () => {
    const limiter = new RateLimiter(2);
    expect(count(limiter, 'a')).toEqual({
      'RateLimit-Limit': 2,
      'RateLimit-Remaining': 1,
      'RateLimit-Reset': 60,
    });
    now += 20_500;
    expect(count(limiter, 'a')).toMatchObject({ 'RateLimit-Remaining': 0, 'RateLimit-Reset': 40 });
    expect(() => count(limiter, 'a')).toThrow(expect.objectContaining({ headers: { 'Retry-After': '40' } }));
    expect(count(limiter, 'b')).toMatchObject({ 'RateLimit-Remaining': 1 });
  });

  it('starts a new window after a minute', () => {
    const limiter = new RateLimiter(1);
    count(limiter, 'a');
    expect(() => count(limiter, 'a')).toThrow('Rate limit exceeded');
    now += 60_000;
    expect(count(limiter, 'a')).toMatchObject({ 'RateLimit-Remaining': 0, 'RateLimit-Reset': 60 });
  });

  it('accepts everything with limit 0', () => {
    const limiter = new RateLimiter(0);
    for (let request = 0; request < 100; request++) expect(count(limiter, 'a')).toEqual({});
  });

  it('keeps a limit while fewer than 50,000 other keys arrive', () => {
    const limiter = new RateLimiter(1);
    count(limiter, 'limited');
    for (let key = 1; key < 50_000; key++) count(limiter, `key ${key}`);
    expect(() => count(limiter, 'limited')).toThrow('Rate limit exceeded');
  });

  it('needs at most 20 MB for 50,000 client addresses in headers of 2 kB', () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const limiter = new RateLimiter(1);
    const heapUsed = () => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    const before = heapUsed();
    for (let key = 0; key < 50_000; key++) {
      // As Express parses X-Forwarded-For: V8 keeps a header in memory for a part of it.
      const address = [203, ...[14, 7, 0].map((bits) => 100 + ((key >> bits) & 127))].join('.');
      const ip = `${'x'.repeat(2_000)}, ${address}`.slice(2_002);
      count(limiter, clientAddress({ ip, socket: {} } as Request));
    }
    const megabytes = (heapUsed() - before) / 1024 ** 2;
    expect(megabytes).toBeLessThan(20);
    expect(count(limiter, 'another')).toMatchObject({ 'RateLimit-Remaining': 0 }); // still in use
  });

  it('forgets the oldest of more than 50,000 keys', () => {
    const limiter = new RateLimiter(1);
    for (let key = 0; key <= 50_000; key++) count(limiter, `key ${key}`);
    expect(() => count(limiter, 'key 50000')).toThrow('Rate limit exceeded');
    expect(() => count(limiter, 'key 1')).toThrow('Rate limit exceeded');
    expect(count(limiter, 'key 0')).toMatchObject({ 'RateLimit-Remaining': 0 });
  });
});
