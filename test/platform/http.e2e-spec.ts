import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';
import { Controller, Get, Param, Res } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import express, { type Response } from 'express';
import supertest from 'supertest';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

const ORIGIN = 'https://app.example.com';

@Controller('partial')
@Public()
class PartialController {
  @Get()
  fail(@Res() response: Response): void {
    response.write('half');
    throw new Error('too late for an error response');
  }
}

/** Responses with JSON, for the service and for Express on its own. */
const RESPONSES: Record<string, (response: Response) => unknown> = {
  object: (response) => response.status(201).json({ name: 'Zoë 😀', at: new Date(0), none: undefined }),
  long: (response) => response.json(['ü'.repeat(5_000)]),
  null: (response) => response.json(null),
  'value without JSON': (response) => response.json({ toJSON: () => undefined }),
  'own type': (response) => response.type('application/hal+json').json({ a: 1 }),
  'no content': (response) => response.status(204).json({ a: 1 }),
  unmodified: (response) => response.set('Last-Modified', new Date(0).toUTCString()).json({ a: 1 }),
};

@Controller('responses')
@Public()
class ResponsesController {
  @Get(':name')
  send(@Param('name') name: string, @Res() response: Response): void {
    RESPONSES[name]!(response);
  }
}

let sut: TestApp;
let withCors: TestApp;
beforeAll(async () => {
  sut = await createTestApp({ controllers: [PartialController, ResponsesController] });
  withCors = await createTestApp({ env: { CORS_ORIGINS: `${ORIGIN},https://admin.example.com` } });
});
afterAll(async () => {
  await sut.close();
  await withCors.close();
});

describe('response.json()', () => {
  const bare = express()
    .disable('etag')
    .get('/responses/:name', ({ params }, response) => void RESPONSES[params.name]!(response));
  const server = bare.listen(0, '127.0.0.1');
  afterAll(() => void server.close());

  describe.each(['get', 'head'] as const)('of %s', (method) => {
    it.each(Object.keys(RESPONSES))('sends the same as Express: %s', async (name) => {
      // Not fetch(), which adds Cache-Control: no-cache to a conditional request.
      const ask = async (origin: string) => {
        const request = supertest(origin)[method](`/responses/${name}`);
        const { status, headers, text: body } = await request.set('If-Modified-Since', new Date(0).toUTCString());
        return [status, headers['content-type'], headers['content-length'], headers['last-modified'], body];
      };
      expect(await ask(sut.url)).toEqual(await ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    });
  });
});

describe('CORS', () => {
  const preflight = (app: TestApp, origin: string) =>
    app.anonymous
      .options('/v1/me')
      .set({ Origin: origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'x-api-key' });

  it('is disabled without CORS_ORIGINS', async () => {
    const { headers } = await preflight(sut, ORIGIN).expect(405);
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    const response = await sut.http.get('/v1/me').set('Origin', ORIGIN).expect(200);
    expect(response.headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('allows the origins in CORS_ORIGINS, also to read error responses', async () => {
    const { headers } = await preflight(withCors, ORIGIN).expect(204);
    expect(headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-headers': 'x-api-key',
      'access-control-allow-methods': expect.stringContaining('PATCH'),
    });
    const response = await withCors.anonymous.get('/v1/me').set('Origin', ORIGIN).expect(401);
    expect(response.headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-expose-headers': expect.stringContaining('ETag'),
      vary: expect.stringContaining('Origin'),
    });
  });

  it.each(['https://evil.example.com', 'https://app.example.com.evil.com', 'http://app.example.com', 'null'])(
    'does not allow the origin %s',
    async (origin) => {
      const { headers } = await preflight(withCors, origin);
      expect(headers).not.toHaveProperty('access-control-allow-origin');
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
    },
  );
});

describe('response headers', () => {
  it('set the security policy and do not name the server software', async () => {
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

  it.each(['/v1/me', '/nope'])('forbid caching of a problem: GET %s', async (path) => {
    const { headers } = await sut.anonymous.get(path);
    expect(headers['cache-control']).toBe('no-store');
  });
});

describe('connections', () => {
  it('stay open longer than those of the load balancer, which are idle for 600 s at most', () => {
    expect(sut.app.getHttpServer().keepAliveTimeout).toBeGreaterThan(600_000);
  });

  it('have 30 s at most to send a request', () => {
    const { headersTimeout, requestTimeout } = sut.app.getHttpServer();
    expect(headersTimeout).toBeLessThanOrEqual(requestTimeout);
    expect(requestTimeout).toBeLessThanOrEqual(30_000);
  });
});

describe('an unknown route', () => {
  it('returns 404 as problem details with the request id', async () => {
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
});

describe('an unknown method', () => {
  it.each([
    ['POST', '/'],
    ['TRACE', '/'],
    ['QUERY', '/'],
    ['OPTIONS', '/v1/me'],
    ['PUT', '/v1/me'],
    ['PROPFIND', '/v1/me'],
    ['DELETE', '/health/live'],
    ['POST', '/openapi.json'],
  ])('returns 405 with Allow: %s %s', async (method, path) => {
    const [response] = await once(httpRequest(`${sut.url}${path}`, { method }).end(), 'response');
    expect(response.statusCode).toBe(405);
    expect(response.headers.allow).toBe('GET, HEAD');
    expect(JSON.parse(await text(response)).code).toBe('method_not_allowed');
  });

  it('is never HEAD where there is GET', async () => {
    await sut.http.head('/v1/me').expect(200);
  });
});

describe('an error after the response has started', () => {
  it('closes the connection, so that the client sees an incomplete response', async () => {
    const read = fetch(`${sut.url}/partial`).then((response) => response.text());
    await expect(read).rejects.toThrow(/terminated|fetch failed/);
    await sut.http.get('/v1/me').expect(200);
  });
});
