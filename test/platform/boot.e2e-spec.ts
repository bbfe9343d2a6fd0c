import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { givenApiKey } from '../support/credentials.js';
import { startProgram } from '../support/program.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { requiredEnv } from '../support/required-env.mjs';
import { until } from '../support/until.js';

const UNREACHABLE = 'postgresql://127.0.0.1:1/none';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** Listens on a free port. */
async function listen() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: String((server.address() as AddressInfo).port) };
}

describe('dist/main.js without its database', () => {
  it('listens, returns 503, logs the reason, and is ready when the database is', async () => {
    const headers = { 'x-api-key': await givenApiKey(database) };
    const { port, pathname } = new URL(database.url);
    const sut = await database.whileDown(async () => {
      const starting = await startProgram({ DATABASE_URL: database.url, DATABASE_STARTUP_WARN_AFTER_MS: '1000' });
      const statusOf = async (path: string) => (await fetch(starting.url + path)).status;
      expect(await statusOf('/health/live')).toBe(200);
      expect(await statusOf('/health/startup')).toBe(503);
      expect(await statusOf('/health/ready')).toBe(503);
      const rejected = await fetch(`${starting.url}/v1/me`, { headers });
      expect([rejected.status, rejected.headers.get('Retry-After')]).toEqual([503, '1']);
      expect(await rejected.json()).toMatchObject({ code: 'database_unavailable' });
      await until(() => starting.lines.some(({ severity }) => severity === 'ERROR'));
      const { message } = starting.lines.find(({ severity }) => severity === 'ERROR')!;
      expect(message).toMatch(
        new RegExp(`^Waiting for database ${pathname.slice(1)} at 127\\.0\\.0\\.1:${port} for \\d+ s, past `),
      );
      return starting;
    });
    await until(async () => (await fetch(`${sut.url}/health/ready`)).ok);
    expect((await fetch(`${sut.url}/v1/me`, { headers })).status).toBe(200);
    expect(sut.lines).toContainEqual(
      expect.objectContaining({ connectMs: expect.any(Number), warnAfterMs: 1000, attempts: expect.any(Number) }),
    );
    expect(await sut.stop()).toBe(0);
  });
});

const NOT_ENCODED = 'postgresql://app:Zq8@Secret/Secret@127.0.0.1/app';
const MISSING_CA = 'postgresql://127.0.0.1/app?sslmode=verify-full&sslrootcert=/Secret.pem';

describe('a start that cannot succeed', () => {
  it.each<[string, NodeJS.ProcessEnv, string]>([
    ['main.js', {}, 'DATABASE_URL must be set to postgresql://USER:PASSWORD@HOST:PORT/DATABASE'],
    ['main.js', { DATABASE_URL: NOT_ENCODED }, 'DATABASE_URL must percent-encode reserved characters'],
    ['migrate.js', { DATABASE_URL: NOT_ENCODED }, 'DATABASE_URL must percent-encode reserved characters'],
    ['main.js', { DATABASE_URL: MISSING_CA }, 'DATABASE_URL must name a readable file in sslrootcert (ENOENT)'],
    ['main.js', { DATABASE_URL: UNREACHABLE, HOST: 'host.invalid' }, 'HOST must be an address of this machine (E'],
    ['main.js', { DATABASE_URL: UNREACHABLE, LOG_FORMAT: 'Secret' }, 'LOG_FORMAT must be json or pretty'],
    ['migrate.js', { DATABASE_URL: UNREACHABLE }, 'ECONNREFUSED 127.0.0.1:1; check the host and port in DATABASE_URL'],
  ])('exits with 1 and one critical line: %s, %j', async (program, env, message) => {
    const sut = await startProgram(env, program);
    expect(await sut.ended).toBe(1);
    expect(sut.lines).toEqual([expect.objectContaining({ severity: 'CRITICAL' })]);
    expect(sut.lines[0]?.message).toContain(message);
    expect(JSON.stringify(sut.lines)).not.toMatch(/Secret|Zq8/);
  });

  it.each([
    ["'text'", 'Uncaught text'],
    ['null', 'Uncaught null'],
    ['Object.create(null)', 'Uncaught [Object: null prototype] {}'],
    ["new Error('message')", 'message'],
  ])('reports a feature that throws %s while it is imported', (thrown, message) => {
    const code = `await import('./build/platform/lifecycle/report-crashes.js'); throw ${thrown}`;
    const options = { encoding: 'utf8', env: { NODE_ENV: 'production' } } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], options);
    expect([status, stderr]).toEqual([1, '']);
    expect(JSON.parse(stdout)).toMatchObject({ severity: 'CRITICAL', message });
  });

  it('names every invalid variable and no value', async () => {
    const sut = await startProgram({ DATABASE_URL: 'mysql://secret', PORT: 'secret', LOG_LEVEL: 'secret' });
    expect(await sut.ended).toBe(1);
    expect(sut.lines).toHaveLength(1);
    const { message } = sut.lines[0]!;
    for (const name of ['DATABASE_URL', 'PORT', 'LOG_LEVEL']) expect(message).toContain(`${name} must be `);
    expect(message).not.toContain('secret');
  });

  it('names the port that is in use', async () => {
    const { server, port } = await listen();
    try {
      const sut = await startProgram({ DATABASE_URL: database.url, PORT: port });
      expect(await sut.ended).toBe(1);
      expect(sut.lines).toMatchObject([
        { severity: 'CRITICAL', message: `Port ${port} is in use; set PORT to another one` },
      ]);
    } finally {
      server.close();
    }
  });
});

describe('dist/migrate.js', () => {
  it('runs once at a time: of two, one applies the migrations and both exit with 0', async () => {
    const empty = await createTestDatabase({ empty: true });
    const both = await Promise.all([1, 2].map(() => startProgram({ DATABASE_URL: empty.url }, 'migrate.js')));
    expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([0, 0]);
    const messages = both.map(({ lines }) => String(lines.at(-1)?.message)).toSorted();
    expect(messages).toEqual([expect.stringContaining('Applied'), 'No pending migrations']);
    await empty.drop();
  });

  it('creates no API key', async () => {
    const migrated = await createTestDatabase();
    expect(await migrated.query('SELECT FROM api_keys')).toEqual([]);
    await migrated.drop();
  });
});

describe('a log that cannot be written', () => {
  it('does not stop the service', async () => {
    const { server, port } = await listen();
    server.close();
    const readOnly = openSync(import.meta.filename, 'r'); // every write to it fails, as on a full disk
    const env = { ...requiredEnv, NODE_ENV: 'production', HOST: '127.0.0.1', PORT: port, DATABASE_URL: database.url };
    const child = spawn(process.execPath, ['dist/main.js'], { env, stdio: ['ignore', readOnly, 'inherit'] });
    await until(async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))?.ok ?? false);
    child.kill('SIGTERM');
    expect(await once(child, 'close')).toEqual([0, null]);
    closeSync(readOnly);
  });
});
