import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { Controller, Get } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { problemCatalog } from '../../src/platform/problems/problem.js';
import { givenApiKey } from '../support/credentials.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';

let sut: TestApp;

@Controller('severed')
@Public()
class SeveredController {
  @Get()
  sever(): Promise<void> {
    return sut.app.get(DataSource).transaction(async (manager) => {
      const [{ pid }] = await manager.query<[{ pid: number }]>('SELECT pg_backend_pid() AS pid');
      await sut.database.query('SELECT pg_terminate_backend($1)', [pid]);
      await until(() => manager.queryRunner?.isReleased === true);
      await manager.query('SELECT 1');
    });
  }
}

beforeAll(async () => {
  sut = await createTestApp({
    env: { DATABASE_STATEMENT_TIMEOUT_MS: '1000' },
    controllers: [SeveredController],
  });
});
afterAll(() => sut.close());

/** Sends bytes as they are and reads the answer to its end. */
async function sendRaw(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(sut.url).port), '127.0.0.1');
  socket.write(bytes);
  return text(socket);
}

it('answers an unknown address with 404, in the shape of every problem', async () => {
  const { body, headers } = await sut.http.get('/nope?secret=1').set('X-Request-Id', 'mine').expect(404);
  expect(headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(body).toEqual({
    type: 'urn:problem-type:route_not_found',
    title: expect.any(String),
    status: 404,
    code: 'route_not_found',
    requestId: 'mine',
  });
});

describe('an unknown method', () => {
  it.each([
    ['post', '/', 'GET, HEAD'],
    ['options', '/v1/me', 'GET, HEAD'],
    ['trace', '/v1/me', 'GET, HEAD'],
    ['delete', '/health/live', 'GET, HEAD'],
    ['post', '/openapi.json', 'GET, HEAD'],
  ] as const)('%s %s is answered with 405 and what is allowed', async (method, path, allowed) => {
    const { body, headers } = await sut.http[method](path).expect(405);
    expect(body.code).toBe('method_not_allowed');
    expect(headers.allow).toBe(allowed);
  });

  it('is HEAD nowhere where there is GET', async () => {
    await sut.http.head('/v1/me').expect(200);
  });
});

describe('what the HTTP parser refuses', () => {
  it.each([
    ['a method that is none', 'NOSUCH / HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'malformed_request'],
    ['a header without a name', 'GET / HTTP/1.1\r\nHost: x\r\n: x\r\n\r\n', 400, 'malformed_request'],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx',
      400,
      'malformed_request',
    ],
    ['headers without end', `GET / HTTP/1.1\r\nHost: x\r\nA: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
  ])('%s', async (_, bytes, status, code) => {
    const [head = '', body = ''] = (await sendRaw(bytes)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(head).toContain('application/problem+json');
    expect(JSON.parse(body)).toMatchObject({ status, code, requestId: expect.any(String) });
  });

  it('ends the connection, also of a client that keeps its side of it open', async () => {
    const socket = connect({ port: Number(new URL(sut.url).port), host: '127.0.0.1', allowHalfOpen: true });
    socket.resume().write('NOSUCH / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'end');
    const writing = setInterval(() => socket.write('x'), 10);
    const [{ code }] = await once(socket, 'error');
    clearInterval(writing);
    expect(code).toMatch(/^(EPIPE|ECONNRESET)$/);
  });
});

describe('the database', () => {
  /** Its key is read from the database first. */
  const me = async () => {
    const key = await givenApiKey(sut.database);
    return () => sut.anonymous.get('/v1/me').set('x-api-key', key);
  };

  it('that keeps a request waiting for too long is a 503 with Retry-After', async () => {
    const request = await me();
    const holder = await sut.database.hold('LOCK TABLE api_keys');
    const { body, headers } = await request().expect(503);
    await holder.release();
    expect(body.code).toBe('database_timeout');
    expect(headers['retry-after']).toBe('1');
  });

  it('that has gone is a 503 with Retry-After, until it is back', async () => {
    const request = await me();
    await sut.database.takeAway();
    const { body, headers } = await request().expect(503);
    expect(body.code).toBe('database_unavailable');
    expect(headers['retry-after']).toBe('1');
    await sut.http.get('/').expect(200);
    await sut.database.giveBack();
    await request().expect(200);
  });

  it('that ends a session between two statements of a transaction is a 503 with Retry-After', async () => {
    const { body, headers } = await sut.http.get('/severed').expect(503);
    expect(body.code).toBe('database_unavailable');
    expect(headers['retry-after']).toBe('1');
  });

  it('that fails as nobody foresaw is a 500 that tells nothing', async () => {
    const request = await me();
    await sut.database.query('ALTER TABLE api_keys RENAME TO elsewhere');
    const { body, text: sent } = await request().expect(500);
    await sut.database.query('ALTER TABLE elsewhere RENAME TO api_keys');
    expect(body.code).toBe('internal_error');
    expect(sent).not.toMatch(/api_key|relation|SELECT|stack|\.ts|\.js/i);
  });
});

describe('the catalogue', () => {
  it('has a problem for every constraint that a request can violate', async () => {
    const constraints = await sut.database.query<{ conname: string }>(
      `SELECT conname FROM pg_constraint
        WHERE contype IN ('u', 'c', 'f', 'x') AND connamespace = 'public'::regnamespace AND conrelid <> 'migrations'::regclass`,
    );
    const named = [...problemCatalog.values()].flatMap(({ constraint }) => constraint?.name ?? []);
    expect(named.toSorted()).toEqual(constraints.map(({ conname }) => conname).toSorted());
  });
});
