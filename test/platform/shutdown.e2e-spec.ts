import { once } from 'node:events';
import { Agent, get, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { givenApiKey } from '../support/credentials.js';
import { type Program, startProgram } from '../support/program.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

const UNREACHABLE = 'postgresql://127.0.0.1:1/none';

let database: TestDatabase;
let holder: Client;
let program: Program;
let apiKey: string;

beforeAll(async () => {
  database = await createTestDatabase();
  apiKey = await givenApiKey(database);
  holder = new Client({ connectionString: database.url });
  await holder.connect();
});
afterEach(async () => {
  await letGo();
  await program.stop('SIGKILL');
});
afterAll(async () => {
  await holder.end();
  await database.drop();
});

/** The service, ready, with room for a request that waits for a lock. */
async function start(env: NodeJS.ProcessEnv = {}): Promise<void> {
  program = await startProgram({
    DATABASE_URL: database.url,
    DATABASE_STATEMENT_TIMEOUT_MS: '60000',
    ...env,
  });
  await until(async () => (await fetch(`${program.url}/health/startup`)).ok);
}

/** A request that is not answered before `letGo()`: its key is read first. */
async function startSlowRequest(): Promise<{ response: Promise<IncomingMessage> }> {
  await holder.query('BEGIN; LOCK TABLE api_keys');
  const request = httpRequest(`${program.url}/v1/me`, { headers: { 'x-api-key': apiKey } }).end();
  const response = once(request, 'response').then(([message]) => message as IncomingMessage);
  response.catch(() => undefined); // whoever awaits it sees the failure
  await until(async () => (await countBackends(`wait_event_type = 'Lock'`)) === 1);
  return { response };
}

const letGo = () => holder.query('ROLLBACK');

async function countBackends(condition = 'true'): Promise<number> {
  const [{ count } = { count: 0 }] = await database.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'starter-nestjs%' AND ${condition}`,
  );
  return count;
}

async function send(path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
  const [response] = await once(
    get(`${program.url}${path}`, { headers: { 'x-api-key': apiKey }, ...options }),
    'response',
  );
  return response.resume();
}

async function openSilentSocket(): Promise<Socket> {
  const { hostname, port } = new URL(program.url);
  const socket = connect(Number(port), hostname).on('error', () => undefined);
  await once(socket, 'connect');
  return socket.resume();
}

const hasLogged = (text: string) => program.lines.some(({ message }) => message.includes(text));

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  it('answers what is in flight, closes every connection and exits with 0', async () => {
    await start();
    const slow = await startSlowRequest();
    const stopped = program.stop(signal);
    await until(() => hasLogged(`${signal}: 1 requests in flight`));
    await letGo();

    const response = await slow.response;
    expect(response.statusCode).toBe(200);
    expect(response.headers.connection).toBe('close');
    expect(await json(response)).toMatchObject({ name: 'test' });
    const { code, ms } = await stopped;
    expect(code).toBe(0);
    expect(ms).toBeLessThan(9_000);
    // Every line was JSON, or the program's reader would have thrown; the request's own is the last but those of Nest.
    expect(hasLogged('GET /v1/me 200')).toBe(true);
    await until(async () => (await countBackends()) === 0);
  });
});

describe('While the service drains', () => {
  it('is not ready, and still serves, on connections that it closes', async () => {
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
    expect(await ready.json()).toMatchObject({
      error: { shutdown: { status: 'down', message: 'the instance is shutting down' } },
    });
    for (const response of [live, reused, fresh]) {
      expect(response.statusCode).toBe(200);
      expect(response.headers.connection).toBe('close');
    }
    expect((await stopped).code).toBe(0);
  });
});

describe('While the last requests are answered', () => {
  it('refuses new connections', async () => {
    await start();
    const slow = await startSlowRequest();
    const stopped = program.stop();
    await until(() =>
      send('/health/live').then(
        () => false,
        (error) => error.code === 'ECONNREFUSED',
      ),
    );
    await letGo();
    expect((await slow.response).statusCode).toBe(200);
    expect((await stopped).code).toBe(0);
  });

  it('answers what had been sent before the signal, on connections that were not accepted yet', async () => {
    await start();
    process.kill(program.pid, 'SIGSTOP');
    const requests = Array.from({ length: 20 }, () => get(`${program.url}/health/live`));
    const responses = Promise.all(requests.map((request) => once(request, 'response')));
    await until(() => requests.every(({ socket }) => socket?.pending === false && socket.bytesWritten > 0));
    const stopped = program.stop();
    process.kill(program.pid, 'SIGCONT');
    for (const [response] of await responses) expect(response.resume().statusCode).toBe(200);
    expect((await stopped).code).toBe(0);
  });

  it('ignores a second signal', async () => {
    await start();
    const slow = await startSlowRequest();
    const stopped = program.stop();
    await until(() => hasLogged('SIGTERM: 1 requests in flight'));
    process.kill(program.pid, 'SIGTERM');
    process.kill(program.pid, 'SIGINT');
    await letGo();
    expect((await slow.response).statusCode).toBe(200);
    expect((await stopped).code).toBe(0);
  });
});

it('Connections that nobody uses do not delay the exit', async () => {
  const agent = new Agent({ keepAlive: true });
  await start();
  await Promise.all(Array.from({ length: 5 }, () => send('/health/live', { agent })));
  const silent = await Promise.all(Array.from({ length: 5 }, openSilentSocket));
  const halfSent = await openSilentSocket();
  halfSent.write('GET / HTTP/1.1\r\nHost: ');

  const { code, ms } = await program.stop();
  expect(code).toBe(0);
  expect(ms).toBeLessThan(4_000); // half of SHUTDOWN_TIMEOUT_MS
  await until(() => [...silent, halfSent].every(({ destroyed }) => destroyed));
  agent.destroy();
});

it('A request that does not end is cut at SHUTDOWN_TIMEOUT_MS', async () => {
  await start({ SHUTDOWN_TIMEOUT_MS: '300' });
  const slow = await startSlowRequest();
  const { ms } = await program.stop();
  expect(ms).toBeLessThan(9_000);
  await expect(slow.response).rejects.toThrow('socket hang up');
  expect(program.lines).toContainEqual(
    expect.objectContaining({ severity: 'ERROR', message: 'Aborted 1 requests that exceeded SHUTDOWN_TIMEOUT_MS' }),
  );
});

/** In the place of a fault in the service's own code. */
const crashes = {
  'an exception that nobody catches': 'setImmediate(() => { throw new Error("forgotten") })',
  'a rejection that nobody handles': 'Promise.reject(new Error("forgotten"))',
};

it.each(Object.entries(crashes))('After %s what is in flight is answered, and the exit code is 1', async (_, crash) => {
  const preload = `data:text/javascript,${encodeURIComponent(`process.on("SIGUSR2", () => { ${crash} })`)}`;
  await start({ NODE_OPTIONS: `--import=${preload}` });
  const slow = await startSlowRequest();
  process.kill(program.pid, 'SIGUSR2');
  await until(() => hasLogged('1 requests in flight'));
  await letGo();
  expect((await slow.response).statusCode).toBe(200);
  expect(await program.ended).toBe(1);
  expect(program.lines).toContainEqual(expect.objectContaining({ severity: 'CRITICAL', message: 'forgotten' }));
});

it('A service that still waits for its database stops at once', async () => {
  program = await startProgram({ DATABASE_URL: UNREACHABLE });
  await until(() => hasLogged('Waiting for database'));
  const { code, ms } = await program.stop();
  expect(code).toBe(0);
  expect(ms).toBeLessThan(4_000);
});
