// `npm run doctor` on a fresh clone, and its checks of this machine.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { delimiter, join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import pg from 'pg';
import { buildIfStale } from '../../tools/build/build.mjs';
import { startPostgres } from '../../tools/dev/postgres.mjs';
import { assertFinding, Clone } from './clone.mjs';

let clone;
before(() => {
  buildIfStale();
  clone = new Clone();
});
afterEach(() => clone.reset());
after(() => clone.remove());

/** Everything that is installed on this machine. */
const fullPath = () => ({ PATH: [clone.bin, process.env.PATH].join(delimiter) });

/** Every file below a folder: path, modification time and content. */
function listing(folder) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => {
    const path = join(folder, name);
    const stats = lstatSync(path);
    const content = stats.isFile() ? createHash('sha1').update(readFileSync(path)).digest('hex') : '';
    return `${name} ${stats.mtimeMs} ${content}`;
  });
}

describe('a fresh clone without npm, gh, gcloud, dependencies, database and .env', () => {
  test('has only warnings, each with a fix', async () => {
    const { status, checks, withStatus } = await clone.examine();
    assert.equal(status, 0);
    assert.deepEqual(
      checks.map(({ id }) => id),
      [
        ...['node', 'npm', 'dependencies', 'env', 'port', 'database', 'migrations'].map((name) => `local.${name}`),
        ...['infrastructure', 'roles', 'dockerfile', 'port', 'latest', 'commit', 'build-log', 'probes', 'actions']
          .concat(['secrets', 'context', 'clean', 'branch', 'pushed', 'variables'])
          .map((name) => `repository.${name}`),
      ],
    );
    assert.deepEqual(withStatus('fail'), []);
    assert.deepEqual(withStatus('warn'), [
      'local.npm',
      'local.dependencies',
      'repository.pushed',
      'repository.variables',
    ]);
    for (const { id, status: verdict, detail, fix } of checks) {
      assert.ok(detail, id);
      assert.equal(fix === '', verdict === 'ok', id);
    }
  });

  test('is printed as a table', async () => {
    const { stdout } = await clone.doctor();
    assert.match(stdout, /^warn {2}local\.dependencies +other than in package-lock\.json.*\n +→ npm ci$/m);
    assert.match(stdout, /\n18 ok, 4 warnings, 0 failures\n$/);
  });

  for (const args of [['--json'], ['--cloud', '--json'], ['--explain']]) {
    test(`is unchanged by ${args.join(' ')}, like the home folder`, async () => {
      const original = [listing(clone.folder), listing(clone.home)];
      await clone.doctor(args, fullPath());
      assert.deepEqual([listing(clone.folder), listing(clone.home)], original);
    });
  }

  test('ends with 2 after an unknown option', async () => {
    const { status, stderr, stdout } = await clone.doctor(['--clowd']);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(stderr.trim(), /^Unknown option '--clowd'.*$/);
  });

  test('needs the name of the project for --cloud', async () => {
    const { status, stdout } = await clone.doctor(['--cloud', '--json']);
    assert.equal(status, 1);
    assert.deepEqual(JSON.parse(stdout).checks.at(-1), {
      id: 'cloud.project',
      status: 'fail',
      detail: 'unknown project: gh is not installed',
      fix: 'npm run doctor -- --cloud --project ID --region REGION --service NAME',
    });
  });

  test('has one failed check for a file that cannot be parsed', async () => {
    clone.edit('package.json', '{', '');
    const { find, status, withStatus } = await clone.examine();
    assert.equal(status, 1);
    assert.deepEqual(withStatus('fail'), ['local.node']);
    assertFinding(find('local.node'), { detail: /^the check failed: .*JSON/, fix: /^git status/ });
  });
});

test('local.node warns about an old Node', async () => {
  clone.edit('package.json', '"node": ">=24.15"', '"node": ">=99.1"');
  const { find } = await clone.examine();
  assertFinding(find('local.node'), { status: 'warn', detail: /older than 99\.1/, fix: 'npm ci' });
});

test('local.npm warns about ignore-scripts', async () => {
  assertFinding((await clone.examine(fullPath())).find('local.npm'), { status: 'ok', detail: /^\d+\./ });
  clone.add('.npmrc', 'ignore-scripts=true\n');
  const { find } = await clone.examine(fullPath());
  assertFinding(find('local.npm'), { status: 'warn', fix: 'npm ci --ignore-scripts=false' });
});

test('local.dependencies compares node_modules with the lock file', async () => {
  clone.install();
  assertFinding((await clone.examine()).find('local.dependencies'), { status: 'ok' });
});

describe('local.env', () => {
  test('accepts .env.example', async () => {
    clone.install();
    clone.add('.env', readFileSync('.env.example', 'utf8'));
    assertFinding((await clone.examine()).find('local.env'), { status: 'ok' });
  });

  test('warns about an unknown name', async () => {
    clone.add('.env', 'DATABSE_URL=postgresql://db/app\n');
    const { find, status } = await clone.examine();
    assertFinding(find('local.env'), { status: 'warn', detail: 'the service does not read DATABSE_URL' });
    assert.equal(status, 0);
  });

  test('fails on an invalid value without printing it', async () => {
    clone.install();
    clone.add('.env', 'DATABASE_POOL_MAX=hunter2\n');
    const { status, find, checks } = await clone.examine();
    assert.equal(status, 1);
    assertFinding(find('local.env'), { detail: /^\.env: DATABASE_POOL_MAX must be/ });
    assert.ok(!JSON.stringify(checks).includes('hunter2'));
  });
});

