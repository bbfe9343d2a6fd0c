import type { Server, ServerResponse } from 'node:http';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Env } from '../config/env.js';

/**
 * What was sent before the signal may not be read yet: Node accepts one waiting connection at each turn of its loop, and
 * closing the server resets the others. So it is closed after so long a time without a new one, or ten of them.
 */
const QUIET_PERIOD_MS = 100;
const MAX_QUIET_PERIODS = 10;

/** What the process may take beyond SHUTDOWN_TIMEOUT_MS to close its pools; Cloud Run kills it after 10 s in all. */
const CLOSE_GRACE_MS = 500;

/**
 * Lets a stop go unnoticed: readiness fails, every answer from now on closes its connection, and what is in flight is
 * finished before Nest closes the server and then the pools. Cloud Run sends SIGTERM after it has ceased to route
 * requests here; other platforms need SHUTDOWN_DELAY_MS to notice.
 */
@Injectable()
export class GracefulShutdown implements OnModuleInit, BeforeApplicationShutdown {
  private readonly logger = new Logger(GracefulShutdown.name);
  private readonly inFlight = new Set<ServerResponse>();

  draining = false;
  private closing = false;
  private connections = 0;

  constructor(
    private readonly adapterHost: HttpAdapterHost,
    private readonly env: Env,
  ) {}

  onModuleInit(): void {
    this.server.on('connection', () => this.connections++);
    this.server.prependListener('request', (_request, response: ServerResponse) => {
      if (this.draining) response.setHeader('Connection', 'close');
      this.inFlight.add(response);
      response.once('close', () => {
        this.inFlight.delete(response);
        this.closeUnused();
      });
    });
  }

  async beforeApplicationShutdown(signal?: string): Promise<void> {
    this.draining = true;
    if (signal) this.logger.log(`${signal}: ${this.inFlight.size} requests in flight`);
    for (const response of this.inFlight) {
      if (!response.headersSent) response.setHeader('Connection', 'close');
    }
    this.enforceDeadline(signal);
    await sleep(this.env.SHUTDOWN_DELAY_MS);
    await this.waitForPendingConnections();
    this.closing = true;
    this.closeUnused();
  }

  private async waitForPendingConnections(): Promise<void> {
    for (let pause = 0, before = -1; pause < MAX_QUIET_PERIODS && before !== this.connections; pause++) {
      before = this.connections;
      await sleep(QUIET_PERIOD_MS);
      await nextTurn(); // a process that had no CPU meanwhile has not looked for connections before this
    }
  }

  /** Nest waits for every connection, and Node's own close() for those that have never sent a request, too. */
  private closeUnused(): void {
    if (this.closing && this.inFlight.size === 0) this.server.closeAllConnections();
  }

  private enforceDeadline(signal: string | undefined): void {
    const { SHUTDOWN_TIMEOUT_MS } = this.env;
    setTimeout(() => {
      if (this.inFlight.size > 0) this.logger.error(`Cut ${this.inFlight.size} requests that did not end in time`);
      this.server.closeAllConnections();
    }, SHUTDOWN_TIMEOUT_MS).unref();
    // A handler that hangs keeps its connection to the database, and the pool would wait for it.
    if (signal) setTimeout(() => process.exit(1), SHUTDOWN_TIMEOUT_MS + CLOSE_GRACE_MS).unref();
  }

  private get server(): Server {
    return this.adapterHost.httpAdapter.getHttpServer();
  }
}
