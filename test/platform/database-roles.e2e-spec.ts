import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { loadEnv } from '../../src/platform/config/env.js';
import { serverTimeouts } from '../../src/platform/database/data-source.js';
import { startPostgres } from '../../tools/dev/postgres.mjs';
import { startProgram } from '../support/program.js';
import { until } from '../support/until.js';

const ROLES = readFileSync('deploy/database-roles.sql', 'utf8');
const DATABASE = 'orders-api'; // SQL has to quote this name

// Roles belong to a server, not to a database, so this file starts another server.
const directory = mkdtempSync(join(tmpdir(), 'roles-'));
let server: Awaited<ReturnType<typeof startPostgres>>;

/** Has the rights of Cloud SQL's administrator: it creates roles and databases, and is not a superuser. */
const admin = { user: 'admin', password: 'admin' };
const migrator = { user: `${DATABASE}_migrator`, password: 'migrator' };
const runtime = { user: `${DATABASE}_runtime`, password: 'runtime' };
const runtime2 = { user: `${DATABASE}_runtime_2`, password: 'runtime_2' };

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
  await as(admin, 'GRANT CREATE ON SCHEMA public TO PUBLIC'); // as in a database upgraded from PostgreSQL 14
  await as(admin, ROLES);
  for (const { user, password } of [migrator, runtime]) await as(admin, `ALTER ROLE "${user}" PASSWORD '${password}'`);
  const migration = await startProgram({ DATABASE_URL: urlOf(migrator) }, 'migrate.js');
  expect(await migration.ended).toBe(0);
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true });
});

describe('the migrator role', () => {
  it('owns the schema and its tables', async () => {
    const owners = await as(
      admin,
      `SELECT tableowner AS owner FROM pg_tables WHERE schemaname = 'public'
        UNION SELECT rolname FROM pg_namespace JOIN pg_roles ON pg_roles.oid = nspowner WHERE nspname = 'public'`,
    );
    expect(owners).toEqual([{ owner: migrator.user }]);
  });

  it('can install a trusted extension', async () => {
    await expect(as(migrator, 'CREATE EXTENSION citext')).resolves.toEqual([]);
  });
});

describe('the runtime role', () => {
  it('is sufficient for the service', async () => {
    const service = await startProgram({ DATABASE_URL: urlOf(runtime) });
    try {
      const ready = until(async () => (await fetch(`${service.url}/health/startup`)).ok);
      await expect(ready).resolves.toBeUndefined();
    } finally {
      await service.stop();
    }
  });

  it('has the default timeouts of the service, for connections through a pooler', async () => {
    const expected = serverTimeouts(loadEnv({ DATABASE_URL: urlOf(runtime) }));
    const rows = await as(
      runtime,
      `SELECT name, setting::int FROM pg_settings WHERE name LIKE '%_timeout' ORDER BY name`,
    );
    for (const [name, setting] of Object.entries(expected)) expect(rows).toContainEqual({ name, setting });
  });

  it('can read and write rows', async () => {
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
  ])('cannot %s', async (sql) => {
    await expect(as(runtime, sql)).rejects.toMatchObject(INSUFFICIENT_PRIVILEGE);
  });

  it('can read and write the tables and sequences of later migrations', async () => {
    await as(migrator, 'CREATE TABLE later (id serial, name text)');
    expect(await as(runtime, `INSERT INTO later (name) VALUES ('row') RETURNING id`)).toEqual([{ id: 1 }]);
  });

  it('cannot connect to another database with the same setup', async () => {
    await query(server.url, 'CREATE DATABASE payments OWNER admin');
    await query(urlOf(admin, 'payments'), ROLES);
    await expect(query(urlOf(runtime, 'payments'), 'SELECT 1')).rejects.toMatchObject(INSUFFICIENT_PRIVILEGE);
  });
});

describe('the second runtime role', () => {
  it('takes over after a rotation, while the first one still works', async () => {
    await as(admin, `ALTER ROLE "${runtime2.user}" PASSWORD '${runtime2.password}'`);
    await as(runtime2, `INSERT INTO api_keys (id, name, hash, scopes) VALUES ('id', 'name', 'hash', '{}')`);
    await as(runtime, `DELETE FROM api_keys WHERE id = 'id'`);
    await expect(as(runtime2, 'DROP TABLE api_keys')).rejects.toMatchObject(INSUFFICIENT_PRIVILEGE);
  });
});

describe('deploy/database-roles.sql', () => {
  it('can run again and grants rights on existing tables', async () => {
    await as(migrator, 'CREATE TABLE existing (id serial)');
    await as(migrator, `REVOKE ALL ON existing, existing_id_seq FROM "${runtime.user}"`);
    await as(admin, ROLES);
    expect(await as(runtime, 'INSERT INTO existing DEFAULT VALUES RETURNING id')).toEqual([{ id: 1 }]);
  });
});
