import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

const { TEST_SERVER_URL = '', TEST_TEMPLATE = '' } = process.env;

export interface TestDatabase {
  url: string;
  /** Runs SQL beside the application. */
  query<Row = Record<string, unknown>>(sql: string, parameters?: unknown[]): Promise<Row[]>;
  /** Runs SQL in a transaction that stays open, with all its locks, until it is released. */
  hold(sql: string, parameters?: unknown[]): Promise<{ release(): Promise<void> }>;
  /** Lets nobody in any more and throws everyone out, as when a database goes away. */
  takeAway(): Promise<void>;
  giveBack(): Promise<void>;
  drop(): Promise<void>;
}

/** A database of its own for a test file: a copy of the migrated template, or an empty one. */
export async function createTestDatabase({ empty = false } = {}): Promise<TestDatabase> {
  const name = `${TEST_TEMPLATE}_${randomBytes(4).toString('hex')}`;
  const url = new URL(TEST_SERVER_URL);
  url.pathname = `/${name}`;
  const server = await connect(TEST_SERVER_URL);
  await server.query(`CREATE DATABASE ${name} ${empty ? '' : `TEMPLATE ${TEST_TEMPLATE} STRATEGY file_copy`}`);
  return {
    url: url.href,
    async query(sql, parameters) {
      const client = await connect(url.href);
      try {
        return (await client.query(sql, parameters)).rows;
      } finally {
        await client.end();
      }
    },
    async hold(sql, parameters) {
      const client = await connect(url.href);
      await client.query('BEGIN');
      await client.query(sql, parameters);
      return { release: () => client.end() };
    },
    async takeAway() {
      await server.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
    },
    async giveBack() {
      await server.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    },
    async drop() {
      await server.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await server.end();
    },
  };
}

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString });
  await client.connect();
  return client;
}
