// Changes the service of docs/tutorial.md in ten releases, each of which replaces its predecessor under traffic. A long test, which
// only `.ci/run --long` and its own command run: `ROWS=1000000 npm run test:template -- template/evolution/evolution.mjs`.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import { EXPLAIN_SETTINGS, LOG_SETTINGS, planLogOf, problemsIn, readPlans } from '../bench/plans.mjs';
import { idOf } from '../bench/database.mjs';
import { cursorOf, fill, startServer } from '../bench/rows.mjs';
import { median } from '../bench/statistics.mjs';
import { Balancer } from '../faults/balancer.mjs';
import { send } from '../faults/client.mjs';
import { Service } from '../faults/service.mjs';
import { until } from '../faults/until.mjs';
import { freshCopy } from '../support/fresh-copy.mjs';
import { blocksOf } from '../tutorial/blocks.mjs';
import { CONTENT, MORE_FIELDS, RELEASES } from './releases.mjs';
import { Team } from './team.mjs';
import { Traffic } from './traffic.mjs';

const ROWS = Number(process.env.ROWS ?? 5000);
/** Scenarios per phase of a release: previous release, both, new release. */
const SCENARIOS = 6;
const SAMPLES = 15;
const SCOPES = ['customers', 'orders', 'order-lines'].flatMap((name) => [`${name}:read`, `${name}:write`]).join();
const SETTINGS = { ...LOG_SETTINGS, autovacuum: 'on', shared_buffers: '512MB', max_wal_size: '4GB' };

const MOMENT = `now() - interval '60 days' * (1 - n::float / $3::bigint)`;
const id = `('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`;
/** Row n of each table refers to row n of the table before. */
const INSERTS = {
  customers: `
    INSERT INTO customers (id, name, email, street, city, created_at)
    SELECT ${id}, 'Customer ' || lpad(n::text, 9, '0'), n || '@example.com', CASE WHEN n % 5 > 0 THEN n || ' High Street' END,
           (ARRAY['London', 'Paris', 'Rome'])[1 + n % 3], ${MOMENT} FROM generate_series($1::bigint, $2::bigint) AS n`,
  orders: `
    INSERT INTO orders (id, number, customer_id, ordered_on, status, note, origin, created_at)
    SELECT ${id}, 'A-' || lpad(n::text, 9, '0'), ${id}, '2026-01-01'::date + (n % 300)::integer,
           (ARRAY['draft', 'sent'])[1 + n % 2]::orders_status, CASE WHEN n % 4 > 0 THEN 'ring twice ' || n END,
           '{"channel":"web"}', ${MOMENT} FROM generate_series($1::bigint, $2::bigint) AS n`,
  order_lines: `
    INSERT INTO order_lines (id, order_id, product, quantity, price, created_at)
    SELECT ${id}, ${id}, 'product-' || n % greatest($3::bigint / 20, 1), n % 1000, n % 100 + 0.5, ${MOMENT}
      FROM generate_series($1::bigint, $2::bigint) AS n`,
};

const MIDDLE = idOf(ROWS / 2);
/** The lists, first and deep pages, with their tables. */
const lists = {
  customers: 'customers',
  [`customers?sort=name&cursor=${cursorOf(['name', {}], `Customer ${String(ROWS / 2).padStart(9, '0')}`, MIDDLE)}`]:
    'customers',
  [`customers?q=${String(ROWS / 2).padStart(9, '0')}`]: 'customers',
  [`orders?customerId=${MIDDLE}`]: 'orders',
  [`orders?status=sent&sort=-orderedOn&cursor=${cursorOf(['-orderedOn', { status: 'sent' }], '2026-06-01', MIDDLE)}`]:
    'orders',
  [`orders?q=${encodeURIComponent(`twice ${ROWS / 2 + 1}`)}`]: 'orders',
  [`order-lines?orderId=${MIDDLE}&sort=quantity`]: 'order_lines',
  [`order-lines?sort=-quantity&cursor=${cursorOf(['-quantity', {}], '500', MIDDLE)}`]: 'order_lines',
};

