import { Injectable, type MessageEvent, type OnModuleDestroy } from '@nestjs/common';
import type { Request } from 'express';
import { Observable, ReplaySubject, tap } from 'rxjs';

/** Below the idle timeouts of load balancers, and of this server: see setServerTimeouts(). */
const HEARTBEAT_MS = 15_000;

/** Clients reconnect at different times, from 1 s on. */
const MIN_RETRY_MS = 1_000;
const RETRY_JITTER_MS = 4_000;

/**
 * Keeps Server-Sent Events open while no event occurs, and ends them at shutdown, with a hint when to reconnect. An open
 * stream is no running handler: neither HANDLER_TIMEOUT_MS nor CONCURRENCY_LIMIT applies.
 */
@Injectable()
export class EventStreams implements OnModuleDestroy {
  private readonly shutdown = new ReplaySubject<void>();

  /** Runs before connection draining. */
  onModuleDestroy(): void {
    this.shutdown.next();
  }

  /** Adds heartbeats to the events of a handler with `@Sse()`. */
  keepOpen(request: Request, events: Observable<unknown>): Observable<unknown> {
    return new Observable((subscriber) => {
      let id = request.get('Last-Event-ID');
      const heartbeat = setInterval(() => subscriber.next({ comment: 'heartbeat' }), HEARTBEAT_MS);
      subscriber.add(() => clearInterval(heartbeat));
      subscriber.add(
        this.shutdown.subscribe(() => {
          const retry = MIN_RETRY_MS + Math.round(Math.random() * RETRY_JITTER_MS);
          // Without an id, Nest would add a number, from which the client would continue.
          subscriber.next({ retry, id } satisfies Partial<MessageEvent>);
          subscriber.complete();
        }),
      );
      const seen = tap<unknown>((event) => (id = (event as MessageEvent | undefined)?.id ?? id));
      subscriber.add(events.pipe(seen).subscribe(subscriber));
    });
  }
}
