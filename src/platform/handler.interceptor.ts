import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { SSE_METADATA } from '@nestjs/common/internal';
import { delay, finalize, fromEvent, merge, mergeMap, type Observable, takeUntil, throwError, timeout } from 'rxjs';
import { Env } from './config/env.js';
import { retryRead } from './database/retry-read.js';
import { abortIncomplete } from './http/abort-incomplete.js';
import { bodyRuleOf } from './http/body-rule.js';
import { EventStreams } from './http/event-streams.js';
import { httpContext } from './http/http-context.js';
import { isRead } from './http/preconditions.js';
import { RequestBody } from './http/request-body.js';
import { requestContext } from './http/request-context.js';
import { startStreams } from './http/start-streams.js';
import { ConcurrencyLimit } from './limits/concurrency-limit.js';
import { Problem } from './problems/problem.js';
import { handlerTimeout } from './problems/problem-types.js';

/** The steps of the request pipeline around a handler. They share an interceptor, because each call of one costs more than a step. */
@Injectable()
export class HandlerInterceptor implements NestInterceptor {
  constructor(
    private readonly body: RequestBody,
    private readonly concurrency: ConcurrencyLimit,
    private readonly events: EventStreams,
    private readonly env: Env,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> | Promise<Observable<unknown>> {
    const { request, response } = httpContext(context, HandlerInterceptor.name);
    abortIncomplete(response);
    const rule = bodyRuleOf(context);
    if (!rule) return this.run(context, next);
    return this.body.read(request, response, rule).then(({ failure }) => this.run(context, next, failure));
  }

  /** @param failure the failure of a body that the handler reads as a stream */
  private run(context: ExecutionContext, next: CallHandler, failure?: Observable<never>): Observable<unknown> {
    const { request, response } = httpContext(context, HandlerInterceptor.name);
    if (Reflect.hasMetadata(SSE_METADATA, context.getHandler())) return this.events.keepOpen(request, next.handle());
    this.concurrency.enter(request);
    const { HANDLER_TIMEOUT_MS: ms } = this.env;
    if (!failure) requestContext.getStore()!.deadline = performance.now() + ms;
    const handled = next.handle().pipe(startStreams(response));
    // The deadline of a stream begins when all of it has arrived.
    const deadline = failure
      ? takeUntil<unknown>(merge(failure, fromEvent(request, 'end').pipe(delay(ms), mergeMap(expired))))
      : timeout<unknown, Observable<never>>({ each: ms, with: expired });
    return (isRead(request) ? handled.pipe(retryRead) : handled).pipe(deadline, finalize(this.concurrency.leave));
  }
}

/** Before the platform's own request timeout. */
const expired = () => throwError(() => new Problem(handlerTimeout, { headers: { 'Retry-After': '1' } }));