describe('local.port', () => {
  let server;
  let port;
  let name;
  before(async () => {
    server = createServer((_, response) => response.end(JSON.stringify({ name })));
    await once(server.listen(0, '0.0.0.0'), 'listening');
    port = String(server.address().port);
  });
  after(() => server.close());
  const find = async (env) => (await clone.examine(env)).find('local.port');

  test('warns when another program listens', async () => {
    name = 'another';
    assertFinding(await find({ PORT: port }), { status: 'warn', detail: `cannot listen on ${port}: EADDRINUSE` });
  });

  test('accepts a port on which this service listens', async () => {
    ({ name } = JSON.parse(readFileSync('package.json', 'utf8')));
    assertFinding(await find({ PORT: port }), { status: 'ok' });
  });

  test('fails on an invalid PORT', async () => {
    assertFinding(await find({ PORT: '80800' }), { status: 'fail' });
  });

  test('reads PORT from .env', async () => {
    name = 'another';
    clone.add('.env', `PORT=${port}\n`);
    assertFinding(await find({ PORT: '' }), { status: 'warn' });
  });
});

describe('local.database and local.migrations', () => {
  let server;
  let migrated;
  let empty;
  before(async () => {
    server = await startPostgres(mkdtempSync(join(clone.root, 'postgres-')), { durable: false });
    [migrated, empty] = await Promise.all(['migrated', 'empty'].map(createDatabase));
    const env = { ...process.env, DATABASE_URL: migrated, LOG_LEVEL: 'warn' };
    assert.equal(spawnSync(process.execPath, ['dist/migrate.js'], { env, stdio: 'inherit' }).status, 0);
  });
  after(() => server.stop());

  async function createDatabase(name) {
    await query(server.url, `CREATE DATABASE ${name}`);
    const url = new URL(server.url);
    url.pathname = `/${name}`;
    return url.href;
  }

  async function query(connectionString, sql) {
    const client = new pg.Client({ connectionString });
    await client.connect();
    const { rows } = await client.query(sql).finally(() => client.end());
    return rows;
  }

  test('accept a migrated database', async () => {
    clone.install();
    const { find, status } = await clone.examine({ DATABASE_URL: migrated });
    assertFinding(find('local.database'), { status: 'ok', detail: /^PostgreSQL \d\d/ });
    assertFinding(find('local.migrations'), { status: 'ok', detail: /^all [1-9]\d* are applied$/ });
    assert.equal(status, 0);
  });

  test('name pending migrations and apply none', async () => {
    clone.install();
    const { find } = await clone.examine({ DATABASE_URL: empty });
    assertFinding(find('local.migrations'), {
      status: 'warn',
      detail: /^pending: .*CreateApiKeys/,
      fix: 'npm run db:migrate',
    });
    assert.deepEqual(await query(empty, `SELECT to_regclass('migrations') AS created`), [{ created: null }]);
  });

  test('fail on an unreachable database without printing its password', async () => {
    const password = 'hunter2';
    clone.install();
    const url = `postgresql://me:${password}@127.0.0.1:1/app`;
    const { find, checks, status } = await clone.examine({ DATABASE_URL: url });
    assert.equal(status, 1);
    assertFinding(find('local.database'), { status: 'fail', detail: /ECONNREFUSED/ });
    assertFinding(find('local.migrations'), { status: 'warn' });
    assert.ok(!JSON.stringify(checks).includes(password));
  });

  test('connect without dependencies', async () => {
    const found = (await clone.examine({ DATABASE_URL: migrated })).find('local.database');
    assertFinding(found, { status: 'ok', detail: /accepts connections/ });
    const { find } = await clone.examine({ DATABASE_URL: 'postgresql://127.0.0.1:1/app' });
    assertFinding(find('local.database'), { status: 'fail' });
  });

  test('require DATABASE_URL in production', async () => {
    const { find } = await clone.examine({ NODE_ENV: 'production' });
    assertFinding(find('local.database'), { status: 'fail', fix: 'Set DATABASE_URL, or unset NODE_ENV' });
  });

  test('use the embedded PostgreSQL if it runs, and do not start it', async () => {
    clone.install();
    assertFinding((await clone.examine()).find('local.database'), { detail: /which npm start starts$/ });
    const embedded = await startPostgres(join(clone.folder, '.data', 'postgres'), { durable: false });
    clone.onReset(() => rmSync(join(clone.folder, '.data'), { recursive: true }));
    const pidFile = join(clone.folder, '.data/postgres/cluster/data/postmaster.pid');
    const pid = readFileSync(pidFile);
    try {
      const { find } = await clone.examine();
      assertFinding(find('local.database'), { status: 'ok', detail: /which runs$/ });
      assertFinding(find('local.migrations'), { status: 'warn', fix: 'npm run db:migrate' });
    } finally {
      await embedded.stop();
    }
    // A killed server leaves this file behind.
    writeFileSync(pidFile, pid);
    const { find } = await clone.examine();
    assertFinding(find('local.database'), { detail: /which npm start starts$/ });
    assertFinding(find('local.migrations'), { status: 'ok' });
  });
});
