import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { pipeline } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { givenApiKey } from '../support/credentials.js';
import { type Program, startProgram } from '../support/program.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
});
afterAll(() => database.drop());

/** A port on which nothing listens yet. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const answers = async (url: string) => (await fetch(url).catch(() => undefined))?.ok ?? false;

/** Lets the database be found at another port. */
function openDoor(port: number, to: URL): Server {
  const door = createServer((socket) => {
    const onward = connect(Number(to.port), to.hostname);
    pipeline(socket, onward, socket, () => undefined);
  });
  return door.listen(port, '127.0.0.1');
}

describe('a service that starts before its database', () => {
  let migrated: TestDatabase;
  let sut: Program;
  let door: Server | undefined;
  beforeEach(async () => {
    migrated = await createTestDatabase();
  });
  afterEach(async () => {
    await sut.stop();
    door?.close();
    await migrated.drop();
  });

  it('listens, answers 503, says what it waits for, and is ready soon after the database', async () => {
    const there = new URL(migrated.url);
    const port = await freePort();
    const early = Object.assign(new URL(there), { port: String(port) });
    sut = await startProgram({ DATABASE_URL: early.href, DATABASE_STARTUP_WARN_AFTER_MS: '1000' });

    expect((await fetch(`${sut.url}/health/live`)).status).toBe(200);
    expect((await fetch(`${sut.url}/health/startup`)).status).toBe(503);
    expect((await fetch(`${sut.url}/health/ready`)).status).toBe(503);
    const headers = { 'x-api-key': await givenApiKey(migrated) };
    const refused = await fetch(`${sut.url}/v1/me`, { headers });
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([503, '1']);
    expect(await refused.json()).toMatchObject({ code: 'database_unavailable' });
    await until(() => sut.lines.some(({ severity }) => severity === 'ERROR'));
    expect(sut.lines.find(({ severity }) => severity === 'ERROR')?.message).toMatch(
      new RegExp(`^Waiting for database \\w+ at 127.0.0.1:${port} for \\d s, past DATABASE_STARTUP_WARN_AFTER_MS`),
    );

    door = openDoor(port, there);
    await until(async () => (await fetch(`${sut.url}/health/ready`)).ok, 2_000);
    expect((await fetch(`${sut.url}/v1/me`, { headers })).status).toBe(200);
    expect(sut.lines).toContainEqual(
      expect.objectContaining({ connectMs: expect.any(Number), warnAfterMs: 1000, attempts: expect.any(Number) }),
    );
    expect((await sut.stop()).code).toBe(0);
  });
});

describe('a start that cannot succeed ends with 1 and one line that says why', () => {
  it('in a wrong environment: every variable with its reason, no value', async () => {
    const sut = await startProgram({ DATABASE_URL: 'mysql://secret', PORT: 'secret', LOG_LEVEL: 'secret' });
    expect(await sut.ended).toBe(1);
    expect(sut.lines).toHaveLength(1);
    const { severity, message } = sut.lines[0]!;
    expect(severity).toBe('CRITICAL');
    for (const name of ['DATABASE_URL', 'PORT', 'LOG_LEVEL']) expect(message).toContain(`${name} must be `);
    expect(message).not.toContain('secret');
  });

  it('without DATABASE_URL in production', async () => {
    const sut = await startProgram({});
    expect(await sut.ended).toBe(1);
    expect(sut.lines.map(({ message }) => message).join()).toContain('DATABASE_URL must be set to postgresql://');
  });

  it('on a port that is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const sut = await startProgram({ DATABASE_URL: database.url, PORT: String(port) });
    expect(await sut.ended).toBe(1);
    expect(sut.lines.at(-1)).toMatchObject({
      severity: 'CRITICAL',
      message: `Port ${port} is in use; set PORT to another`,
    });
    server.close();
  });

  it('of the migrations, when there is no database', async () => {
    const sut = await startProgram({ DATABASE_URL: 'postgresql://127.0.0.1:1/none' }, 'migrate.js');
    expect(await sut.ended).toBe(1);
    expect(sut.lines.at(-1)).toMatchObject({ severity: 'CRITICAL', message: expect.stringContaining('ECONNREFUSED') });
  });
});

it('of two migrations at once one works, the other waits, and both end with 0', async () => {
  const both = await Promise.all([1, 2].map(() => startProgram({ DATABASE_URL: database.url }, 'migrate.js')));
  expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([0, 0]);
  const messages = both.map(({ lines }) => String(lines.at(-1)?.message)).toSorted();
  expect(messages).toEqual([expect.stringContaining('Applied'), 'No pending migrations']);
});

it('a log that cannot be written, as on a full disk, costs no request', async () => {
  const port = String(await freePort());
  const file = openSync('package.json', 'r');
  const env = { NODE_ENV: 'production', HOST: '127.0.0.1', PORT: port, DATABASE_URL: database.url };
  const child = spawn(process.execPath, ['dist/main.js'], { env, stdio: ['ignore', file, 'inherit'] });
  await until(() => answers(`http://127.0.0.1:${port}/`));
  child.kill('SIGTERM');
  expect(await once(child, 'close')).toEqual([0, null]);
  closeSync(file);
});

it.each(['production', 'development'])(
  '`npm start` makes no key in a database that is not its own, in %s',
  async (NODE_ENV) => {
    const given = await createTestDatabase();
    const port = String(await freePort());
    const env = { NODE_ENV, PORT: port, HOST: '127.0.0.1', DATABASE_URL: given.url, PATH: process.env.PATH };
    const child = spawn(process.execPath, ['tools/dev/start.mjs'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const output = text(child.stdout);
    await until(() => answers(`http://127.0.0.1:${port}/health/ready`));
    child.kill('SIGINT');
    expect(await output).not.toMatch(/sk_|curl/);
    expect(await given.query('SELECT FROM api_keys')).toEqual([]);
    await given.drop();
  },
);
