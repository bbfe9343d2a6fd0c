import { once } from 'node:events';
import { Agent, get, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { givenApiKey } from '../support/credentials.js';
import { type Program, startProgram } from '../support/program.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

let database: TestDatabase;
let lock: { release(): Promise<void> } | undefined;
let program: Program;
let apiKey: string;

beforeAll(async () => {
  database = await createTestDatabase();
  apiKey = await givenApiKey(database);
});
afterEach(async () => {
  await release();
  await program.stop('SIGKILL');
});
afterAll(() => database.drop());

async function start(env: NodeJS.ProcessEnv = {}): Promise<void> {
  program = await startProgram({ DATABASE_URL: database.url, DATABASE_STATEMENT_TIMEOUT_MS: '60000', ...env });
  await until(async () => (await fetch(`${program.url}/health/startup`)).ok);
}

/** Sends a request that waits for a lock until `release()`: its API key is read from the database. */
async function startSlowRequest(): Promise<{ slow: Promise<IncomingMessage> }> {
  lock = await database.hold('LOCK TABLE api_keys');
  const request = httpRequest(`${program.url}/v1/me`, { headers: { 'x-api-key': apiKey } }).end();
  const slow = once(request, 'response').then(([message]) => message as IncomingMessage);
  slow.catch(() => undefined); // the test that awaits it handles the error
  await until(async () => (await database.countLockWaits()) === 1);
  return { slow };
}

async function release(): Promise<void> {
  await lock?.release();
  lock = undefined;
}

async function send(path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
  const headers = { 'x-api-key': apiKey };
  const [response] = await once(get(`${program.url}${path}`, { headers, ...options }), 'response');
  return response.resume();
}

async function openSocket(): Promise<Socket> {
  const { hostname, port } = new URL(program.url);
  const socket = connect(Number(port), hostname).on('error', () => undefined);
  await once(socket, 'connect');
  return socket.resume();
}

const hasLogged = (text: string) => program.lines.some(({ message }) => message.includes(text));

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  it('finishes requests in flight, closes every connection and exits with 0', async () => {
    await start();
    const { slow } = await startSlowRequest();
    const stopped = program.stop(signal);
    await until(() => hasLogged(`${signal}: 1 requests in flight`));
    await release();

    const response = await slow;
    expect(response.statusCode).toBe(200);
    expect(response.headers.connection).toBe('close');
    expect(await json(response)).toMatchObject({ name: 'test' });
    expect(await stopped).toBe(0);
    expect(hasLogged('GET /v1/me 200')).toBe(true);
    const sessions = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'starter-nestjs%'`;
    await until(async () => (await database.query(sessions)).length === 0);
  });
});

describe('during SHUTDOWN_DELAY_MS, the service', () => {
  it('is not ready, accepts requests, and closes their connections', async () => {
    const agent = new Agent({ keepAlive: true });
    await start({ SHUTDOWN_DELAY_MS: '700' });
    expect((await send('/', { agent })).headers.connection).toBe('keep-alive');
    const stopped = program.stop();
    await until(() => hasLogged('SIGTERM: 0 requests in flight'));

    const [ready, live, reused, fresh] = await Promise.all([
      fetch(`${program.url}/health/ready`),
      send('/health/live'),
      send('/', { agent }),
      send('/v1/me'),
    ]);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ error: { shutdown: { status: 'down' } } });
    for (const response of [live, reused, fresh]) {
      expect(response.statusCode).toBe(200);
      expect(response.headers.connection).toBe('close');
    }
    expect(await stopped).toBe(0);
  });
});

describe('while the last requests finish, the service', () => {
  it('does not accept new connections', async () => {
    await start();
    const { slow } = await startSlowRequest();
    const stopped = program.stop();
    await until(() =>
      send('/health/live').then(
        () => false,
        (error) => error.code === 'ECONNREFUSED',
      ),
    );
    await release();
    expect((await slow).statusCode).toBe(200);
    expect(await stopped).toBe(0);
  });

  it('responds to requests that were sent before the signal, on connections not yet accepted', async () => {
    await start();
    process.kill(program.pid, 'SIGSTOP');
    const requests = Array.from({ length: 20 }, () => get(`${program.url}/health/live`));
    const responses = Promise.all(requests.map((request) => once(request, 'response')));
    await until(() => requests.every(({ socket }) => socket?.pending === false && socket.bytesWritten > 0));
    const stopped = program.stop();
    process.kill(program.pid, 'SIGCONT');
    for (const [response] of await responses) expect(response.resume().statusCode).toBe(200);
    expect(await stopped).toBe(0);
  });

  it('ignores a second signal', async () => {
    await start();
    const { slow } = await startSlowRequest();
    const stopped = program.stop();
    await until(() => hasLogged('SIGTERM: 1 requests in flight'));
    process.kill(program.pid, 'SIGTERM');
    process.kill(program.pid, 'SIGINT');
    await release();
    expect((await slow).statusCode).toBe(200);
    expect(await stopped).toBe(0);
  });
});

describe('SHUTDOWN_TIMEOUT_MS', () => {
  it('is not used up by idle connections', async () => {
    const agent = new Agent({ keepAlive: true });
    await start({ SHUTDOWN_TIMEOUT_MS: '600000' });
    await Promise.all(Array.from({ length: 5 }, () => send('/health/live', { agent })));
    const sockets = await Promise.all(Array.from({ length: 6 }, openSocket));
    sockets[0]?.write('GET / HTTP/1.1\r\nHost: '); // half of a request

    expect(await program.stop()).toBe(0);
    await until(() => sockets.every(({ destroyed }) => destroyed));
    agent.destroy();
  });

  it('limits the wait for a request that does not end', async () => {
    await start({ SHUTDOWN_TIMEOUT_MS: '300' });
    const { slow } = await startSlowRequest();
    await program.stop();
    await expect(slow).rejects.toThrow('socket hang up');
    expect(program.lines).toContainEqual(
      expect.objectContaining({ severity: 'ERROR', message: expect.stringContaining('1 requests') }),
    );
  });

  it('is not used up by a database that is down', async () => {
    program = await startProgram({ DATABASE_URL: 'postgresql://127.0.0.1:1/none', SHUTDOWN_TIMEOUT_MS: '600000' });
    await until(() => hasLogged('Waiting for database'));
    expect(await program.stop()).toBe(0);
  });
});

describe('a crash', () => {
  it.each([
    ['an uncaught exception', 'setImmediate(() => { throw new Error("forgotten") })'],
    ['an unhandled rejection', 'Promise.reject(new Error("forgotten"))'],
  ])('by %s finishes requests in flight, logs the error and exits with 1', async (_, crash) => {
    const preload = `data:text/javascript,${encodeURIComponent(`process.on("SIGUSR2", () => { ${crash} })`)}`;
    await start({ NODE_OPTIONS: `--import=${preload}` });
    const { slow } = await startSlowRequest();
    process.kill(program.pid, 'SIGUSR2');
    await until(() => hasLogged('1 requests in flight'));
    await release();
    expect((await slow).statusCode).toBe(200);
    expect(await program.ended).toBe(1);
    expect(program.lines).toContainEqual(expect.objectContaining({ severity: 'CRITICAL', message: 'forgotten' }));
  });
});
