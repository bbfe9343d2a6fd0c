import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { Response } from 'express';
import { type Observable, tap } from 'rxjs';

/**
 * Sends the `version` of the representation as its ETag, for If-Match. Express answers 304 by itself when the ETag of
 * a GET stands in If-None-Match.
 */
@Injectable()
export class ETagInterceptor implements NestInterceptor<unknown> {
  intercept(context: ExecutionContext, next: CallHandler<unknown>): Observable<unknown> {
    const response = context.switchToHttp().getResponse<Response>();
    return next.handle().pipe(
      tap((body) => {
        if (typeof body === 'object' && body !== null && 'version' in body) response.set('ETag', `"${body.version}"`);
      }),
    );
  }
}
