import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { type Observable, throwError, timeout } from 'rxjs';
import { Env } from '../config/env.js';
import { Problem } from '../problems/problem.js';
import { handlerTimeout } from '../problems/problem-types.js';

/** Returns a problem after HANDLER_TIMEOUT_MS, before the platform's own request timeout. */
@Injectable()
export class HandlerTimeoutInterceptor implements NestInterceptor {
  constructor(private readonly env: Env) {}

  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { HANDLER_TIMEOUT_MS } = this.env;
    const late = () => throwError(() => new Problem(handlerTimeout, { headers: { 'Retry-After': '1' } }));
    return next.handle().pipe(timeout({ each: HANDLER_TIMEOUT_MS, with: late }));
  }
}
