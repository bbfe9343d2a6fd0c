import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { Response } from 'express';
import { type Observable, tap } from 'rxjs';

/** Sends the `version` of a representation as its ETag. Express itself returns 304 when If-None-Match names the ETag. */
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
