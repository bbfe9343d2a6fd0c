import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { buildIfStale } from '../../tools/build/build.mjs';
import { startPostgres } from '../../tools/dev/postgres.mjs';

/**
 * Builds dist/ if it is stale and starts PostgreSQL, unless DATABASE_URL names one. Creates a migrated database, which
 * createTestDatabase() copies.
 */
export default async function globalSetup() {
  buildIfStale();
  const directory = mkdtempSync(join(tmpdir(), 'test-postgres-'));
  const server = process.env.DATABASE_URL
    ? { url: process.env.DATABASE_URL, stop: async () => {} }
    : await startPostgres(directory, { durable: false });

  const template = `test_${randomBytes(6).toString('hex')}`;
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(`CREATE DATABASE ${template}`);
  const { status } = spawnSync(process.execPath, ['dist/migrate.js'], {
    env: {
      ...process.env,
      DATABASE_URL: Object.assign(new URL(server.url), { pathname: template }).href,
      LOG_LEVEL: 'warn',
    },
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('The migrations failed');

  process.env.TEST_SERVER_URL = server.url;
  process.env.TEST_TEMPLATE = template;
  globalThis.stopDatabase = async () => {
    const { rows } = await client.query('SELECT datname FROM pg_database WHERE datname LIKE $1', [`${template}%`]);
    for (const { datname } of rows) await client.query(`DROP DATABASE ${datname} WITH (FORCE)`);
    await client.end();
    await server.stop();
    rmSync(directory, { recursive: true });
  };
}
