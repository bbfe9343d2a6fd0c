import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Controller, Get } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Public, RequireScopes } from '../../src/platform/auth/auth.decorators.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

const ORIGIN = 'https://app.example.com';

let sut: TestApp;
let open: TestApp;
beforeAll(async () => {
  sut = await createTestApp();
  open = await createTestApp({ env: { CORS_ORIGINS: `${ORIGIN},https://admin.example.com` } });
});
afterAll(async () => {
  await sut.close();
  await open.close();
});

describe('CORS', () => {
  const preflight = (app: TestApp, origin: string) =>
    app.anonymous
      .options('/v1/me')
      .set({ Origin: origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-api-key' });

  it('is closed unless CORS_ORIGINS opens it', async () => {
    const { headers } = await preflight(sut, ORIGIN).expect(405);
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    const answer = await sut.http.get('/v1/me').set('Origin', ORIGIN).expect(200);
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('is open to the origins that are named, errors included', async () => {
    const { headers } = await preflight(open, ORIGIN).expect(204);
    expect(headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-headers': 'x-api-key',
      'access-control-allow-methods': expect.stringContaining('PATCH'),
    });
    const answer = await open.anonymous.get('/v1/me').set('Origin', ORIGIN).expect(401);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-expose-headers': expect.stringContaining('ETag'),
      vary: expect.stringContaining('Origin'),
    });
  });

  it.each(['https://evil.example.com', 'https://app.example.com.evil.com', 'http://app.example.com', 'null'])(
    'stays closed to %s',
    async (origin) => {
      const { headers } = await preflight(open, origin);
      expect(headers).not.toHaveProperty('access-control-allow-origin');
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
    },
  );
});

it('a connection outlives that of the load balancer, and a request that does not come is not waited for', () => {
  const { headersTimeout, requestTimeout, keepAliveTimeout } = sut.app.getHttpServer();
  expect({ headersTimeout, requestTimeout, keepAliveTimeout }).toEqual({
    headersTimeout: 15_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 620_000,
  });
});

it('an answer says what a browser may do with it, and not what made it', async () => {
  const { headers } = await sut.http.get('/v1/me').expect(200);
  expect(headers).toMatchObject({
    'cache-control': 'private, no-cache',
    'content-security-policy': "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
    'strict-transport-security': expect.any(String),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  });
  expect(headers).not.toHaveProperty('x-powered-by');
  expect(headers).not.toHaveProperty('server');
});

it('a problem is kept by no cache', async () => {
  for (const request of [sut.anonymous.get('/v1/me'), sut.http.get('/nope')]) {
    expect((await request).headers['cache-control']).toBe('no-store');
  }
});

it.each(['TRACE', 'OPTIONS', 'PUT', 'QUERY', 'PROPFIND'])('%s is refused', async (method) => {
  for (const path of ['/', '/v1/me']) {
    const [{ statusCode, headers }] = await once(httpRequest(`${sut.url}${path}`, { method }).end(), 'response');
    expect(statusCode).toBe(405);
    expect(headers.allow).toContain('GET');
  }
});

it('closes the connection of a client that does not read its response', async () => {
  @Controller('large')
  @Public()
  class LargeController {
    @Get()
    read(): string {
      return 'x'.repeat(32 * 1024 ** 2); // more than the buffers of both sides
    }
  }
  const large = await createTestApp({ env: { HANDLER_TIMEOUT_MS: '500' }, controllers: [LargeController] });
  const { port, hostname } = new URL(large.url);
  const client = connect(Number(port), hostname).on('error', () => undefined);
  const [connection] = (await once(large.app.getHttpServer(), 'connection')) as [Socket];
  client.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(client, 'readable');
  await once(connection, 'close');
  expect(connection.destroyed).toBe(true);
  await large.close();
});

describe('a route that takes too long', () => {
  @Controller('slow')
  class SlowController {
    @Get()
    @RequireScopes()
    wait(): Promise<never> {
      return new Promise(() => undefined);
    }
  }

  it('is answered with a 503 before the platform gives up', async () => {
    const slow = await createTestApp({ env: { HANDLER_TIMEOUT_MS: '100' }, controllers: [SlowController] });
    const { body, headers } = await slow.http.get('/slow').expect(503);
    expect(body.code).toBe('handler_timeout');
    expect(headers['retry-after']).toBe('1');
    await slow.http.get('/v1/me').expect(200);
    await slow.close();
  });
});
