import { hash } from 'node:crypto';
import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { type Observable, tap } from 'rxjs';
import { httpContext } from './http-context.js';

/**
 * Sends a hash of the response as its ETag. A route that embeds other rows needs it in place of the `version`, which their
 * changes do not increment. The ETag is weak, and If-Match never matches it: clients send the `version`, as in `"3"`.
 */
@Injectable()
export class ContentETagInterceptor implements NestInterceptor<unknown> {
  intercept(context: ExecutionContext, next: CallHandler<unknown>): Observable<unknown> {
    const { response } = httpContext(context, ContentETagInterceptor.name);
    return next
      .handle()
      .pipe(tap((body) => response.set('ETag', `W/"${hash('sha256', JSON.stringify(body), 'base64url')}"`)));
  }
}
