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
 * Checks the database over a dedicated connection, so that a busy pool does not look like an outage, and at most once per
 * second. Checks run on demand: Cloud Run throttles the CPU between requests, which stops timers.
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
    this.pool.on('error', () => undefined); // a lost idle connection shows at the next check
  }

  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }

  /** Up after the first connection of the pool; reports how long it took. */
  connected() {
    const indicator = this.indicators.check('database');
    const { connectMs } = this.connection;
    if (connectMs === undefined) return indicator.down('waiting for the first connection');
    return indicator.up({ connectMs, warnAfterMs: this.env.DATABASE_STARTUP_WARN_AFTER_MS });
  }

  /** Up when no migration of this build is pending. A newer schema, as after a rollback, is accepted. */
  migrated() {
    const indicator = this.indicators.check('migrations');
    if (this.upToDate) return indicator.up();
    if (!this.dataSource.isInitialized) return indicator.down('unknown before the first connection');
    return indicator
      .attempt(async () => {
        const pending = await this.pendingMigrations();
        if (pending.length > 0) throw new Error(`${pending.length} pending: run the migrations of this build`);
        this.upToDate = true;
      })
      .withTimeout(TIMEOUT_MS)
      .cacheFor(CACHE_TTL_MS);
  }

  /** Up while the database responds. */
  responds() {
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

  /** @throws an error without details; its cause is logged when the database becomes unreachable */
  private async query(sql: string): Promise<Record<string, unknown>[]> {
    try {
      const { rows } = await this.pool.query<Record<string, unknown>>(sql);
      if (!this.reachable) this.logger.log('The database responds again');
      this.reachable = true;
      return rows;
    } catch (cause) {
      if (this.reachable) this.logger.error(new Error('The database does not respond', { cause }));
      this.reachable = false;
      throw new Error('the database does not respond', { cause });
    }
  }
}
