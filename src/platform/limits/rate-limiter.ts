import type { Response } from 'express';
import { Problem } from '../problems/problem.js';
import { tooManyRequests } from '../problems/problem-types.js';

const WINDOW_MS = 60_000;

/** A ceiling on memory: about 12 MB. Beyond it the oldest windows are dropped. */
const MAX_KEYS = 50_000;

interface Window {
  count: number;
  endsAt: number;
}

/** Counts requests per key in windows of a minute, in memory: each instance counts for itself. */
export class RateLimiter {
  /** In the order in which the windows end, because all are of the same length. */
  private readonly windows = new Map<string, Window>();

  /** @param limit requests per minute and key; 0 turns the limiter off */
  constructor(private readonly limit: number) {}

  /**
   * Counts a request and reports the limit in the RateLimit headers, unless another limiter has reported fewer
   * remaining requests.
   * @throws {Problem} too_many_requests
   */
  count(key: string, response: Response): void {
    if (this.limit === 0) return;
    const now = Math.round(performance.now());
    const window = this.currentWindow(key, now);
    window.count++;
    const remaining = Math.max(0, this.limit - window.count);
    const reset = Math.ceil((window.endsAt - now) / 1000);
    const reported = response.getHeader('RateLimit-Remaining');
    if (reported === undefined || remaining < Number(reported)) {
      response.setHeader('RateLimit-Limit', this.limit);
      response.setHeader('RateLimit-Remaining', remaining);
      response.setHeader('RateLimit-Reset', reset);
    }
    if (window.count > this.limit) throw new Problem(tooManyRequests, { headers: { 'Retry-After': String(reset) } });
  }

  private currentWindow(key: string, now: number): Window {
    const current = this.windows.get(key);
    if (current && current.endsAt > now) return current;
    for (const [oldest, { endsAt }] of this.windows) {
      if (endsAt > now && this.windows.size < MAX_KEYS) break;
      this.windows.delete(oldest);
    }
    const window = { count: 0, endsAt: now + WINDOW_MS };
    // A copy of the key: V8 would keep a whole header in memory for a part of it.
    this.windows.set(Buffer.from(key).toString(), window);
    return window;
  }
}
