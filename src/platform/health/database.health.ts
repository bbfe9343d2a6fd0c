import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { HealthIndicatorService } from '@nestjs/terminus';
import { Pool } from 'pg';
import { DataSource } from 'typeorm';
import { Env } from '../config/env.js';
import { packageInfo } from '../config/package-info.js';
import { DatabaseConnection } from '../database/database-connection.js';

const TIMEOUT_MS = 1_000;
const CACHE_TTL_MS = 1_000;

/**
 * Asks the database through a connection of its own, so that a busy pool does not look like a lost database, and at
 * most once a second however many probes come. It works on demand: Cloud Run takes the CPU away between requests, and
 * a timer would stand still.
 */
@Injectable()
export class DatabaseHealth implements OnApplicationShutdown {
  private readonly logger = new Logger(DatabaseHealth.name);
  private readonly pool: Pool;
  private reachable = true;
  private upToDate = false;

  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly dataSource: DataSource,
    private readonly connection: DatabaseConnection,
    private readonly env: Env,
  ) {
    this.pool = new Pool({
      connectionString: env.DATABASE_URL,
      application_name: `${packageInfo.name} health`,
      max: 1,
      idleTimeoutMillis: 0,
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
      keepAlive: true,
    });
    this.pool.on('error', () => undefined); // a lost idle connection shows at the next question
  }

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }

  /** Up once the pool has its first connection, with the time that took. */
  connected() {
    const indicator = this.indicators.check('database');
    const { connectMs } = this.connection;
    if (connectMs === undefined) return indicator.down('waiting for the first connection');
    return indicator.up({ connectMs, warnAfterMs: this.env.DATABASE_STARTUP_WARN_AFTER_MS });
  }

  /** Up once no migration of this build is pending; a database that is ahead, as after a rollback, is fine. */
  migrated() {
    const indicator = this.indicators.check('migrations');
    if (this.upToDate) return indicator.up();
    if (!this.dataSource.isInitialized) return indicator.down('not known before the first connection');
    return indicator
      .attempt(async () => {
        const pending = await this.pendingMigrations();
        if (pending.length > 0) throw new Error(`${pending.length} pending: run the migrations of this build`);
        this.upToDate = true;
      })
      .withTimeout(TIMEOUT_MS)
      .cacheFor(CACHE_TTL_MS);
  }

  /** Up while the database answers a query. */
  answers() {
    const indicator = this.indicators.check('database');
    if (!this.dataSource.isInitialized) return indicator.down('waiting for the first connection');
    return indicator
      .attempt(async () => {
        await this.query('SELECT 1');
      })
      .withTimeout(TIMEOUT_MS)
      .cacheFor(CACHE_TTL_MS);
  }

  private async pendingMigrations(): Promise<string[]> {
    const [{ exists } = {}] = await this.query(`SELECT to_regclass('migrations') IS NOT NULL AS exists`);
    const done = exists ? await this.query('SELECT name FROM migrations') : [];
    const names = new Set(done.map(({ name }) => name));
    return this.dataSource.migrations.map(({ name }) => String(name)).filter((name) => !names.has(name));
  }

  /** @throws an error fit for the public; its cause goes to the log when the database turns unreachable */
  private async query(sql: string): Promise<Record<string, unknown>[]> {
    try {
      const { rows } = await this.pool.query<Record<string, unknown>>(sql);
      if (!this.reachable) this.logger.log('The database answers again');
      this.reachable = true;
      return rows;
    } catch (cause) {
      if (this.reachable) this.logger.error(new Error('The database does not answer', { cause }));
      this.reachable = false;
      throw new Error('the database does not answer', { cause });
    }
  }
}
