import type { Response } from 'express';
import { Problem } from '../problems/problem.js';
import { tooManyRequests } from '../problems/problem-types.js';

const WINDOW_MS = 60_000;

/** A ceiling on memory: about 10 MB. Beyond it the oldest windows are forgotten. */
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
    const reset = String(Math.ceil((window.endsAt - now) / 1000));
    const reported = response.get('RateLimit-Remaining');
    if (reported === undefined || remaining < Number(reported)) {
      response.set({
        'RateLimit-Limit': String(this.limit),
        'RateLimit-Remaining': String(remaining),
        'RateLimit-Reset': reset,
      });
    }
    if (window.count > this.limit) throw new Problem(tooManyRequests, { headers: { 'Retry-After': reset } });
  }

  private currentWindow(key: string, now: number): Window {
    this.forget(({ endsAt }) => endsAt <= now);
    const current = this.windows.get(key);
    if (current) return current;
    this.forget(() => this.windows.size >= MAX_KEYS);
    const window = { count: 0, endsAt: now + WINDOW_MS };
    this.windows.set(key, window);
    return window;
  }

  /** Deletes windows from the oldest on, while the condition holds. */
  private forget(condition: (window: Window) => boolean): void {
    for (const [key, window] of this.windows) {
      if (!condition(window)) return;
      this.windows.delete(key);
    }
  }
}
