// `npm run bench -- --rows N`: compares the time of requests with 10,000 rows and with N rows in each table.
import { createHash, randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import pg from 'pg';
import { startPostgres } from '../../tools/dev/postgres.mjs';
import { migrate } from './database.mjs';
import { startService } from './services.mjs';
import { median } from './statistics.mjs';

const DIRECTORY = join('.data', 'bench-rows');
const SMALL = 10_000;
const CHUNK = 1_000_000;
const WARM_UP = 10;
const SAMPLES = 30;

/** The server reads its part of the page cache, as with a managed database. The load is faster with the rest. */
const SETTINGS = {
  shared_preload_libraries: 'pg_stat_statements',
  autovacuum: 'off', // would run during an arbitrary measurement
  shared_buffers: '2GB',
  max_wal_size: '32GB',
  maintenance_work_mem: '1GB',
};

const SORTS = ['createdAt', 'code', 'expiresAt', 'redemptions'].flatMap((sort) => [sort, `-${sort}`]);
const KEYS = {
  createdAt: 'created_at',
  code: 'code',
  expiresAt: `coalesce(expires_at, 'infinity')`,
  redemptions: 'redemptions',
};
/** The filters, with the condition that a deep page needs. */
const FILTERS = {
  none: [{}, 'true'],
  'active=true': [{ active: true }, 'active'],
  'active=false': [{ active: false }, 'NOT active'],
  'redeemable=true': [{ redeemable: true }, 'open'],
  'redeemable=false': [{ redeemable: false }, 'NOT open'],
  'q: 20 matches': [{ q: createHash('md5').update('7').digest('hex').slice(0, 10) }, 'true'],
  'q: 1 of 4 vouchers': [{ q: 'north' }, 'true'],
  'q: 2 characters': [{ q: 'su' }, 'true'],
};
/** Each sort order with each filter, first and deep page. */
export const LISTS = Object.keys(FILTERS).flatMap((filter) =>
  SORTS.flatMap((sort) => ['first', 'deep'].map((page) => ({ filter, sort, page }))),
);
/** The statements that no response shows, by the beginning of their text. */
const STATEMENTS = {
  'key lookup': 'SELECT name, hash%',
  'last use of a key': 'UPDATE api_keys%',
  'removal of expired idempotency keys': 'DELETE FROM idempotency_keys%',
};

/** @returns a Markdown table of the times */
export async function measureRows(rows) {
  const server = await startServer(DIRECTORY);
  const stops = [server.stop];
  try {
    const sides = [];
    for (const [name, count] of [
      ['small', SMALL],
      ['large', rows],
    ]) {
      console.log(`Creating ${count.toLocaleString('en-US')} rows in each table …`);
      const side = await createSide(server.url, name, count);
      stops.unshift(() => side.stop());
      sides.push(side);
    }
    return await compare(sides, server.url);
  } finally {
    for (const stop of stops) await stop();
  }
}

export async function startServer(directory, settings) {
  let server = await startPostgres(directory, { durable: false });
  if (!server.started) throw new Error(`Another bench is using ${directory}. Wait for it to end.`);
  await withClient(server.url, async (client) => {
    await client.query(`LOAD 'auto_explain'`); // otherwise its settings are unknown
    for (const [name, value] of Object.entries({ ...SETTINGS, ...settings })) {
      await client.query(`ALTER SYSTEM SET ${name} = '${value}'`);
    }
  });
  await server.stop(); // some settings need a new start
  server = await startPostgres(directory, { durable: false });
  await withClient(server.url, (client) => client.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements'));
  return server;
}

async function withClient(url, work) {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Creates a database with its rows, or uses an earlier database, and starts a service on it. */
export async function createSide(serverUrl, name, count) {
  const isFilled = await withClient(serverUrl, async (client) => {
    const { rows } = await client.query(
      `SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = $1`,
      [name],
    );
    if (rows[0]?.comment === String(count)) return true;
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${name}`);
    return false;
  });
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  migrate(url.href);
  const client = new pg.Client(url.href);
  await client.connect();
  const keys = makeKeys(WARM_UP + SAMPLES);
  if (!isFilled) {
    await fill(client, 'vouchers', VOUCHERS, count);
    await fill(client, 'idempotency_keys', IDEMPOTENCY_KEYS, count);
    await fill(client, 'api_keys', API_KEYS, count);
    await client.query(`COMMENT ON DATABASE ${name} IS '${count}'`);
  }
  await client.query(
    `INSERT INTO api_keys (id, name, hash, scopes) SELECT id, 'bench', hash, $3 FROM unnest($1::text[], $2::text[]) AS made (id, hash)`,
    [
      keys.map(({ id }) => id),
      keys.map(({ key }) => createHash('sha256').update(key).digest('hex')),
      ['vouchers:read', 'vouchers:write', 'vouchers:redeem'],
    ],
  );
  await client.query('CHECKPOINT');
  const service = await startService('ours', { databaseUrl: url.href });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    ...{ name, count, client, keys },
    send: (options) => send(service.url, agent, keys[0].key, options),
    async stop() {
      agent.destroy();
      await service.stop();
      await client.end();
    },
  };
}

/** The first percent is inactive, half of those that expire have expired, and 1 of 101 is exhausted. */
const VOUCHERS = `
  INSERT INTO vouchers (id, code, description, metadata, max_redemptions, redemptions, expires_at, active, created_at, updated_at)
  SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
         (ARRAY['SUMMER', 'AUTUMN', 'WINTER', 'SPRING'])[1 + n % 4] || '-' || lpad(n::text, 9, '0'),
         (ARRAY['North', 'East', 'South', 'West'])[1 + n / 7 % 4] || ', batch ' || left(md5((n % greatest($3::bigint / 20, 1))::text), 10), '{"campaign":"seasons"}',
         100, n % 101, CASE WHEN n % 3 > 0 THEN moment + interval '30 days' END, n > $3::bigint / 100, moment, moment
    FROM generate_series($1::bigint, $2::bigint) AS n,
         LATERAL (SELECT now() - interval '60 days' * (1 - n::float / $3::bigint) AS moment) AS made`;

/** 5,000 have expired, in both tables: each removal deletes 100. */
const IDEMPOTENCY_KEYS = `
  INSERT INTO idempotency_keys (principal, key, fingerprint, answer, created_at)
  SELECT 'api_key:' || n % 1000, md5(n::text), md5(n::text), '{"result":{"code":"SUMMER-1","redemptions":1,"remaining":99}}',
         now() - CASE WHEN n <= 5000 THEN interval '25 hours' ELSE interval '20 hours' * (1 - n::float / $3::bigint) END
    FROM generate_series($1::bigint, $2::bigint) AS n`;

const API_KEYS = `
  INSERT INTO api_keys (id, name, hash, scopes)
  SELECT left(md5(n::text || $3::bigint), 16), 'bench', md5(n::text) || md5(n::text), '{}'
    FROM generate_series($1::bigint, $2::bigint) AS n ON CONFLICT DO NOTHING`;

/** Inserts the rows without secondary indexes and then creates the indexes again, which is many times faster. */
export async function fill(client, table, insert, count) {
  const { rows } = await client.query(
    `SELECT indexname, indexdef FROM pg_indexes
      WHERE tablename = $1 AND indexname NOT IN (SELECT conname FROM pg_constraint)`,
    [table],
  );
  for (const { indexname } of rows) await client.query(`DROP INDEX "${indexname}"`);
  for (let from = 1; from <= count; from += CHUNK) {
    await client.query(insert, [from, Math.min(count, from + CHUNK - 1), count]);
  }
  for (const { indexdef } of rows) await client.query(indexdef);
  await client.query(`VACUUM ANALYZE ${table}`);
}

/** Creates keys like src/platform/auth/api-key.ts. */
function makeKeys(count) {
  return Array.from({ length: count }, () => {
    const id = randomBytes(8).toString('hex');
    const body = `sk_${id}_${randomBytes(32).toString('hex')}`;
    return { id, key: body + crc32(body).toString(16).padStart(8, '0') };
  });
}

async function compare(sides, serverUrl) {
  const run = Date.now();
  // Vouchers that have expired since they were created are closed first.
  for (const side of sides) while ((await side.send({ path: '/v1/vouchers?redeemable=true' })).status !== 200);
  const lines = [];
  const add = async (name, optionsOf, statuses) => {
    const times = await measure(sides, optionsOf, statuses);
    lines.push({ name, times });
    console.log(lineOf(name, times));
  };
  for (const list of LISTS) {
    const paths = new Map();
    for (const side of sides) paths.set(side, await pathOf(side, list));
    await add(`list, ${list.filter}, ${list.sort}, ${list.page} page`, (side) => ({ path: paths.get(side) }));
  }
  const combined = '/v1/vouchers?active=true&redeemable=false&sort=code';
  await add('list, active=true and redeemable=false', () => ({ path: combined }));
  await add('list, active=true and q of 20 matches', () => ({
    path: `/v1/vouchers?active=true&q=${FILTERS['q: 20 matches'][0].q}`,
  }));
  await add('statistics', () => ({ path: '/v1/vouchers/stats' }));
  await add('GET by id', ({ count }, index) => ({ path: `/v1/vouchers/${idOf(1 + ((index * 7919) % count))}` }));
  await add(
    'POST',
    (_, index) => ({
      path: '/v1/vouchers',
      body: { code: `NEW-${run}-${index}`, description: 'Ten percent off', maxRedemptions: 9 },
    }),
    [201],
  );
  const redeem = ({ count }, index) => `/v1/vouchers/${codeOf(count - ((index * 97) % (count / 4)))}/redemptions`;
  await add('redemption', (side, index) => ({ path: redeem(side, index), body: {} }), [201, 409]);
  await add(
    'redemption with an Idempotency-Key',
    (side, index) => ({
      path: redeem(side, index + 100),
      body: {},
      headers: { 'idempotency-key': `bench-${run}-${index}` },
    }),
    [201, 409],
  );
  await add('GET with a new API key', ({ keys }, index) => ({
    path: '/v1/me',
    headers: { 'x-api-key': keys[index].key },
  }));
  for (const [name, text] of Object.entries(STATEMENTS)) {
    const times = [];
    for (const { name: database } of sides) times.push(await meanOf(serverUrl, database, text));
    lines.push({ name: `statement: ${name}`, times });
    console.log(lineOf(`statement: ${name}`, times));
  }
  return markdownOf(sides, lines);
}

/** Returns the path of the first page of a list, or of the page in the middle. */
export async function pathOf(side, { filter, sort, page }) {
  const [query, condition] = FILTERS[filter];
  const cursor = page === 'deep' && { cursor: await middleCursor(side, sort, query, condition) };
  return `/v1/vouchers?${new URLSearchParams({ ...query, sort, ...cursor })}`;
}

const idOf = (number) => `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
const codeOf = (number) => `${['SUMMER', 'AUTUMN', 'WINTER', 'SPRING'][number % 4]}-${String(number).padStart(9, '0')}`;

/** Returns the cursor of the row in the middle of a list. */
async function middleCursor({ client }, sort, filters, condition) {
  const key = KEYS[sort.replace('-', '')];
  const { rows } = await client.query(
    `SELECT id, ${key} AS value FROM vouchers WHERE ${condition} ORDER BY ${key}, id
     OFFSET (SELECT count(*) / 2 FROM vouchers WHERE ${condition}) LIMIT 1`,
  );
  const [{ id, value }] = rows;
  const text = value instanceof Date ? value.toISOString() : value === Infinity ? 'infinity' : String(value);
  return cursorOf([sort, filters], text, id);
}

/** Returns a cursor like src/platform/database/paginate.ts. */
export function cursorOf(list, text, id) {
  const sum = createHash('sha256')
    .update(JSON.stringify([list, text, id]))
    .digest('base64url')
    .slice(0, 8);
  return Buffer.from(JSON.stringify([sum, text, id])).toString('base64url');
}

/** @returns the median time per side in milliseconds. The sides take turns, so that a busy machine slows both. */
async function measure(sides, optionsOf, statuses = [200]) {
  const times = new Map(sides.map((side) => [side, []]));
  for (let index = 0; index < WARM_UP + SAMPLES; index++) {
    for (const side of sides) {
      const { status, ms, body } = await side.send(optionsOf(side, index));
      if (!statuses.includes(status)) throw new Error(`${JSON.stringify(optionsOf(side, index))}: ${status} ${body}`);
      if (index >= WARM_UP) times.get(side).push(ms);
    }
  }
  return Array.from(times.values(), median);
}

function send(url, agent, apiKey, { path, body, headers }) {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const json = body && { 'content-type': 'application/json' };
    const sent = request(url + path, {
      agent,
      method: body ? 'POST' : 'GET',
      headers: { 'x-api-key': apiKey, ...json, ...headers },
    });
    sent.on('error', reject).on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (data) => (text += data));
      response.on('end', () => resolve({ status: response.statusCode, ms: performance.now() - startedAt, body: text }));
    });
    sent.end(body && JSON.stringify(body));
  });
}

/** @returns the mean time of a statement in the server, in milliseconds */
function meanOf(serverUrl, database, text) {
  return withClient(serverUrl, async (client) => {
    const { rows } = await client.query(
      `SELECT sum(total_exec_time) / sum(calls) AS mean FROM pg_stat_statements JOIN pg_database ON dbid = pg_database.oid
        WHERE datname = $1 AND ltrim(query, E' \\n') LIKE $2`,
      [database, text],
    );
    return rows[0].mean ?? NaN;
  });
}

const ratioOf = ([small, large]) => (large / small).toFixed(2);
const lineOf = (name, times) => `${name}: ${times.map((ms) => ms.toFixed(2)).join(' ms, ')} ms, x ${ratioOf(times)}`;

function markdownOf(sides, lines) {
  const [small, large] = sides.map(({ count }) => count.toLocaleString('en-US'));
  const rows = lines.map(
    ({ name, times }) => `| ${name} | ${times.map((ms) => ms.toFixed(2)).join(' | ')} | ${ratioOf(times)} |`,
  );
  return [`| request | ${small} rows, ms | ${large} rows, ms | ratio |`, '| -- | --: | --: | --: |', ...rows].join(
    '\n',
  );
}
