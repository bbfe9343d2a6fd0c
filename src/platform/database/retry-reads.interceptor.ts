import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { Request } from 'express';
import { type Observable, retry, throwError, timer } from 'rxjs';
import { QueryFailedError } from 'typeorm';

const RETRY_DELAY_MS = 20;

/** Reads once more when the connection was lost on the way: after a failover, every pool is full of dead ones. */
@Injectable()
export class RetryReadsInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { method } = context.switchToHttp().getRequest<Request>();
    if (method !== 'GET' && method !== 'HEAD') return next.handle();
    const delay = (error: unknown) => (isLostConnection(error) ? timer(RETRY_DELAY_MS) : throwError(() => error));
    return next.handle().pipe(retry({ count: 1, delay }));
  }
}

/** The server closed it, or an administrator did, or a named statement is none any more: postgresDriver ends such a connection. */
function isLostConnection(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { message, code } = error.driverError as Error & { code?: string };
  // https://www.postgresql.org/docs/current/errcodes-appendix.html
  return (
    /^(57P0[123]|08\d\d\d|26000|0A000|ECONNRESET|EPIPE)$/.test(code ?? '') ||
    message.startsWith('Connection terminated')
  );
}
