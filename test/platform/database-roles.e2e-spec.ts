import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { startPostgres } from '../../tools/dev/postgres.mjs';
import { startProgram } from '../support/program.js';
import { until } from '../support/until.js';

const ROLES = readFileSync('deploy/database-roles.sql', 'utf8');
/** A name that SQL has to quote. */
const DATABASE = 'orders-api';

// Roles are a server's, not a database's: these tests have one of their own.
const directory = mkdtempSync(join(tmpdir(), 'roles-'));
let server: Awaited<ReturnType<typeof startPostgres>>;

/** Like the administrator that Cloud SQL gives: it may make roles and databases, but is no superuser. */
const admin = { user: 'admin', password: 'admin' };
const migrator = { user: `${DATABASE}_migrator`, password: 'migrator' };
const runtime = { user: `${DATABASE}_runtime`, password: 'runtime' };

function urlOf({ user, password }: typeof admin, database = DATABASE): string {
  return Object.assign(new URL(server.url), { username: user, password, pathname: `/${database}` }).href;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const as = (role: typeof admin, sql: string) => query(urlOf(role), sql);
const INSUFFICIENT_PRIVILEGE = { code: '42501' };

beforeAll(async () => {
  server = await startPostgres(directory, { durable: false });
  await query(server.url, `CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD 'admin'`);
  await query(server.url, `CREATE DATABASE "${DATABASE}" OWNER admin`);
  await as(admin, 'GRANT CREATE ON SCHEMA public TO PUBLIC'); // as in a database that comes from PostgreSQL 14
  await as(admin, ROLES);
  for (const { user, password } of [migrator, runtime]) await as(admin, `ALTER ROLE "${user}" PASSWORD '${password}'`);
  const migration = await startProgram({ DATABASE_URL: urlOf(migrator) }, 'migrate.js');
  expect(await migration.ended).toBe(0);
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true });
});

describe('the migrator', () => {
  it('owns the schema and what it has made there', async () => {
    expect(
      await as(
        admin,
        `SELECT DISTINCT owner FROM (
           SELECT tableowner AS owner FROM pg_tables WHERE schemaname = 'public'
           UNION ALL SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public') AS owners`,
      ),
    ).toEqual([{ owner: migrator.user }, { owner: `"${migrator.user}"` }]);
  });

  it('may install an extension that PostgreSQL trusts', async () => {
    await expect(as(migrator, 'CREATE EXTENSION pg_trgm')).resolves.toEqual([]);
  });
});

describe('the runtime', () => {
  it('is enough for the service', async () => {
    const service = await startProgram({ DATABASE_URL: urlOf(runtime) });
    try {
      const ready = until(async () => (await fetch(`${service.url}/health/startup`)).ok);
      await expect(ready).resolves.toBeUndefined();
    } finally {
      await service.stop();
    }
  });

  it('reads and writes rows', async () => {
    await as(runtime, `INSERT INTO api_keys (id, name, hash, scopes) VALUES ('id', 'name', 'hash', '{}')`);
    await as(runtime, `UPDATE api_keys SET name = 'another' WHERE id = 'id'`);
    expect(await as(runtime, 'SELECT name FROM api_keys')).toEqual([{ name: 'another' }]);
    await as(runtime, 'DELETE FROM api_keys');
  });

  it.each([
    'CREATE TABLE public.mine (id int)',
    'CREATE SCHEMA mine',
    'CREATE TEMPORARY TABLE mine (id int)',
    'ALTER TABLE api_keys ADD mine int',
    'DROP TABLE api_keys',
    'TRUNCATE api_keys',
    'CREATE INDEX ON api_keys (name)',
    'CREATE TRIGGER mine BEFORE INSERT ON api_keys EXECUTE FUNCTION suppress_redundant_updates_trigger()',
    'CREATE ROLE mine',
    `SET ROLE "${migrator.user}"`,
  ])('may not %s', async (sql) => {
    await expect(as(runtime, sql)).rejects.toMatchObject(INSUFFICIENT_PRIVILEGE);
  });

  it('reads and writes the tables of later migrations, sequences included', async () => {
    await as(migrator, 'CREATE TABLE later (id serial, name text)');
    await as(runtime, `INSERT INTO later (name) VALUES ('later')`);
    expect(await as(runtime, 'SELECT * FROM later')).toEqual([{ id: 1, name: 'later' }]);
  });
});

it('keeps the roles of another database out, and its own in', async () => {
  await query(server.url, 'CREATE DATABASE payments OWNER admin');
  await query(urlOf(admin, 'payments'), ROLES);
  await expect(query(urlOf(runtime, 'payments'), 'SELECT 1')).rejects.toMatchObject(INSUFFICIENT_PRIVILEGE);
});

it('can be run again, also for tables that were there before it', async () => {
  await as(migrator, `REVOKE ALL ON later, later_id_seq FROM "${runtime.user}"`);
  await as(admin, ROLES);
  expect(await as(runtime, `INSERT INTO later (name) VALUES ('again') RETURNING name`)).toEqual([{ name: 'again' }]);
});
