import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import { DataSource, QueryFailedError, type QueryRunner } from 'typeorm';
import type { Env } from '../config/env.js';
import { packageInfo } from '../config/package-info.js';
import { StartupError } from '../lifecycle/startup-error.js';
import { dataSourceOptions, type MigrationClass } from './data-source.js';
import { reasonOf } from './reason-of.js';

const LOCK_KEY = `hashtext('migrations')`;
const LOCK_POLL_MS = 250;
const LOG_INTERVAL_MS = 10_000;
/**
 * A statement that waits for the lock of a table blocks all later requests for it. Shorter than the wait of a request for a
 * connection, DATABASE_POOL_ACQUIRE_TIMEOUT_MS. A migration can set another limit.
 */
const LOCK_TIMEOUT = '500ms';
const LOCK_ATTEMPTS = 5;
const LOCK_RETRY_MS = 1_000;
/** Longer than deadlock_timeout (1 s), after which PostgreSQL cancels an autovacuum that a session waits for. */
const VACUUM_TIMEOUT = '5s';
/** lock_not_available */
const LOCK_TIMED_OUT = '55P03';
const MAX_STATEMENT_LENGTH = 300;

/** The remedies for a failed migration, by SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const REMEDIES: [sqlStates: RegExp, remedy: string][] = [
  [/^25001$/, 'set `transaction = false` in the migration, with this statement only'],
  [/^42501$/, 'run migrations as the owner of the schema: see deploy/database-roles.sql'],
  [/^23/, 'existing rows violate the new rule: correct them in a statement before this one'],
  [
    /^(42P0[67]|42701|42710)$/,
    'the schema was changed without a migration: drop the existing object, or remove the statement',
  ],
  [/^(42P01|42703|42704)$/, 'correct the name, or add the migration that creates the object'],
  [/^(55P03|57014|40P01)$/, 'another session holds a lock: run the migrations again when there is less traffic'],
];

/**
 * Applies the pending migrations, each in a transaction. One process does so at a time; another one waits.
 * @throws {StartupError} with the failed migration, its statement, the cause and the remedy
 */
export async function runMigrations(env: Env, migrations: MigrationClass[], logger: Logger): Promise<void> {
  const settings = { DATABASE_POOL_ACQUIRE_TIMEOUT_MS: env.DATABASE_CONNECT_TIMEOUT_MS };
  const dataSource = new DataSource({
    ...dataSourceOptions({ ...env, ...settings, DATABASE_PREPARED_STATEMENTS: false }, migrations),
    applicationName: `${packageInfo.name} migrations`,
    poolSize: 2, // one connection holds the lock
    // A migration may take longer than the timeout of the role or the database. pg omits the number 0.
    extra: { keepAlive: true, statement_timeout: '0' },
  });
  await dataSource.initialize().catch((error: unknown) => {
    throw new StartupError(`Cannot connect to the database: ${reasonOf(error)}`);
  });
  try {
    const lock = dataSource.createQueryRunner();
    await acquireLock(lock, logger);
    await dropInvalidIndexes(dataSource, logger);
    const applied = await apply(dataSource, logger);
    await lock.rollbackTransaction();
    await lock.release();
    logger.info(applied.length > 0 ? `Applied ${applied.join(', ')}` : 'No pending migrations');
  } finally {
    await dataSource.destroy(); // also releases the lock
  }
}

/**
 * Acquires an advisory lock that ends with a transaction of `lock`. A lock of the session would stay in a connection pooler
 * that assigns another session to each transaction.
 */
async function acquireLock(lock: QueryRunner, logger: Logger): Promise<void> {
  for (let waitedMs = 0; !(await tryLock(lock)); waitedMs += LOCK_POLL_MS) {
    if (waitedMs % LOG_INTERVAL_MS === 0) {
      logger.warn(
        `Another process runs migrations: waiting for its lock for ${waitedMs / 1000} s (${await holder(lock)})`,
      );
    }
    // Outside of a transaction: CREATE INDEX CONCURRENTLY waits for every transaction that has a snapshot.
    await setTimeout(LOCK_POLL_MS);
  }
  // The transaction is idle while the migrations run. Not every version has each of these settings.
  await lock.query(
    `SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')`,
  );
}

async function tryLock(lock: QueryRunner): Promise<boolean> {
  await lock.startTransaction('READ COMMITTED'); // keeps no snapshot between its statements
  const [{ acquired }] = await lock.query(`SELECT pg_try_advisory_xact_lock(${LOCK_KEY}) AS acquired`);
  if (!acquired) await lock.rollbackTransaction();
  return acquired;
}

