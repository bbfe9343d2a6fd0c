import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Param, Post } from '@nestjs/common';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { fetchPartner, type PartnerRequest } from '../../src/platform/http/fetch-partner.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

/** The responses of the partner, in turn; the last one repeats. */
let responses: RequestListener[] = [];
let received: IncomingMessage[] = [];
let partner: Server;
let url = '';
let options: PartnerRequest = {};

@Controller('rates')
@Public()
class RatesController {
  @Get(':currency')
  async read(@Param('currency') currency: string): Promise<object> {
    const response = await fetchPartner(`${url}/rates/${currency}?key=secret`, options);
    return { status: response.status, body: await response.text() };
  }

  @Post(':currency')
  async write(@Param('currency') currency: string): Promise<object> {
    const response = await fetchPartner(`${url}/rates/${currency}`, { ...options, method: 'POST', body: '{}' });
    return { status: response.status, body: await response.text() };
  }
}

let sut: TestApp;
const lines: string[] = [];
beforeAll(async () => {
  partner = createServer((request, response) => {
    received.push(request);
    const respond = responses.length > 1 ? responses.shift() : responses[0];
    respond?.(request, response);
  }).listen(0, '127.0.0.1');
  await once(partner, 'listening');
  const env = { HANDLER_TIMEOUT_MS: '1000', LOG_LEVEL: 'warn' };
  sut = await createTestApp({ controllers: [RatesController], env, log: (line) => lines.push(line) });
});
beforeEach(() => {
  url = `http://127.0.0.1:${(partner.address() as AddressInfo).port}`;
  [responses, received, options] = [[], [], {}];
});
afterAll(async () => {
  await sut.close();
  partner.closeAllConnections();
  partner.close();
});

const ok: RequestListener = (_, response) => response.end('1.5');
const status =
  (code: number): RequestListener =>
  (_, response) =>
    response.writeHead(code).end('problem');
const hang: RequestListener = () => undefined;
const reset: RequestListener = (request) => request.socket.destroy();
const stall: RequestListener = (_, response) => response.writeHead(200).write('1.');
const flood: RequestListener = (_, response) => {
  const chunk = Buffer.alloc(64 * 1024);
  const write = () => {
    while (response.write(chunk));
  };
  response.on('drain', write);
  write();
};

const read = () => sut.anonymous.get('/rates/EUR');
const write = () => sut.anonymous.post('/rates/EUR');
const unavailable = { code: 'partner_unavailable', status: 503 };

describe('fetchPartner', () => {
  it.each([
    [200, ok, '1.5'],
    [404, status(404), 'problem'],
    [422, status(422), 'problem'],
  ])('returns %i of a partner', async (code, respond, body) => {
    responses = [respond];
    expect((await read().expect(200)).body).toEqual({ status: code, body });
    expect(received).toHaveLength(1);
  });

  it('returns a response without a body, and a compressed one', async () => {
    responses = [(_, response) => response.writeHead(204).end()];
    expect((await read().expect(200)).body).toEqual({ status: 204, body: '' });
    responses = [(_, response) => response.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync('2.5'))];
    expect((await read().expect(200)).body).toEqual({ status: 200, body: '2.5' });
  });

  it.each<[string, RequestListener]>([
    ['500', status(500)],
    ['503', status(503)],
    ['429', status(429)],
    ['a broken connection', reset],
  ])('retries a safe method after %s', async (_, failure) => {
    responses = [failure, failure, ok];
    expect((await read().expect(200)).body).toMatchObject({ status: 200 });
    expect(received).toHaveLength(3);
  });

  it.each<[string, RequestListener]>([
    ['503', status(503)],
    ['a broken connection', reset],
  ])('returns partner_unavailable for a persistent failure: %s', async (_, failure) => {
    responses = [failure];
    const { body, headers } = await read().expect(503);
    expect(body).toMatchObject(unavailable);
    expect(headers['retry-after']).toBe('1');
    expect(received).toHaveLength(3);
    expect(lines.at(-1)).toContain('partner_unavailable');
    expect(lines.join('')).not.toContain('secret');
  });

  it.each<[string, RequestListener]>([
    ['503', status(503)],
    ['a broken connection', reset],
  ])('does not retry POST: %s', async (_, failure) => {
    responses = [failure, ok];
    expect((await write().expect(503)).body).toMatchObject(unavailable);
    expect(received).toHaveLength(1);
  });

  it.each<[string, RequestListener]>([
    ['does not respond', hang],
    ['stops in the body', stall],
  ])('limits the time of a partner that %s', async (_, failure) => {
    options = { timeoutMs: 50 };
    responses = [failure, ok];
    expect((await read().expect(200)).body).toMatchObject({ status: 200 });
    expect(received).toHaveLength(2);
  });

  it.each<[string, RequestListener]>([
    ['does not respond', hang],
    ['stops in the body', stall],
  ])('returns before HANDLER_TIMEOUT_MS if a partner %s', async (_, failure) => {
    options = { timeoutMs: 60_000 };
    responses = [failure];
    expect((await read().expect(503)).body).toMatchObject(unavailable);
    expect(received).toHaveLength(1);
  });

  it('limits the size of a response', async () => {
    responses = [flood];
    expect((await write().expect(503)).body).toMatchObject(unavailable);
  });

  it('returns partner_unavailable for a partner that does not listen', async () => {
    url = 'http://127.0.0.1:1';
    expect((await read().expect(503)).body).toMatchObject(unavailable);
  });

  it('sends the trace of the client, and its own headers', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    responses = [ok];
    options = { headers: { Authorization: 'Bearer x' } };
    await read().set({ traceparent, 'x-api-key': 'mine' }).expect(200);
    expect(received[0]?.headers).toMatchObject({ traceparent, authorization: 'Bearer x' });
    expect(received[0]?.headers).not.toHaveProperty('x-api-key');
  });

  it('works outside of a request', async () => {
    responses = [ok];
    const response = await fetchPartner(url, { signal: new AbortController().signal });
    expect(await response.text()).toBe('1.5');
    await expect(fetchPartner(url, { signal: AbortSignal.abort() })).rejects.toThrow('Partner unavailable');
    expect(received).toHaveLength(1);
  });
});