const clone = freshCopy('evolution');
const directory = join(clone.folder, '.data', 'evolution');
const server = await startServer(directory, SETTINGS);
const client = new pg.Client(server.url);
await client.connect();
const plans = new URL(server.url);
plans.username = 'plans';
plans.password = 'plans';
const team = new Team(clone, server.url);
const balancer = new Balancer();
const content = { ...CONTENT };
const services = new Set();
let traffic;
let key;

after(async () => {
  await traffic?.stop();
  for (const service of services) await service.stop();
  await client.end();
  await server.stop();
  clone.remove();
});

/** Builds the release into a folder that later releases do not change. */
function build(release) {
  team.npm('db:check');
  team.npm('build');
  const folder = join(clone.folder, '.data', `release-${release}`);
  cpSync(join(clone.folder, 'dist'), folder, { recursive: true, verbatimSymlinks: true });
  return folder;
}

const run = (program, ...args) =>
  promisify(execFile)(process.execPath, [program, ...args], {
    env: { PATH: process.env.PATH, DATABASE_URL: server.url },
  });

async function start(folder, databaseUrl = server.url) {
  // The balancer needs a moment to see the failed readiness. Cloud Run stops routing requests before SIGTERM.
  const env = { HOST: '127.0.0.1', RATE_LIMIT_PER_MINUTE: '0', SHUTDOWN_DELAY_MS: '1000' };
  const target = { program: join(folder, 'main.js'), env };
  const service = await Service.start(target, { databaseUrl });
  services.add(service);
  return service;
}

async function stop(service) {
  services.delete(service);
  assert.equal((await service.stop()).code, 0, 'the exit code after SIGTERM');
}

/** Runs the migrations. A transaction holds a row of the table until they wait for it. */
async function migrate(folder, table) {
  let ended = false;
  const migrations = () => run(join(folder, 'migrate.js')).finally(() => (ended = true));
  if (!table) return migrations();
  await client.query('BEGIN');
  const { rows } = await client.query(`SELECT pg_backend_pid() AS pid FROM ${table} WHERE id = $1 FOR UPDATE`, [
    idOf(ROWS),
  ]);
  const result = migrations();
  result.catch(() => undefined);
  const waiting = 'SELECT FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))';
  const monitor = new pg.Client(server.url);
  await monitor.connect();
  await until(async () => ended || (await monitor.query(waiting, [rows[0].pid])).rowCount > 0, 1_800_000);
  await monitor.end();
  await client.query('COMMIT');
  return result;
}

/** Returns the count and a checksum of the rows that the traffic does not change. */
async function checksums() {
  const sums = {};
  for (const [table, columns] of Object.entries(content)) {
    const { rows } = await client.query(
      `SELECT count(*) AS rows, sum(hashtextextended(row::text, 0)) AS sum
         FROM (SELECT ${columns} WHERE id > '${idOf(ROWS / 10)}' AND id <= '${idOf(ROWS)}') AS row`,
    );
    sums[table] = rows[0];
  }
  return sums;
}

async function countRows() {
  const { rows } = await client.query(
    'SELECT (SELECT count(*) FROM customers) + (SELECT count(*) FROM orders) + (SELECT count(*) FROM order_lines) AS count',
  );
  return Number(rows[0].count);
}

/** Returns the median time of each list. */
async function timesOf({ url }) {
  const times = {};
  for (const path of Object.keys(lists)) {
    const samples = [];
    for (let sample = 0; sample < SAMPLES; sample++) {
      const { status, ms, answer } = await send(url, { path: `/v1/${path}`, headers: { 'x-api-key': key } });
      assert.equal(status, 200, `${path}: ${answer}`);
      samples.push(ms);
    }
    times[path.replace(/cursor=.*/, 'cursor')] = `${median(samples).toFixed(1)} ms`;
  }
  return times;
}

