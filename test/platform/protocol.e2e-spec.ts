import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, Post, Res } from '@nestjs/common';
import type { Response } from 'express';
import { Public, RequireScopes } from '../../src/platform/auth/auth.decorators.js';
import { exchange, openRaw, readResponses } from '../support/raw-http.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';

const ORIGIN = 'https://app.example.com';
const running: (() => void)[] = [];
let created = 0;

@Controller('protocol')
class ProtocolController {
  @Get('slow')
  @Public()
  slow(): Promise<void> {
    return new Promise((done) => running.push(done));
  }

  @Get('stream')
  @Public()
  stream(@Res() response: Response): void {
    response.setHeader('Content-Length', 8);
    response.write('half');
    running.push(() => response.end('half'));
  }

  @Post()
  @RequireScopes()
  create(@Body() body: object): object {
    created++;
    return body;
  }
}

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp({ controllers: [ProtocolController], env: { CORS_ORIGINS: ORIGIN } });
});
afterEach(() => {
  for (const done of running.splice(0)) done();
});
afterAll(() => sut.close());

/** A request on a connection that closes after its response. */
const request = (start: string, ...headers: string[]) =>
  [`${start} HTTP/1.1`, 'Host: x', 'Connection: close', `Origin: ${ORIGIN}`, ...headers, '', ''].join('\r\n');

const post = (body: string, ...headers: string[]) =>
  request(
    'POST /protocol',
    ...[`x-api-key: ${sut.apiKey}`, 'Content-Type: application/json', `Content-Length: ${body.length}`, ...headers],
  ).replace('Connection: close\r\n', '') + body;

const chunked = (chunks: string) =>
  request(
    'POST /protocol',
    ...[`x-api-key: ${sut.apiKey}`, 'Content-Type: application/json', 'Transfer-Encoding: chunked'],
  ) + chunks;

describe('a rejected request', () => {
  it.each<[string, number, string, () => string]>([
    ['an unknown method', 400, 'malformed_request', () => request('NOSUCH /')],
    ['a header without a name', 400, 'malformed_request', () => request('GET /', ': x')],
    ['two lengths', 400, 'malformed_request', () => request('POST /', 'Content-Length: 1', 'Content-Length: 2')],
    ['20 kB of headers', 431, 'headers_too_large', () => request('GET /', `A: ${'x'.repeat(20_000)}`)],
    ['no Host', 400, 'malformed_request', () => request('GET /').replace('Host: x\r\n', '')],
    ['two Hosts', 400, 'malformed_request', () => request('GET /', 'Host: x')],
    ['an invalid Host', 400, 'malformed_request', () => request('GET /').replace('Host: x', 'Host: x y')],
    ['an unknown expectation', 417, 'expectation_failed', () => request('GET /', 'Expect: 200-ok')],
    ['two expectations', 417, 'expectation_failed', () => request('GET /', 'Expect: 100-continue, 200-ok')],
    ['an asterisk as its target', 400, 'malformed_request', () => request('GET *')],
    ['a target without a host', 400, 'malformed_request', () => request('GET http:///')],
    ['invalid percent-encoding in the path', 400, 'malformed_request', () => request('GET /%zz')],
    ['invalid UTF-8 in the query', 400, 'malformed_request', () => request('GET /?q=%ff')],
    [
      'a transfer coding besides chunked',
      501,
      'not_implemented',
      () => request('POST /', 'Transfer-Encoding: gzip, chunked') + '0\r\n\r\n',
    ],
    ['a target of another scheme', 400, 'malformed_request', () => request('GET ftp://h/')],
    ['the method CONNECT', 405, 'method_not_allowed', () => request('CONNECT h:443')],
    ['the method TRACE', 405, 'method_not_allowed', () => request('TRACE /')],
    ['a malformed chunk', 400, 'malformed_request', () => chunked('1\r\n{\r\nno size\r\n')],
    ['20 kB of chunk extensions', 413, 'content_too_large', () => chunked(`1;${'x'.repeat(20_000)}\r\n{\r\n`)],
    [
      'a chunked body of 101 kB',
      413,
      'content_too_large',
      () => chunked(`19400\r\n${' '.repeat(0x19400)}\r\n0\r\n\r\n`),
    ],
  ])('with %s returns %i %s with every header of a response', async (_, status, code, bytes) => {
    const [response, ...others] = await exchange(sut.url, bytes());
    expect(others).toEqual([]);
    expect(response?.status).toBe(status);
    expect(response?.headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'cache-control': 'no-store',
      'content-type': 'application/problem+json; charset=utf-8',
      'x-content-type-options': 'nosniff',
    });
    const problem = JSON.parse(response?.body ?? '');
    expect(problem).toMatchObject({ status, code, requestId: response?.headers['x-request-id'] });
  });

  it('closes the connection, also when the client keeps its side open', async () => {
    const socket = connect({ port: Number(new URL(sut.url).port), host: '127.0.0.1', allowHalfOpen: true });
    socket.resume().write('NOSUCH / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'end');
    const writing = setInterval(() => socket.write('x'), 10);
    const [{ code }] = await once(socket, 'error').finally(() => clearInterval(writing));
    expect(code).toMatch(/^(EPIPE|ECONNRESET)$/);
  });
});

