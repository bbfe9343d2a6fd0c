import { setTimeout } from 'node:timers/promises';
import {
  Injectable,
  Logger,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Client } from 'pg';
import { DataSource, QueryFailedError, TypeORMError } from 'typeorm';
import { Env } from '../config/env.js';
import { serverTimeouts } from './data-source.js';
import { reasonOf } from './reason-of.js';

const MIN_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1_000;
const LOG_INTERVAL_MS = 10_000;

/**
 * Connects in the background and retries until it succeeds. On Cloud Run an instance may start before its database; an
 * instance that exits would be restarted in a loop. Until then, requests that need the database return 503. A program without
 * HTTP, such as a job, waits instead.
 */
@Injectable()
export class DatabaseConnection implements OnModuleInit, OnModuleDestroy, OnApplicationShutdown {
  private readonly logger = new Logger(DatabaseConnection.name);
  private readonly stop = new AbortController();
  private connecting?: Promise<void>;

  /** The duration of the first connect in milliseconds; undefined until then. */
  connectMs?: number;

  constructor(
    private readonly dataSource: DataSource,
    private readonly env: Env,
    private readonly adapterHost: HttpAdapterHost,
  ) {}

  /** Early, so that the database connects while Nest registers the routes. */
  async onModuleInit(): Promise<void> {
    this.connecting = this.connect().then(() => this.verifyTimeouts());
    if (!this.adapterHost.httpAdapter) await this.connecting;
  }

  onModuleDestroy(): void {
    this.stop.abort();
  }

  /** A pending attempt cannot be canceled: the pool that it opens is closed here. TypeOrmModule may have closed it already. */
  async onApplicationShutdown(): Promise<void> {
    await this.connecting;
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }

  private async connect(): Promise<void> {
    const startedAt = performance.now();
    let logAt = 0;
    for (let attempt = 1; !this.stop.signal.aborted; attempt++) {
      try {
        await this.dataSource.initialize();
        return this.logConnected(performance.now() - startedAt, attempt);
      } catch (error) {
        // A mapping error is permanent; a database failure may be temporary.
        if (error instanceof TypeORMError && !(error instanceof QueryFailedError)) throw error;
        const waitedMs = performance.now() - startedAt;
        if (waitedMs >= logAt) logAt = this.logFailure(error, waitedMs);
      }
      const wait = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** attempt) * (0.5 + Math.random() / 2);
      await setTimeout(wait, undefined, { signal: this.stop.signal }).catch(() => undefined);
    }
  }

  private logConnected(connectMs: number, attempts: number): void {
    this.connectMs = Math.round(connectMs);
    const warnAfterMs = this.env.DATABASE_STARTUP_WARN_AFTER_MS;
    this.logger.log({
      message: `Connected to the database after ${this.connectMs} ms`,
      connectMs: this.connectMs,
      warnAfterMs,
      attempts,
    });
  }

  /** A connection pooler may ignore the timeouts that the service sends. */
  private async verifyTimeouts(): Promise<void> {
    if (this.connectMs === undefined) return;
    const expected = serverTimeouts(this.env);
    const settings: { name: string; setting: string }[] = await this.dataSource
      .query('SELECT name, setting FROM pg_settings WHERE name = ANY ($1)', [Object.keys(expected)])
      .catch(() => []);
    const missing = settings.flatMap(({ name, setting }) => {
      const expectedMs = expected[name] ?? 0;
      return Number(setting) > 0 && Number(setting) <= expectedMs ? [] : [`SET ${name} = ${expectedMs}`];
    });
    if (missing.length === 0) return;
    const { user, database } = new Client({ connectionString: this.env.DATABASE_URL });
    const remedy = missing.map((set) => `ALTER ROLE "${user}" IN DATABASE "${database}" ${set}`).join('; ');
    this.logger.error(
      `The server does not enforce the timeouts of the service, because a connection pooler ignores them. Run: ${remedy}`,
    );
  }

  /** @returns when to log again, in milliseconds of waiting */
  private logFailure(error: unknown, waitedMs: number): number {
    const warnAfterMs = this.env.DATABASE_STARTUP_WARN_AFTER_MS;
    const { database, host, port } = new Client({ connectionString: this.env.DATABASE_URL });
    const waited = `Waiting for database ${database} at ${host}:${port} for ${Math.round(waitedMs / 1000)} s`;
    const next = waitedMs + LOG_INTERVAL_MS;
    if (waitedMs < warnAfterMs) {
      this.logger.warn(`${waited}: ${reasonOf(error)}`);
      return Math.min(next, warnAfterMs);
    }
    this.logger.error(`${waited}, past DATABASE_STARTUP_WARN_AFTER_MS (${warnAfterMs} ms): ${reasonOf(error)}`);
    return next;
  }
}
