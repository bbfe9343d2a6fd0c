import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { map, type Observable } from 'rxjs';
import { Problem } from '../problems/problem.js';
import { preconditionFailed } from '../problems/problem-types.js';
import { httpContext } from './http-context.js';
import { HAS_IF_MATCH } from './if-match.decorator.js';
import { etagOf, isRead, Preconditions } from './preconditions.js';

/**
 * Sends the `version` of a representation as its ETag, and evaluates If-Match and If-None-Match. Express' own comparison
 * ignores If-None-Match in a request with `Cache-Control: no-cache`, and `fetch` adds that header.
 * The version must cover the whole representation. Do not use it for a DTO that embeds another resource, such as the name of
 * a customer. The other row changes without this version, and clients would keep the old representation.
 */
@Injectable()
export class ETagInterceptor implements NestInterceptor<unknown> {
  intercept(context: ExecutionContext, next: CallHandler<unknown>): Observable<unknown> {
    const { request, response } = httpContext(context, ETagInterceptor.name);
    // A handler with @IfMatch() evaluates the conditions itself, on the row that it has locked.
    const isDelegated = Reflect.hasMetadata(HAS_IF_MATCH, context.getHandler());
    const conditions = isDelegated ? undefined : Preconditions.of(request);
    const isUnmodified = (etag: string | undefined) => {
      if (conditions && !conditions.matches(etag)) throw new Problem(preconditionFailed);
      return conditions ? !conditions.noneMatches(etag) : false;
    };
    // The target of other writes, such as a list, exists and has no ETag.
    if (!isRead(request) && isUnmodified(undefined)) throw new Problem(preconditionFailed);
    return next.handle().pipe(
      map((body) => {
        const etag = response.get('ETag') ?? etagIn(body); // or that of the ContentETagInterceptor
        const result = isRead(request) && isUnmodified(etag) ? new globalThis.Response(null, { status: 304 }) : body;
        if (etag) response.set('ETag', etag);
        return result;
      }),
    );
  }
}

function etagIn(body: unknown): string | undefined {
  return typeof body === 'object' && body !== null && 'version' in body ? etagOf(body.version as number) : undefined;
}