describe('invalid bytes after a request', () => {
  const GARBAGE = 'BAD\0 garbage\r\n\r\n';
  const statuses = async (bytes: string) => (await exchange(sut.url, bytes)).map(({ status }) => status);

  it('do not replace its response', async () => {
    const before = created;
    expect(await statuses(post('{}') + GARBAGE)).toEqual([201]);
    expect(await statuses(post('{}') + post('{}') + GARBAGE)).toEqual([201, 201]);
    expect(created).toBe(before + 3);
  });

  it.each(['/protocol/slow', '/protocol/stream'])('do not replace the response in work of GET %s', async (path) => {
    const socket = await openRaw(sut.url, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const responses = readResponses(socket);
    await until(() => running.length === 1);
    for (let count = 0; count < 20; count++) socket.write(GARBAGE);
    await sut.http.get('/v1/me').expect(200);
    for (const done of running.splice(0)) done();
    expect(await responses).toMatchObject([{ status: 200 }]);
  });

  it('close the connection without a second response to a rejected request', async () => {
    const unauthorized = chunked('1\r\n{\r\nno size\r\n')
      .replace(/x-api-key: .*\r\n/, '')
      .replace('Connection: close\r\n', '');
    expect(await statuses(unauthorized)).toEqual([401]);
  });

  it('are rejected with 400 after its response has been read', async () => {
    const socket = await openRaw(sut.url, post('{}'));
    const responses = readResponses(socket);
    await once(socket, 'data');
    socket.write(GARBAGE);
    expect(await responses).toMatchObject([{ status: 201 }, { status: 400 }]);
  });

  it('of the method CONNECT do not replace the response in work', async () => {
    expect(await statuses(post('{}') + request('CONNECT h:443'))).toEqual([201]);
  });
});

describe('Expect: 100-continue', () => {
  it.each<[number, () => string]>([
    [401, () => post('{}').replace(/x-api-key: .*\r\n/, '')],
    [413, () => post(' '.repeat(101 * 1024))],
    [415, () => post('{}').replace('application/json', 'text/plain')],
    [404, () => post('{}').replace('/protocol', '/nowhere')],
  ])('returns %i without 100, before the body', async (status, bytes) => {
    const [head = ''] = bytes().split('\r\n\r\n');
    const responses = await exchange(sut.url, `${head}\r\nExpect: 100-continue\r\n\r\n`);
    expect(responses).toMatchObject([{ status }]);
  });

  it('returns 100, then the response', async () => {
    const [head = '', body = ''] = post('{"a":1}').split('\r\n\r\n');
    const socket = await openRaw(sut.url, `${head}\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n`);
    const responses = readResponses(socket);
    await once(socket, 'data');
    socket.write(body);
    expect(await responses).toMatchObject([{ status: 100 }, { status: 201, body: '{"a":1}' }]);
  });
});

describe('the request target', () => {
  const key = () => `x-api-key: ${sut.apiKey}`;

  it.each(['http://h/v1/me', 'HTTP://h:8080/v1/me?a=b', '/V1/ME', '/v1/me/', 'https://h/v1/me'])(
    '%s names the route /v1/me',
    async (target) => {
      expect(await exchange(sut.url, request(`GET ${target}`, key()))).toMatchObject([{ status: 200 }]);
      const [response] = await exchange(sut.url, request(`PUT ${target}`));
      expect(response).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
    },
  );

  it('http://h names the root', async () => {
    expect(await exchange(sut.url, request('GET http://h'))).toMatchObject([{ status: 200 }]);
  });

  it('* of OPTIONS returns 204', async () => {
    const [response] = await exchange(sut.url, request('OPTIONS *'));
    expect(response).toMatchObject({ status: 204, body: '' });
  });
});

describe('HEAD', () => {
  it.each(['/v1/me', '/', '/nope'])('returns the headers of GET without its content: %s', async (path) => {
    const [get, head] = [await sut.http.get(path), await sut.http.head(path)];
    const volatile = new Set(['date', 'x-request-id']);
    const comparable = (headers: object) => Object.entries(headers).filter(([name]) => !volatile.has(name));
    expect(head.status).toBe(get.status);
    expect(comparable(head.headers)).toEqual(comparable(get.headers));
    expect(head.text ?? '').toBe('');
  });
});

describe('HTTP/1.0', () => {
  it('needs no Host, and the connection closes after the response', async () => {
    const [response] = await exchange(sut.url, 'GET / HTTP/1.0\r\n\r\n');
    expect(response).toMatchObject({ status: 200, headers: { connection: 'close' } });
  });
});

describe('an unsupported part of a request', () => {
  it('returns 200 without an Upgrade', async () => {
    const upgrade = request('GET /', 'Upgrade: websocket').replace('close', 'close, Upgrade');
    expect(await exchange(sut.url, upgrade)).toMatchObject([{ status: 200 }]);
  });

  it.each([
    ['a body of GET', 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /'],
    ['a Range', 'GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n'],
  ])('returns 200 without %s, and keeps the connection usable', async (_, bytes) => {
    const responses = await exchange(sut.url, bytes + request('GET /nope'));
    expect(responses).toMatchObject([{ status: 200, body: expect.stringMatching(/^\{.*\}$/) }, { status: 404 }]);
  });
});
