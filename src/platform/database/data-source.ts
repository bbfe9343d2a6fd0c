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
      statement_timeout: env.DATABASE_STATEMENT_TIMEOUT_MS,
      lock_timeout: env.DATABASE_STATEMENT_TIMEOUT_MS / 2, // shorter, so that the log distinguishes the two
      // Enforced by the client, for a server that does not respond.
      query_timeout: env.DATABASE_STATEMENT_TIMEOUT_MS + 1_000,
      idle_in_transaction_session_timeout: env.DATABASE_STATEMENT_TIMEOUT_MS * 2,
      keepAlive: true,
    },
  };
}
