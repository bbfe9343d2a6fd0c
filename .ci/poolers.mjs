// `node .ci/poolers.mjs PGBOUNCER [ARGUMENT…]`: migrations, the service under load and the tests of the platform through
// PgBouncer in transaction mode. DATABASE_URL names the server. Exit codes: 0 if everything passes, 1 otherwise.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { buildIfStale } from '../tools/build/build.mjs';

const POOLER = '127.0.0.1:54330';
const PORT = 54331;
/** These change the timeouts or the availability of the server, which a pooler hides. The test of ETags needs 20 sessions. */
const DIRECT_ONLY = ['boot', 'database', 'database-roles', 'etag', 'health', 'shutdown'];

const server = new URL(process.env.DATABASE_URL);
const url = `postgresql://${server.username}@${POOLER}/pooled`;
const pooler = await startPooler(process.argv.slice(2));
let failed = false;
try {
  buildIfStale();
  await query(server.href, 'CREATE DATABASE pooled');
  await step('two concurrent migrations, then a third one, leave no lock', migrateThreeTimes);
  await step('the service keeps its timeouts and returns no 5xx under load', serveUnderLoad);
  await step('the service logs missing timeouts', logMissingTimeouts);
  await step('the tests of the platform', runTests);
} finally {
  pooler.kill();
}
process.exit(failed ? 1 : 0);

async function step(title, prove) {
  try {
    await prove();
    console.log(`ok      ${title}`);
  } catch (error) {
    failed = true;
    console.log(`FAILED  ${title}\n${error.stack}`);
  }
}

/** Starts PgBouncer with its default settings, except the mode and a pool that is smaller than the load. */
async function startPooler([command, ...args]) {
  const directory = mkdtempSync(join(tmpdir(), 'pooler-'));
  const file = join(directory, 'pgbouncer.ini');
  writeFileSync(join(directory, 'users'), '"tester" ""\n');
  writeFileSync(
    file,
    `[databases]
* = host=${server.hostname} port=${server.port} user=${server.username}
[pgbouncer]
listen_addr = ${POOLER.split(':')[0]}
listen_port = ${POOLER.split(':')[1]}
unix_socket_dir =
auth_type = any
auth_file = ${join(directory, 'users')}
pool_mode = transaction
default_pool_size = 5
max_client_conn = 1000
server_login_retry = 1
`,
  );
  spawnSync('chown', ['-R', 'postgres', directory]);
  const user = ['--reuid', 'postgres', '--regid', 'postgres', '--clear-groups'];
  const child = spawn('setpriv', [...user, command, ...args, file], { stdio: ['ignore', 'ignore', 'ignore'] });
  await until(async () => (await query(url.replace('/pooled', '/postgres'), 'SELECT 1')).length === 1);
  return child;
}

async function until(condition) {
  for (const begin = Date.now(); !(await condition().catch(() => false)); await setTimeout(100)) {
    assert.ok(Date.now() - begin < 30_000, `Not within 30 s: ${condition}`);
  }
}

async function query(connectionString, sql) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Runs SQL without the pooler. */
function direct(sql) {
  return query(Object.assign(new URL(server), { pathname: '/pooled' }).href, sql);
}

/** Runs a program of dist/ and collects its log. */
function run(program, args = [], env = {}) {
  const child = spawn(process.execPath, [`dist/${program}.js`, ...args], {
    env: { NODE_ENV: 'production', HOST: '127.0.0.1', PORT, RATE_LIMIT_PER_MINUTE: '0', DATABASE_URL: url, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const running = { child, log: '', ended: once(child, 'close').then(([code]) => code) };
  child.stdout.on('data', (data) => (running.log += data));
  return running;
}

async function migrateThreeTimes() {
  const both = [run('migrate'), run('migrate')];
  for (const { ended } of both) assert.equal(await ended, 0);
  const third = run('migrate');
  assert.equal(await third.ended, 0);
  assert.match(third.log, /No pending migrations/);
  const locks = `SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database WHERE locktype = 'advisory' AND datname = 'pooled'`;
  assert.deepEqual(await direct(locks), []);
}

async function serveUnderLoad() {
  const created = run('api-keys', ['create', '--name', 'load', '--scopes', 'vouchers:read,vouchers:write', '--json'], {
    NODE_ENV: 'development',
  });
  assert.equal(await created.ended, 0);
  const headers = { 'x-api-key': JSON.parse(created.log).key, 'content-type': 'application/json' };
  const service = run('main', [], { CONCURRENCY_LIMIT: '1000' });
  try {
    const origin = `http://127.0.0.1:${PORT}`;
    await until(async () => (await fetch(`${origin}/health/ready`)).ok);
    const statuses = {};
    const call = async (path, init = {}) => {
      const response = await fetch(origin + path, { headers, ...init });
      statuses[response.status] = (statuses[response.status] ?? 0) + 1;
      await response.text();
    };
    const client = async (number) => {
      for (let round = 0; round < 20; round++) {
        const body = JSON.stringify({ code: `LOAD-${number}-${round}`, maxRedemptions: 1 });
        await call('/v1/vouchers', { method: 'POST', body });
        await call(`/v1/vouchers?limit=${(round % 5) + 1}`);
        await call('/v1/me');
      }
    };
    await Promise.all(Array.from({ length: 10 }, (_, number) => client(number)));
    assert.deepEqual(Object.keys(statuses), ['200', '201'], JSON.stringify(statuses));
    assert.doesNotMatch(service.log, /"severity":"(ERROR|CRITICAL|WARNING)"/);
  } finally {
    service.child.kill();
    await service.ended;
  }
}

async function logMissingTimeouts() {
  await direct('ALTER ROLE tester IN DATABASE pooled SET statement_timeout = 0');
  await direct(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'pooled' AND pid <> pg_backend_pid()`,
  );
  const service = run('main');
  await until(async () =>
    service.log.includes('ALTER ROLE \\"tester\\" IN DATABASE \\"pooled\\" SET statement_timeout = 5000'),
  );
  service.child.kill();
  await service.ended;
}

async function runTests() {
  const ignored = `--testPathIgnorePatterns=/(${DIRECT_ONLY.join('|')})\\.e2e-spec`;

  const args = ['test', '--', 'test/platform', ignored];
  const { status } = spawnSync('npm', args, { stdio: 'inherit', env: { ...process.env, TEST_POOLER: POOLER } });
  assert.equal(status, 0);
}
