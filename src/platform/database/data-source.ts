import { AbstractLogger, type MigrationInterface } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import type { Env } from '../config/env.js';
import { packageInfo } from '../config/package-info.js';
import { postgresDriver } from './postgres-driver.js';

/** TypeORM writes to the console by default. Every failure reaches the service's log as an error instead. */
class SilentLogger extends AbstractLogger {
  protected writeLog(): void {}
}

/** A class of src/migrations. */
export type MigrationClass = new () => MigrationInterface;

/** The timeouts that PostgreSQL enforces, in milliseconds, by the name of their setting. */
export function serverTimeouts({ DATABASE_STATEMENT_TIMEOUT_MS: timeoutMs }: Env): Record<string, number> {
  return {
    statement_timeout: timeoutMs,
    lock_timeout: Math.round(timeoutMs / 2), // shorter, so that the log distinguishes the two
    idle_in_transaction_session_timeout: timeoutMs * 2,
  };
}

/** The connection options of the service, the migrations and the database commands. */
export function dataSourceOptions(env: Env, migrations: MigrationClass[] = []): PostgresDataSourceOptions {
  return {
    type: 'postgres',
    driver: postgresDriver({
      acquireTimeoutMs: env.DATABASE_POOL_ACQUIRE_TIMEOUT_MS,
      preparedStatements: env.DATABASE_PREPARED_STATEMENTS,
    }),
    url: env.DATABASE_URL,
    applicationName: packageInfo.name,
    migrations,
    synchronize: false,
    logger: new SilentLogger(),
    // Only a superuser may create extensions, and gen_random_uuid() needs none: https://www.postgresql.org/docs/current/functions-uuid.html
    installExtensions: false,
    uuidExtension: 'pgcrypto',
    poolSize: env.DATABASE_POOL_MAX,
    connectTimeoutMS: env.DATABASE_CONNECT_TIMEOUT_MS,
    extra: {
      ...serverTimeouts(env),
      // Enforced by the client, for a server that does not respond.
      query_timeout: env.DATABASE_STATEMENT_TIMEOUT_MS + 1_000,
      keepAlive: true,
    },
  };
}
