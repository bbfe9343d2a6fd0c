import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { SSE_METADATA } from '@nestjs/common/internal';
import type { Request } from 'express';
import { EMPTY, fromEvent, merge, mergeMap, Observable, timer } from 'rxjs';
import { Env } from './config/env.js';
import { isLostConnection } from './database/lost-connection.js';
import { abortIncomplete } from './http/abort-incomplete.js';
import { bodyRuleOf } from './http/body-rule.js';
import { EventStreams } from './http/event-streams.js';
import { httpContext } from './http/http-context.js';
import { isRead } from './http/preconditions.js';
import { RequestBody } from './http/request-body.js';
import { requestContext } from './http/request-context.js';
import { startStream } from './http/start-stream.js';
import { ConcurrencyLimit } from './limits/concurrency-limit.js';
import { Problem } from './problems/problem.js';
import { handlerTimeout } from './problems/problem-types.js';

const RETRY_DELAY_MS = 20;

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
    if (!failure) requestContext.getStore()!.deadline = performance.now() + this.env.HANDLER_TIMEOUT_MS;
    // One Observable, because an operator of RxJS costs more than each step.
    return new Observable((subscriber) => {
      const fail = (error: unknown) => subscriber.error(error);
      const handle = (onError: (error: unknown) => void) => {
        let start = (): Observable<unknown> => EMPTY;
        const send = {
          next: (body: unknown) => subscriber.next(body),
          error: onError,
          complete: () => subscriber.complete(),
        };
        const handled = next.handle().subscribe({
          next: (body) => (start = () => startStream(body, response)),
          error: onError,
          complete: () => subscriber.add(start().subscribe(send)),
        });
        subscriber.add(handled);
      };
      // A failover leaves only dead connections in the pool.
      const retry = (error: unknown) => {
        if (isLostConnection(error)) subscriber.add(timer(RETRY_DELAY_MS).subscribe(() => handle(fail)));
        else fail(error);
      };
      subscriber.add(this.concurrency.leave);
      subscriber.add(this.deadline(request, failure).subscribe({ error: fail }));
      if (!subscriber.closed) handle(isRead(request) ? retry : fail);
    });
  }

  /** Fails when the handler has taken too long. The time of a stream begins when all of it has arrived. */
  private deadline(request: Request, failure?: Observable<never>): Observable<never> {
    const expiry = new Observable<never>((subscriber) => {
      const expire = () => subscriber.error(new Problem(handlerTimeout, { headers: { 'Retry-After': '1' } }));
      const timeout = setTimeout(expire, this.env.HANDLER_TIMEOUT_MS); // before the platform's own request timeout
      return () => clearTimeout(timeout);
    });
    return failure ? merge(failure, fromEvent(request, 'end').pipe(mergeMap(() => expiry))) : expiry;
  }
}
