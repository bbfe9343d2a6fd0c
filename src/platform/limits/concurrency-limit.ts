import {
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  Injectable,
  Logger,
  type NestInterceptor,
} from '@nestjs/common';
import type { Request } from 'express';
import { finalize, type Observable } from 'rxjs';
import { Env } from '../config/env.js';
import { isHealthPath } from '../http/health-path.js';
import { Problem } from '../problems/problem.js';
import { overloaded } from '../problems/problem-types.js';

const LOG_INTERVAL_MS = 10_000;

/**
 * Rejects requests while CONCURRENCY_LIMIT handlers run. Accepted, they would make every request late. As a guard it
 * rejects before the body is read; as an interceptor, after the body, it counts the handler. A slow upload does not count.
 */
@Injectable()
export class ConcurrencyLimit implements CanActivate, NestInterceptor {
  private readonly logger = new Logger(ConcurrencyLimit.name);
  private readonly rejection = new Problem(overloaded, { headers: { 'Retry-After': '1' } });
  private running = 0;
  private loggedAt = -Infinity;

  constructor(private readonly env: Env) {}

  canActivate(context: ExecutionContext): true {
    const { path } = context.switchToHttp().getRequest<Request>();
    if (this.running >= this.env.CONCURRENCY_LIMIT && !isHealthPath(path)) this.reject();
    return true;
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    this.canActivate(context); // the limit may have been reached while the body arrived
    this.running++;
    return next.handle().pipe(finalize(() => this.running--));
  }

  private reject(): never {
    if (performance.now() - this.loggedAt > LOG_INTERVAL_MS) {
      this.loggedAt = performance.now();
      this.logger.warn(`Rejecting requests: ${this.running} are running (CONCURRENCY_LIMIT)`);
    }
    throw this.rejection;
  }
}
