// Starts and seeds the PostgreSQL server of the benchmark.
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import pg from 'pg';
import { startPostgres } from '../../tools/dev/postgres.mjs';

const DIRECTORY = join('.data', 'bench');
const SCOPES = ['vouchers:read', 'vouchers:write', 'vouchers:redeem'];

export const VOUCHERS = 10_000;

/** A key allows at most 10,000 requests per minute. Together the keys allow more than any service can handle. */
const KEYS = 200;

/** @returns the URL of the database, its API keys, `seed()` and `stop()` */
export async function startDatabase() {
  let server = await startPostgres(DIRECTORY, { durable: false });
  if (!server.started) {
    // A server left by a killed run uses the wrong core. It stops when the last process releases it.
    await server.stop();
    server = await startPostgres(DIRECTORY, { durable: false });
  }
  if (!server.started) {
    await server.stop();
    throw new Error(`Another bench is using ${DIRECTORY}. Wait for it to end.`);
  }
  const client = new pg.Client(server.url);
  await client.connect();
  const stop = async () => {
    await client.end();
    await server.stop();
  };
  try {
    migrate(server.url);
    // `autovacuum` would run during the measurement of an arbitrary service.
    await client.query('ALTER SYSTEM SET autovacuum = off');
    await client.query('SELECT pg_reload_conf()');
    const { rows } = await client.query('SHOW server_version');
    const keys = await createKeys(client);
    return { url: server.url, version: rows[0].server_version, keys, seed: () => seed(client), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export function migrate(url) {
  const env = { ...process.env, DATABASE_URL: url, LOG_LEVEL: 'warn' };
  const { status } = spawnSync(process.execPath, ['dist/migrate.js'], { env, stdio: 'inherit' });
  if (status !== 0) throw new Error('The migrations failed. See the output above.');
}

export const idOf = (number) => `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
export const codeOf = (number) => `SUMMER-${number}`;

/** Replaces all rows, so that every service starts with the same data. */
async function seed(client) {
  await client.query('TRUNCATE vouchers');
  await client.query(
    `INSERT INTO vouchers (id, code, description, metadata, max_redemptions, expires_at, created_at, updated_at)
     SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(number), 12, '0'))::uuid, 'SUMMER-' || number,
            'Ten percent off, number ' || number, '{"campaign":"summer"}', 1000000, '2099-01-01Z',
            moment, moment
       FROM generate_series(1, ${VOUCHERS}) AS number,
            LATERAL (SELECT '2026-01-01Z'::timestamptz + number * interval '1 second' AS moment) AS made`,
  );
  await client.query('VACUUM ANALYZE vouchers');
  await client.query('CHECKPOINT'); // prevents a checkpoint during the measurement
}

/** Creates keys like src/platform/auth/api-key.ts, because `npm run api-keys` would start a process for each key. */
async function createKeys(client) {
  await client.query('TRUNCATE api_keys');
  const keys = Array.from({ length: KEYS }, () => {
    const id = randomBytes(8).toString('hex');
    const body = `sk_${id}_${randomBytes(32).toString('hex')}`;
    return { id, key: body + crc32(body).toString(16).padStart(8, '0') };
  });
  await client.query(
    `INSERT INTO api_keys (id, name, hash, scopes) SELECT id, 'bench', hash, $3 FROM unnest($1::text[], $2::text[]) AS made (id, hash)`,
    [keys.map(({ id }) => id), keys.map(({ key }) => createHash('sha256').update(key).digest('hex')), SCOPES],
  );
  return keys.map(({ key }) => key);
}
