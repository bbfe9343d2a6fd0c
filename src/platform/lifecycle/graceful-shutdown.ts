import type { Server, ServerResponse } from 'node:http';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Env } from '../config/env.js';

/**
 * Connections may be waiting in the accept queue: Node accepts one per turn of the event loop, and closing the server
 * resets the rest. The server closes after a quiet period without a new connection, or after ten periods.
 */
const QUIET_PERIOD_MS = 100;
const MAX_QUIET_PERIODS = 10;

/** Time beyond SHUTDOWN_TIMEOUT_MS to close the pools. Cloud Run kills the process 10 s after SIGTERM. */
const CLOSE_GRACE_MS = 500;

/**
 * Graceful shutdown with connection draining: readiness fails, every response closes its connection, and requests in
 * flight finish before Nest closes the server and the pools. Cloud Run stops routing requests before it sends SIGTERM;
 * other platforms need SHUTDOWN_DELAY_MS to react to the failed readiness.
 */
@Injectable()
export class GracefulShutdown implements OnModuleInit, BeforeApplicationShutdown {
  private readonly logger = new Logger(GracefulShutdown.name);
  /** Not a Set: after a rehash, its old table refers to the new one, so finished responses survive minor garbage collections. */
  private readonly inFlight: ServerResponse[] = [];

  draining = false;
  /** When the process ends at the latest: a value of performance.now(), set by a signal. */
  exitAt = Infinity;
  private closing = false;
  private connections = 0;

  constructor(
    private readonly adapterHost: HttpAdapterHost,
    private readonly env: Env,
  ) {}

  onModuleInit(): void {
    this.server?.on('connection', () => this.connections++);
    this.server?.prependListener('request', (_request, response: ServerResponse) => {
      if (this.draining) response.setHeader('Connection', 'close');
      this.inFlight.push(response);
      response.once('close', () => {
        this.inFlight.splice(this.inFlight.indexOf(response), 1);
        this.closeUnused();
      });
    });
  }

  async beforeApplicationShutdown(signal?: string): Promise<void> {
    this.draining = true;
    if (signal) this.logger.log(`${signal}: ${this.inFlight.length} requests in flight`);
    for (const response of this.inFlight) {
      if (!response.headersSent) response.setHeader('Connection', 'close');
    }
    this.enforceDeadline(signal);
    if (!this.server) return;
    await sleep(this.env.SHUTDOWN_DELAY_MS);
    await this.waitForPendingConnections();
    this.closing = true;
    this.closeUnused();
  }

  private async waitForPendingConnections(): Promise<void> {
    for (let pause = 0, before = -1; pause < MAX_QUIET_PERIODS && before !== this.connections; pause++) {
      before = this.connections;
      await sleep(QUIET_PERIOD_MS);
      await nextTurn(); // a throttled process accepts pending connections only now
    }
  }

  /** Nest's close() waits for every connection, idle ones included. */
  private closeUnused(): void {
    if (this.closing && this.inFlight.length === 0) this.server?.closeAllConnections();
  }

  private enforceDeadline(signal: string | undefined): void {
    const { SHUTDOWN_TIMEOUT_MS } = this.env;
    setTimeout(() => {
      if (this.inFlight.length > 0)
        this.logger.error(`Aborted ${this.inFlight.length} requests that exceeded SHUTDOWN_TIMEOUT_MS`);
      this.server?.closeAllConnections();
    }, SHUTDOWN_TIMEOUT_MS).unref();
    // A handler that never ends keeps its database connection, and closing the pool would wait for it.
    if (!signal) return;
    const exitMs = SHUTDOWN_TIMEOUT_MS + CLOSE_GRACE_MS;
    this.exitAt = performance.now() + exitMs;
    setTimeout(() => process.exit(1), exitMs).unref();
  }

  /** Undefined in a program without HTTP, such as a job. */
  private get server(): Server | undefined {
    return this.adapterHost.httpAdapter?.getHttpServer();
  }
}
