import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { HealthIndicatorService } from '@nestjs/terminus';
import { DatabaseError, Pool } from 'pg';
import { DataSource } from 'typeorm';
import { Env } from '../config/env.js';
import { packageInfo } from '../config/package-info.js';
import { DatabaseConnection } from '../database/database-connection.js';
import { reasonOf } from '../database/reason-of.js';

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
  private healthy = true;
  private upToDate = false;
  private readonly checks = new Map<string, { result: Promise<void>; validUntil: number }>();

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
    const check = async () => {
      const pending = await this.pendingMigrations();
      if (pending.length > 0) throw new Error(`${pending.length} pending: run the migrations of this build`);
      this.upToDate = true;
    };
    return indicator.attempt(() => this.cached('migrations', check)).withTimeout(TIMEOUT_MS);
  }

  /** Up while the database responds. */
  responds() {
    const indicator = this.indicators.check('database');
    if (!this.dataSource.isInitialized) return indicator.down('waiting for the first connection');
    const check = async () => void (await this.query('SELECT 1'));
    return indicator.attempt(() => this.cached('database', check)).withTimeout(TIMEOUT_MS);
  }

  /** Terminus' own cache uses the wall clock: a clock that is set back would keep an old result. */
  private cached(name: string, check: () => Promise<void>): Promise<void> {
    const last = this.checks.get(name);
    if (last && performance.now() < last.validUntil) return last.result;
    const started = { result: check(), validUntil: Infinity };
    this.checks.set(name, started);
    const expireSoon = () => {
      started.validUntil = performance.now() + CACHE_TTL_MS;
    };
    void started.result.then(expireSoon, expireSoon);
    return started.result;
  }

  private async pendingMigrations(): Promise<string[]> {
    const [{ exists } = {}] = await this.query(`SELECT to_regclass('migrations') IS NOT NULL AS exists`);
    const done = exists ? await this.query('SELECT name FROM migrations') : [];
    const names = new Set(done.map(({ name }) => name));
    return this.dataSource.migrations.map(({ name }) => String(name)).filter((name) => !names.has(name));
  }

  /** @throws an error without details; its cause is logged once, until a query succeeds again */
  private async query(sql: string): Promise<Record<string, unknown>[]> {
    try {
      const { rows } = await this.pool.query<Record<string, unknown>>(sql);
      if (!this.healthy) this.logger.log('The database responds again');
      this.healthy = true;
      return rows;
    } catch (cause) {
      const message = isRejection(cause) ? 'the database rejects the health check' : 'the database does not respond';
      if (this.healthy) this.logger.error(new Error(`${message}: ${reasonOf(cause)}`, { cause }));
      this.healthy = false;
      throw new Error(message, { cause });
    }
  }
}

/** A missing privilege or table: https://www.postgresql.org/docs/current/errcodes-appendix.html */
function isRejection(error: unknown): boolean {
  return error instanceof DatabaseError && error.code?.startsWith('42') === true;
}
