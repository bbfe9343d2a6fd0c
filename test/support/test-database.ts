// Imports no other TypeScript file, so that Node can run it without Jest for test/browser, test/container and test/fuzz.
import { randomBytes } from 'node:crypto';
import { Client, Pool } from 'pg';

export interface TestDatabase {
  url: string;
  /** Runs SQL on a connection that the application does not use. */
  query<Row = Record<string, unknown>>(sql: string, parameters?: unknown[]): Promise<Row[]>;
  /** Runs SQL in a transaction that stays open and keeps its locks until `release()`. */
  hold(sql: string, parameters?: unknown[]): Promise<{ release(): Promise<void> }>;
  /** Counts the sessions that wait for a lock. */
  countLockWaits(): Promise<number>;
  /** Terminates every connection and rejects new ones while `work` runs. */
  whileDown<T>(work: () => Promise<T>): Promise<T>;
  drop(): Promise<void>;
}

/**
 * Creates a database: a copy of the migrated template that global-setup.mjs made, or an empty one. Its `url` leads through
 * the connection pooler at TEST_POOLER (HOST:PORT), if that is set.
 * @param locale an ICU locale, for an empty database with this default
 */
export async function createTestDatabase({ empty = false, locale = '' } = {}): Promise<TestDatabase> {
  const { TEST_SERVER_URL = '', TEST_TEMPLATE = '', TEST_POOLER = '' } = process.env;
  const name = `${TEST_TEMPLATE}_${randomBytes(4).toString('hex')}`;
  const url = new URL(TEST_SERVER_URL);
  url.pathname = `/${name}`;
  const direct = url.href;
  if (TEST_POOLER) url.host = TEST_POOLER;
  const server = await connect(TEST_SERVER_URL);
  const copy = empty ? '' : `TEMPLATE ${TEST_TEMPLATE} STRATEGY file_copy`;
  const options = locale ? `TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '${locale}'` : copy;
  await server.query(`CREATE DATABASE ${name} ${options}`);
  const openPool = () => new Pool({ connectionString: direct, idleTimeoutMillis: 0 }).on('error', () => undefined);
  let pool = openPool();

  const database: TestDatabase = {
    url: url.href,
    async query(sql, parameters) {
      return (await pool.query(sql, parameters)).rows;
    },
    async hold(sql, parameters) {
      const client = await connect(direct);
      await client.query('BEGIN');
      await client.query(sql, parameters);
      return { release: () => client.end() };
    },
    async countLockWaits() {
      const waiting = `SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'`;
      return (await server.query(waiting, [name])).rowCount ?? 0;
    },
    async whileDown(work) {
      await pool.end();
      pool = openPool();
      await server.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
      try {
        return await work();
      } finally {
        await server.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
      }
    },
    async drop() {
      await pool.end();
      await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await server.end();
    },
  };
  return database;
}

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString });
  client.on('error', () => undefined); // the server may stop while the client is idle
  await client.connect();
  return client;
}
