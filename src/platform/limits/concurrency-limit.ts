import { Injectable, Logger } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import { Env } from '../config/env.js';
import { isHealthPath } from '../http/health-path.js';
import { Problem } from '../problems/problem.js';
import { overloaded } from '../problems/problem-types.js';

const LOG_INTERVAL_MS = 10_000;

/**
 * Load shedding: rejects requests while CONCURRENCY_LIMIT handlers run, because more would slow down every request. The
 * middleware rejects before any expensive step. HandlerInterceptor counts the handlers.
 */
@Injectable()
export class ConcurrencyLimit {
  private readonly logger = new Logger(ConcurrencyLimit.name);
  private readonly rejection = new Problem(overloaded, { headers: { 'Retry-After': '1' } });
  private running = 0;
  private rejected = 0;
  private loggedAt = -Infinity;

  constructor(private readonly env: Env) {}

  readonly middleware = (request: Request, response: Response, next: NextFunction): void => {
    if (!this.isExceeded(request)) return next();
    // Without an exception, which would cost more than the response.
    const { details, headers } = this.rejection;
    const body = JSON.stringify({ ...details, requestId: request.id, traceId: request.trace?.traceId });
    response.writeHead(details.status, {
      'Cache-Control': 'no-store',
      'Content-Type': 'application/problem+json',
      'Content-Length': Buffer.byteLength(body),
      ...headers,
    });
    response.end(body);
  };

  /** Counts a handler. @throws {Problem} overloaded, because the limit may have been reached while the body arrived */
  enter(request: Request): void {
    if (this.isExceeded(request)) throw this.rejection;
    this.running++;
  }

  readonly leave = (): void => {
    this.running--;
  };

  private isExceeded({ path }: Request): boolean {
    if (this.running < this.env.CONCURRENCY_LIMIT || isHealthPath(path)) return false;
    this.rejected++;
    if (performance.now() - this.loggedAt > LOG_INTERVAL_MS) {
      this.logger.warn(`Rejected ${this.rejected} requests: ${this.running} are running (CONCURRENCY_LIMIT)`);
      this.rejected = 0;
      this.loggedAt = performance.now();
    }
    return true;
  }
}
