import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool, PoolClient } from 'pg';
import { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import { createApiKey } from '../../src/platform/auth/api-key.js';
import type { LogLine } from '../support/program.js';
import type { TestApp } from '../support/test-app.js';
import { createTestNotesApp } from '../support/test-notes.js';
import { until } from '../support/until.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;

const log: LogLine[] = [];
const lineLengths: number[] = [];
let sut: TestApp;
beforeAll(async () => {
  sut = await createTestNotesApp({
    env: {
      LOG_LEVEL: 'info',
      LOG_FORMAT: 'json',
      GOOGLE_CLOUD_PROJECT: 'my-project',
      K_SERVICE: 'service',
      K_REVISION: 'service-7',
      COMMIT_SHA: 'abcdef0',
    },
    log(line) {
      log.push(JSON.parse(line));
      lineLengths.push(Buffer.byteLength(line));
    },
  });
});
afterAll(() => sut.close());

const pool = () => (sut.app.get(DataSource).driver as PostgresDriver).master as Pool;

/** Acquires every connection of the pool. Returns a function that releases them. */
async function holdConnections(): Promise<() => void> {
  const clients = await Promise.all(
    Array.from(
      { length: pool().options.max },
      () =>
        new Promise<PoolClient>((resolve, reject) =>
          pool().connect((error, client) => (client ? resolve(client) : reject(error))),
        ),
    ),
  );
  return () => clients.forEach((client) => client.release());
}

let count = 0;

/** Sends a request and returns the lines with its id. The request log line is the last. */
async function linesOf(path: string, init: RequestInit = {}): Promise<LogLine[]> {
  const requestId = `request-${++count}`;
  const headers = { 'X-Request-Id': requestId, 'x-api-key': sut.apiKey, ...init.headers };
  await fetch(sut.url + path, { ...init, headers });
  const lines = () => log.filter((line) => line.requestId === requestId);
  await until(() => lines().some(({ method }) => method !== undefined));
  return lines();
}

describe('every log line', () => {
  it('has the format of Cloud Logging', () => {
    expect(log.length).toBeGreaterThan(0);
    for (const line of log) {
      expect(['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']).toContain(line.severity);
      expect(new Date(line.time).toISOString()).toBe(line.time);
      expect(line).toMatchObject({ message: expect.any(String), commit: 'abcdef0' });
      for (const name of ['level', 'msg', 'pid', 'hostname']) expect(line).not.toHaveProperty(name);
    }
  });

  it('of a request has the fields that deploy/observability reads', async () => {
    const files = ['alerts', 'dashboard', 'metrics', 'queries'].map((name) =>
      readFileSync(`deploy/observability/${name}.json`, 'utf8'),
    );
    const fields = new Set(Array.from(files.join('').matchAll(/jsonPayload\.([\w.]+)/g), ([, field]) => field));
    fields.delete('context'); // lines of components have it
    const lines = await linesOf('/v1/test-notes/invalid');
    expect(Object.keys(lines.at(-1)!)).toEqual(expect.arrayContaining([...fields]));
    expect(fields.size).toBeGreaterThan(5);
  });

  it("is not about Nest's routes at level info", () => {
    expect(log.filter(({ context }) => context === 'RouterExplorer')).toEqual([]);
  });
});

describe('a request', () => {
  it('that is rejected writes the problem code and the invalid fields, without their values', async () => {
    const [line, ...others] = await linesOf('/v1/test-notes', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ title: 5, done: 'secret value' }),
    });
    expect(others).toEqual([]);
    expect(line).toMatchObject({
      severity: 'INFO',
      message: 'POST /v1/test-notes 400 invalid_request',
      code: 'invalid_request',
      pointers: ['#/title', '#/done'],
    });
    expect(JSON.stringify(line)).not.toContain('secret value');
  });

  it('writes one line, without the query string', async () => {
    const lines = await linesOf('/v1/me?q=secret', { headers: { traceparent: TRACEPARENT } });
    expect(lines).toEqual([
      {
        severity: 'INFO',
        time: expect.any(String),
        commit: 'abcdef0',
        message: 'GET /v1/me 200',
        requestId: `request-${count}`,
        method: 'GET',
        path: '/v1/me',
        principal: `api_key:${sut.apiKey.split('_')[1]}`,
        status: 200,
        route: '/v1/me',
        durationMs: expect.any(Number),
        dbMs: expect.any(Number),
        dbQueries: expect.any(Number),
        poolWaitMs: expect.any(Number),
        'logging.googleapis.com/trace': `projects/my-project/traces/${TRACE}`,
        'logging.googleapis.com/spanId': 'b7ad6b7169203331',
        'logging.googleapis.com/trace_sampled': true,
      },
    ]);
  });

  it.each([
    ['/v1/test-notes/3f0c0c7a-9e0b-4d0c-8f4d-0a3d1b6c9a11', '/v1/test-notes/:id'],
    ['/v1/test-notes/invalid?q=x', '/v1/test-notes/:id'],
    ['/', '/'],
    ['/unknown/3f0c0c7a', 'unmatched'],
    ['/%E0%A4%A', 'unmatched'],
  ])('to %s has the route %s', async (path, route) => {
    expect((await linesOf(path)).at(-1)).toMatchObject({ route });
  });

  it('counts its SQL statements and measures their time', async () => {
    await linesOf('/v1/me'); // caches the API key
    expect((await linesOf('/v1/me')).at(-1)).toMatchObject({ dbQueries: 0, dbMs: 0, poolWaitMs: 0 });
    const [{ dbMs, durationMs, ...line }] = (await linesOf('/v1/test-notes')) as [LogLine];
    expect(line).toMatchObject({ dbQueries: 1 });
    expect(dbMs).toBeGreaterThan(0);
    expect(dbMs).toBeLessThanOrEqual(Number(durationMs) + 1); // rounded
  });

  it('measures only its own wait for a connection', async () => {
    const release = await holdConnections();
    const waiting = linesOf('/v1/test-notes');
    await until(() => pool().waitingCount > 0);
    const [other] = await linesOf('/');
    release();
    expect(other).toMatchObject({ poolWaitMs: 0, dbMs: 0 });
    expect((await waiting)[0]).toMatchObject({ dbQueries: 1, poolWaitMs: expect.any(Number) });
    expect((await waiting)[0]!.poolWaitMs).toBeGreaterThan(0);
  });

  it('that fails with 500 also writes its error with stack, request id and trace', async () => {
    await sut.database.query('ALTER TABLE test_notes RENAME TO elsewhere');
    try {
      const lines = await linesOf('/v1/test-notes', { headers: { traceparent: TRACEPARENT } });
      expect(lines.map(({ severity }) => severity)).toEqual(['ERROR', 'WARNING']);
      expect(lines[0]).toMatchObject({
        message: expect.stringContaining('relation "test_notes" does not exist'),
        stack_trace: expect.stringMatching(/^QueryFailedError: relation .*\n {4}at .*/),
        serviceContext: { service: 'service', version: 'service-7' },
        'logging.googleapis.com/trace': `projects/my-project/traces/${TRACE}`,
      });
    } finally {
      await sut.database.query('ALTER TABLE elsewhere RENAME TO test_notes');
    }
  });

  it.each([
    ['/%E0%A4%A', 400],
    ['/nope', 404],
  ])('to %s writes a line with %i', async (path, status) => {
    expect(await linesOf(path)).toMatchObject([{ severity: 'INFO', status }]);
  });

  it('with long parts writes lines of at most 8,000 bytes', async () => {
    const long = 'x'.repeat(14_000);
    const headers = { 'User-Agent': long };
    const body = JSON.stringify(Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`${index}${long}`, 1])));
    const json = { ...headers, 'Content-Type': 'application/json' };
    await linesOf(`/${long}`);
    await linesOf('/', { headers });
    await linesOf('/v1/me', { headers: { ...headers, 'x-api-key': '', Authorization: `Bearer ${'x'.repeat(500)}` } });
    const [line] = await linesOf('/v1/test-notes', { method: 'POST', headers: json, body });
    expect(line).toMatchObject({ status: 400, message: 'POST /v1/test-notes 400 invalid_request' });
    expect(Math.max(...lineLengths)).toBeLessThanOrEqual(8_000);
  });

  it('to a health probe writes nothing', async () => {
    await fetch(`${sut.url}/health/live`, { headers: { 'X-Request-Id': 'probe' } });
    await linesOf('/');
    expect(log.filter(({ requestId }) => requestId === 'probe')).toEqual([]);
  });

  it.each([
    ['a space', 'two words'],
    ['129 characters', 'x'.repeat(129)],
    ['a quote', 'quote"'],
    ['no character', ''],
  ])('with an X-Request-Id of %s gets another id', async (_, id) => {
    const { headers } = await fetch(sut.url, { headers: { 'X-Request-Id': id } });
    expect(headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('secrets', () => {
  const { key } = createApiKey();
  const jwt = ['eyJhbGciOiJSUzI1NiJ9', 'eyJzdWIiOiJzb21lb25lIn0', 'c2lnbmF0dXJl'].join('.');
  const post = (body: string) => ({ method: 'POST', headers: { 'Content-Type': 'application/json' }, body });

  it.each<[string, string, RequestInit?]>([
    ['the query string', '/v1/me?q=query-secret'],
    ['an API key in the query string', `/v1/me?api_key=${key}`, { headers: { 'x-api-key': '' } }],
    ['a token in the path', `/v1/${jwt}`],
    ['an API key in the path', `/v1/${key}`, { headers: { 'x-api-key': key } }],
    ['Authorization', '/v1/me', { headers: { Authorization: 'Bearer header-secret' } }],
    ['Cookie', '/v1/me', { headers: { Cookie: 'header-secret' } }],
    ['Proxy-Authorization', '/v1/me', { headers: { 'Proxy-Authorization': 'header-secret' } }],
    ['Idempotency-Key', '/v1/me', { headers: { 'Idempotency-Key': 'header-secret' } }],
    ['an invalid body', '/v1/test-notes', post('{"password":"unknown-secret"}')],
    ['a malformed body', '/v1/test-notes', post('{"password":broken-secret')],
  ])('are not logged from %s', async (_, path, init = {}) => {
    const before = log.length;
    await linesOf(path, init);
    const text = JSON.stringify(log.slice(before));
    for (const secret of ['-secret', jwt, key, key.slice(-72), sut.apiKey]) expect(text).not.toContain(secret);
  });

  it('are not logged from the row that PostgreSQL includes in an error', async () => {
    await sut.database.query(`ALTER TABLE test_notes ADD CONSTRAINT no_secrets CHECK (title NOT LIKE '%secret')`);
    const lines = await linesOf('/v1/test-notes', post('{"title":"sql-secret"}'));
    expect(lines.map(({ severity }) => severity)).toEqual(['ERROR', 'WARNING']);
    expect(JSON.stringify(lines)).not.toContain('-secret');
  });
});
