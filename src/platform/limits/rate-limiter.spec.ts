import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Response } from 'express';
import { RateLimiter } from './rate-limiter.js';

let now = 0;
beforeEach(() => {
  jest.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => {
  jest.restoreAllMocks();
});

/** Counts a request and returns its RateLimit headers. */
function count(limiter: RateLimiter, key: string): Record<string, string> {
  const headers: Record<string, string> = {};
  const response = { get: (name: string) => headers[name], set: (values: object) => Object.assign(headers, values) };
  limiter.count(key, response as unknown as Response);
  return headers;
}

describe('RateLimiter', () => {
  it('accepts the limit per key, then rejects with the seconds until the window ends', () => {
    const limiter = new RateLimiter(2);
    expect(count(limiter, 'a')).toEqual({
      'RateLimit-Limit': '2',
      'RateLimit-Remaining': '1',
      'RateLimit-Reset': '60',
    });
    now += 20_500;
    expect(count(limiter, 'a')).toMatchObject({ 'RateLimit-Remaining': '0', 'RateLimit-Reset': '40' });
    expect(() => count(limiter, 'a')).toThrow(expect.objectContaining({ headers: { 'Retry-After': '40' } }));
    expect(count(limiter, 'b')).toMatchObject({ 'RateLimit-Remaining': '1' });
  });

  it('starts a new window after a minute', () => {
    const limiter = new RateLimiter(1);
    count(limiter, 'a');
    expect(() => count(limiter, 'a')).toThrow('Rate limit exceeded');
    now += 60_000;
    expect(count(limiter, 'a')).toMatchObject({ 'RateLimit-Remaining': '0', 'RateLimit-Reset': '60' });
  });

  it('accepts everything with limit 0', () => {
    const limiter = new RateLimiter(0);
    for (let request = 0; request < 100; request++) expect(count(limiter, 'a')).toEqual({});
  });

  it('forgets the oldest of more than 50,000 keys', () => {
    const limiter = new RateLimiter(1);
    for (let key = 0; key <= 50_000; key++) count(limiter, `key ${key}`);
    expect(() => count(limiter, 'key 50000')).toThrow('Rate limit exceeded');
    expect(() => count(limiter, 'key 1')).toThrow('Rate limit exceeded');
    expect(count(limiter, 'key 0')).toMatchObject({ 'RateLimit-Remaining': '0' });
  });
});