async function holder(lock: QueryRunner): Promise<string> {
  const [row] = await lock.query(
    `SELECT format('%s, process %s on the server, connected %s', coalesce(application_name, 'unknown'), pid, backend_start) AS holder
       FROM pg_locks JOIN pg_stat_activity USING (pid)
      WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = ${LOCK_KEY}`,
  );
  return row?.holder ?? 'which has just ended';
}

/**
 * Drops the indexes that a failed CREATE INDEX CONCURRENTLY has left, so that its migration can create them again. PostgreSQL
 * updates such an index but never reads it. https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
 */
async function dropInvalidIndexes(dataSource: DataSource, logger: Logger): Promise<void> {
  if (!(await dataSource.showMigrations())) return;
  const indexes = await dataSource.query<{ name: string }[]>(
    `SELECT indexrelid::regclass::text AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
      WHERE NOT indisvalid AND relkind = 'i' AND relnamespace = current_schema()::regnamespace
        AND indexrelid NOT IN (SELECT index_relid FROM pg_stat_progress_create_index WHERE index_relid IS NOT NULL)`,
  );
  for (const { name } of indexes) {
    await dataSource.query(`DROP INDEX CONCURRENTLY ${name}`);
    logger.warn(`Dropped the invalid index ${name}, which a failed CREATE INDEX CONCURRENTLY has left`);
  }
}

/** @returns the names of the applied migrations */
async function apply(dataSource: DataSource, logger: Logger): Promise<string[]> {
  const started: string[] = [];
  for (const migration of dataSource.migrations) {
    const up = migration.up.bind(migration);
    migration.up = async (runner) => {
      started.push(String(migration.name));
      if (runner.isTransactionActive) await runner.query(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
      await up(runner);
    };
  }
  for (let attempt = 1; ; attempt++) {
    try {
      await dataSource.runMigrations({ transaction: 'each' });
      return started;
    } catch (error) {
      const failed = started.pop();
      if (!failed) throw new StartupError(`Cannot read the migrations: ${reasonOf(error)}`);
      if (attempt === LOCK_ATTEMPTS || sqlStateOf(error) !== LOCK_TIMED_OUT) throw failureOf(failed, started, error);
      logger.warn(`Migration ${failed} waited ${LOCK_TIMEOUT} for a lock: repeating it`);
      await setTimeout(LOCK_RETRY_MS);
      await waitForVacuum(dataSource);
    }
  }
}

/**
 * Waits for the lock that VACUUM and ANALYZE of a table hold. LOCK_TIMEOUT is too short for PostgreSQL to cancel an autovacuum,
 * which can take minutes. Requests read and write while this waits, because its lock does not conflict with theirs.
 * https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
 */
async function waitForVacuum(dataSource: DataSource): Promise<void> {
  const tables = await dataSource.query<{ name: string }[]>(
    `SELECT DISTINCT relation::regclass::text AS name FROM pg_locks JOIN pg_class ON pg_class.oid = relation
      WHERE mode = 'ShareUpdateExclusiveLock' AND granted AND relkind = 'r' AND relnamespace = current_schema()::regnamespace
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  for (const { name } of tables) {
    const lock = `SET LOCAL lock_timeout = '${VACUUM_TIMEOUT}'; LOCK TABLE ${name} IN SHARE UPDATE EXCLUSIVE MODE`;
    // The migration reports what still blocks it.
    await dataSource.transaction((manager) => manager.query(lock)).catch(() => undefined);
  }
}

const sqlStateOf = (error: unknown): string | undefined =>
  error instanceof QueryFailedError ? String(Reflect.get(error.driverError, 'code')) : undefined;

function failureOf(migration: string, applied: string[], error: unknown): Error {
  const state = `Applied before it: ${applied.join(', ') || 'none'}`;
  if (!(error instanceof QueryFailedError)) {
    return new Error(`Migration ${migration} failed: ${reasonOf(error)}. ${state}`, { cause: error });
  }
  const sqlState = sqlStateOf(error) ?? '';
  const statement = error.query.replaceAll(/\s+/g, ' ').trim();
  const [, extension] = /^CREATE EXTENSION (?:IF NOT EXISTS )?"?(\w+)/i.exec(statement) ?? [];
  const remedy = extension
    ? `install the server's package for ${extension} if it is missing, and run CREATE EXTENSION ${extension} as a role with CREATE on the database; then run the migrations again`
    : (REMEDIES.find(([states]) => states.test(sqlState))?.[1] ?? 'correct the cause, then run the migrations again');
  return new StartupError(
    `Migration ${migration} failed: ${error.message} (SQLSTATE ${sqlState}) at ${statement.slice(0, MAX_STATEMENT_LENGTH)}; ` +
      `${remedy}. ${state}`,
    { migration, statement: error.query, sqlState },
  );
}