/** Returns the statements of the lists that scan a table, or that read too many rows. An instance with a role that logs plans runs them. */
async function planProblems(folder) {
  const service = await (await start(folder, plans.href)).ready();
  const logging = new pg.Client(plans.href);
  await logging.connect();
  const log = planLogOf(directory);
  truncateSync(log); // the server appends to it
  const paths = Object.keys(lists).map((path) => `${folder} ${path}`);
  for (const [index, path] of Object.keys(lists).entries()) {
    await send(service.url, { path: `/v1/${path}`, headers: { 'x-api-key': key } });
    await logging.query(`SELECT ${index + 1} AS request`);
  }
  const statements = await readPlans(log, paths);
  await logging.end();
  await stop(service);
  return Object.values(lists).flatMap((table, index) =>
    problemsIn(new Map([[paths[index], statements.get(paths[index])]]), table),
  );
}

let previous;
let expected;

test('the service of the tutorial', async () => {
  const commands = blocksOf('sh tutorial')
    .join('')
    .matchAll(/^npm run generate -- (\S+) --fields=(\S+)(.*)$/gm);
  for (const [, resource, fields, options] of commands) {
    const more = MORE_FIELDS[resource];
    team.npm(
      'generate',
      resource,
      `--fields=${more ? `${fields},${more}` : fields}`,
      ...options.split(' ').filter(Boolean),
    );
  }
  const folder = build(0);
  await run(join(folder, 'migrate.js'));
  for (const [table, insert] of Object.entries(INSERTS)) await fill(client, table, insert, ROWS);
  expected = await checksums();
  await client.query(`CREATE ROLE plans SUPERUSER LOGIN PASSWORD 'plans'`);
  for (const [name, value] of Object.entries(EXPLAIN_SETTINGS))
    await client.query(`ALTER ROLE plans SET ${name} = '${value}'`);
  const { stdout } = await run(
    join(folder, 'api-keys.js'),
    'create',
    '--name',
    'traffic',
    '--scopes',
    SCOPES,
    '--json',
  );
  ({ key } = JSON.parse(stdout));
  previous = await start(folder);
  await balancer.add(previous);
  console.log(`0: ${JSON.stringify(await timesOf(previous))}`);
  assert.deepEqual(await planProblems(folder), []);
  traffic = new Traffic({ to: () => balancer.next(), key, rows: ROWS, lists });
  await traffic.complete(SCENARIOS);
  await traffic.pause();
  assert.deepEqual(traffic.failures, []);
});

for (const [index, release] of RELEASES.entries()) {
  test(`release ${index + 1}: ${release.name}`, async () => {
    await release.change(team);
    const folder = build(index + 1);

    traffic.resume();
    await migrate(folder, release.locked);
    const served = traffic.served.get(previous.url);
    await traffic.complete(SCENARIOS);
    assert.ok(traffic.served.get(previous.url) > served, 'the previous release serves requests with the new schema');
    const next = await start(folder);
    await balancer.add(next);
    await traffic.complete(SCENARIOS);
    await stop(previous);
    await traffic.complete(SCENARIOS);
    previous = next;

    await traffic.pause();
    assert.deepEqual(traffic.failures, []);
    await traffic.verify();
    Object.assign(content, release.content);
    assert.deepEqual(await checksums(), expected);
    Object.assign(lists, release.lists);
    console.log(`${index + 1}: ${traffic.requests} requests, ${JSON.stringify(await timesOf(next))}`);
    assert.deepEqual(await planProblems(folder), []);
  });
}

test('no written row is lost', async () => {
  await traffic.stop();
  assert.equal(await countRows(), 3 * ROWS + traffic.created);
  await traffic.verify();
  console.log(`${traffic.requests} requests, ${traffic.written.size} rows written and read again`);
});
