import { once } from 'node:events';
import type { Socket } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Body, Controller, Post } from '@nestjs/common';
import { RequireScopes } from '../../src/platform/auth/auth.decorators.js';
import { advanceClock } from '../support/clock.js';
import { exchange, openRaw, readResponses } from '../support/raw-http.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';

const MAX_BODIES_PER_ADDRESS = 100;

@Controller('uploads')
class UploadsController {
  @Post()
  @RequireScopes()
  upload(@Body() body: object): object {
    return { fields: Object.keys(body) };
  }
}

let sut: TestApp;
const sockets: Socket[] = [];
beforeAll(async () => {
  sut = await createTestApp({ controllers: [UploadsController], env: { CONCURRENCY_LIMIT: '5' } });
  await sut.http.get('/v1/me').expect(200); // caches the API key
});
afterEach(async () => {
  jest.restoreAllMocks();
  for (const socket of sockets.splice(0)) socket.destroy();
  await until(async () => (await countConnections()) < 10); // those that fetch keeps open
});
afterAll(() => sut.close());

const head = (headers: string) =>
  `POST /uploads HTTP/1.1\r\nHost: x\r\nx-api-key: ${sut.apiKey}\r\nContent-Type: application/json\r\n${headers}\r\n`;

/** Starts an upload that does not end. Resolves when its body is being read. */
async function startUpload(address: string, body = '{') {
  const headers = `X-Forwarded-For: ${address}\r\nContent-Length: 90000\r\nExpect: 100-continue\r\n`;
  const socket = await openRaw(sut.url, head(headers));
  sockets.push(socket);
  await once(socket, 'readable'); // 100
  const upload = { responses: readResponses(socket), isOpen: () => !socket.readableEnded && !socket.destroyed };
  socket.write(body);
  return upload;
}

const startUploads = (count: number, address: string) =>
  Promise.all(Array.from({ length: count }, () => startUpload(address)));

describe('slow uploads', () => {
  it('do not reject other requests, also with a valid credential', async () => {
    await startUploads(MAX_BODIES_PER_ADDRESS, '203.0.113.1');
    for (const address of ['203.0.113.1', '203.0.113.2']) {
      await sut.http.get('/v1/me').set('X-Forwarded-For', address).expect(200);
      await sut.http.post('/uploads').set('X-Forwarded-For', address).send({ a: 1 }).expect(201);
    }
  });

  it('are limited to 100 per client address: a new one ends the oldest with 408', async () => {
    const other = await startUpload('203.0.113.1');
    const oldest = await startUpload('203.0.113.2');
    const second = await startUpload('203.0.113.2');
    await startUploads(MAX_BODIES_PER_ADDRESS - 1, '203.0.113.2');
    const [, response] = await oldest.responses;
    expect(response).toMatchObject({ status: 408, headers: { connection: 'close' } });
    expect(JSON.parse(response?.body ?? '')).toMatchObject({ code: 'request_timeout' });
    expect([other.isOpen(), second.isOpen()]).toEqual([true, true]);
  });

  it('are limited to 500 from all addresses', async () => {
    const oldest = await startUpload('203.0.113.1');
    for (const address of [2, 3, 4, 5, 6]) await startUploads(MAX_BODIES_PER_ADDRESS, `203.0.113.${address}`);
    expect(await oldest.responses).toMatchObject([{ status: 100 }, { status: 408 }]);
  });

  it('have 5 s, and one second longer for each 1,000 bytes', async () => {
    const slow = await startUpload('203.0.113.1', ' '.repeat(900));
    const fast = await startUpload('203.0.113.1', ' '.repeat(80_000));
    advanceClock(20);
    expect(await slow.responses).toMatchObject([{ status: 100 }, { status: 408, headers: { connection: 'close' } }]);
    expect(fast.isOpen()).toBe(true);
  });

  it('that the client aborts do not count', async () => {
    await startUploads(MAX_BODIES_PER_ADDRESS, '203.0.113.1');
    for (const socket of sockets.splice(0)) socket.destroy();
    await until(async () => (await countConnections()) < 10);
    const oldest = await startUpload('203.0.113.1');
    await startUploads(MAX_BODIES_PER_ADDRESS - 1, '203.0.113.1');
    await sut.http.get('/v1/me').expect(200);
    expect(oldest.isOpen()).toBe(true);
  });
});

describe('an upload', () => {
  it.each([
    ['Content-Length', 'Content-Length: 99000000\r\n', '{'],
    ['chunks', 'Transfer-Encoding: chunked\r\n', `19400\r\n${' '.repeat(0x19400)}\r\n`],
  ])('above 100 kB is rejected while it arrives: %s', async (_, headers, body) => {
    expect(await readFirst(head(headers) + body)).toMatch(/^HTTP\/1.1 413 /);
  });

  it('of exactly 100 kB in small chunks is accepted', async () => {
    const chunk = `400\r\n${' '.repeat(1024)}\r\n`;
    const content = `2\r\n{}\r\n${chunk.repeat(99)}3fe\r\n${' '.repeat(1022)}\r\n0\r\n\r\n`;
    const bytes = head('Transfer-Encoding: chunked\r\nConnection: close\r\n') + content;
    expect(await exchange(sut.url, bytes)).toMatchObject([{ status: 201 }]);
  });

  it('that ends too early is rejected with 400', async () => {
    const socket = await openRaw(sut.url, `${head('Content-Length: 10\r\n')}{`);
    const responses = readResponses(socket);
    socket.end();
    expect(await responses).toMatchObject([{ status: 400 }]);
  });

  it.each([
    ['br', brotliCompressSync],
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['zstd', zstdCompressSync],
  ])('with Content-Encoding: %s is rejected with 415 before it is read', async (encoding, compress) => {
    const bomb = compress(Buffer.alloc(1024 ** 2, ' '));
    const response = await fetch(`${sut.url}/uploads`, {
      method: 'POST',
      headers: { 'x-api-key': sut.apiKey, 'Content-Type': 'application/json', 'Content-Encoding': encoding },
      body: bomb,
    });
    expect(response.status).toBe(415);
    expect(response.headers.get('accept-encoding')).toBe('identity');
    expect(await readFirst(head(`Content-Encoding: ${encoding}\r\nContent-Length: 100\r\n`))).toMatch(
      /^HTTP\/1.1 415 /,
    );
  });

  it.each<[string, string | Uint8Array<ArrayBuffer>, number]>([
    ['application/json; charset=utf-8', '{}', 201],
    ['application/json; charset="UTF-8"', '{}', 201],
    ['application/json', '\ufeff{}', 201],
    ['application/json', '', 400],
    ['application/json', Buffer.from('{"a":"\xff\xfe"}', 'latin1'), 400],
    ['application/json; charset=utf-16le', Buffer.from('{}', 'utf16le'), 415],
    ['text/plain', '{}', 415],
  ])('of the media type %s with %j returns %i', async (type, body, status) => {
    const headers = { 'x-api-key': sut.apiKey, 'Content-Type': type };
    const response = await fetch(`${sut.url}/uploads`, { method: 'POST', headers, body });
    expect(response.status).toBe(status);
  });
});

/** Sends bytes over a connection that stays open, and reads the first packet of the response. */
async function readFirst(bytes: string): Promise<string> {
  const socket = await openRaw(sut.url, bytes);
  sockets.push(socket);
  const [data] = await once(socket, 'data');
  return String(data);
}

function countConnections(): Promise<number> {
  return new Promise((resolve, reject) => {
    sut.app.getHttpServer().getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
