import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Body, Controller, Get, Post } from '@nestjs/common';
import { IsString } from 'class-validator';
import { Public, RequireScopes } from '../../src/platform/auth/auth.decorators.js';
import { givenApiKey } from '../support/credentials.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

const LIMIT = 5;
const running: (() => void)[] = [];
let largeResponses = 0;

class EchoDto {
  @IsString()
  text!: string;
}

@Controller('pipeline')
class PipelineController {
  @Get('slow')
  @Public()
  slow(): Promise<void> {
    return new Promise((done) => running.push(done));
  }

  @Get('quick')
  @Public()
  quick(): string {
    return 'ok';
  }

  @Get('large')
  @Public()
  large(): string {
    largeResponses++;
    return 'x'.repeat(8 * 1024 ** 2); // more than the buffers of both sides
  }

  @Post('echo')
  @RequireScopes()
  echo(@Body() { text: body }: EchoDto): string {
    return body;
  }
}

let database: TestDatabase;
let sut: TestApp;
let key: string;
const sockets: Socket[] = [];
const start = async (env: NodeJS.ProcessEnv) => {
  sut = await createTestApp({ database, env, controllers: [PipelineController] });
};
beforeAll(async () => {
  database = await createTestDatabase();
  key = await givenApiKey(database);
});
afterAll(() => database.drop());

/** Sends text over a new connection and returns the connection. */
function send(message: string): Socket {
  const { port, hostname } = new URL(sut.url);
  const socket = connect(Number(port), hostname);
  sockets.push(socket);
  socket.write(message);
  return socket;
}

/** The head of a POST whose body of 1,000 bytes never arrives whole. */
const upload = ({ length = 1000, headers = `x-api-key: ${key}\r\n` } = {}) =>
  'POST /pipeline/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n' +
  `Content-Length: ${length}\r\n${headers}\r\n{"text":`;

afterEach(async () => {
  for (const done of running.splice(0)) done();
  for (const socket of sockets.splice(0)) socket.destroy();
  await sut.close();
});

describe('rate limit per client address', () => {
  beforeEach(() => start({ RATE_LIMIT_PER_MINUTE: String(LIMIT) }));

  it.each<[string, (app: TestApp) => PromiseLike<{ status: number }>, number]>([
    ['unknown routes', ({ anonymous }) => anonymous.get('/nowhere'), 404],
    ['methods that a route does not have', ({ anonymous }) => anonymous.delete('/pipeline/quick'), 405],
    ['requests without a credential', ({ anonymous }) => anonymous.post('/pipeline/echo').send({}), 401],
    ['malformed bodies', ({ http }) => http.post('/pipeline/echo').type('json').send('{'), 400],
    ['the documentation', ({ anonymous }) => anonymous.get('/openapi.json'), 200],
  ])('counts %s', async (_, request, status) => {
    const statuses: number[] = [];
    for (let count = 0; count <= LIMIT; count++) statuses.push((await request(sut)).status);
    expect(statuses).toEqual([...Array<number>(LIMIT).fill(status), 429]);
  });

  it('adds the security headers and the request id to its rejections', async () => {
    for (let count = 0; count < LIMIT; count++) await sut.anonymous.get('/nowhere').expect(404);
    const { body, headers } = await sut.anonymous.get('/nowhere').set('X-Request-Id', 'id-1').expect(429);
    expect(body).toMatchObject({ code: 'too_many_requests', requestId: 'id-1' });
    expect(headers).toMatchObject({ 'x-request-id': 'id-1', 'x-content-type-options': 'nosniff' });
  });
});

describe('request body', () => {
  beforeEach(() => start({}));

  it('is not read before authentication: 401 comes while the body is still arriving', async () => {
    const response = await text(send(upload({ headers: '' })));
    expect(response).toMatch(/^HTTP\/1\.1 401 /);
  });

  it('is not read by a route that declares none', async () => {
    await sut.anonymous.get('/pipeline/quick').type('json').send('{').expect(200);
    await sut.anonymous.get('/pipeline/quick').type('text/plain').send('text').expect(200);
  });

  it('is read by a route that declares one', async () => {
    await sut.http.post('/pipeline/echo').send({ text: 'hello' }).expect(201, 'hello');
    await sut.http.post('/pipeline/echo').type('text/plain').send('text').expect(415);
  });
});

describe('concurrency limit', () => {
  beforeEach(() => start({ CONCURRENCY_LIMIT: '1' }));

  const fill = async () => {
    const slow = sut.anonymous.get('/pipeline/slow').then(({ status }) => status);
    await until(() => running.length === 1);
    return { finished: slow };
  };

  it('rejects requests with 503 while CONCURRENCY_LIMIT handlers run, health probes excepted', async () => {
    const { finished } = await fill();
    const { body, headers } = await sut.anonymous.get('/pipeline/quick').expect(503);
    expect(body).toMatchObject({ code: 'overloaded', requestId: headers['x-request-id'] });
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'content-type': 'application/problem+json',
      'retry-after': '1',
      'x-content-type-options': 'nosniff',
    });
    await sut.anonymous.get('/health/live').expect(200);
    await sut.anonymous.get('/health/ready').expect(200);

    for (const done of running) done();
    expect(await finished).toBe(200);
    await sut.anonymous.get('/pipeline/quick').expect(200);
  });

  it('rejects an upload before its body is read', async () => {
    await fill();
    expect(await text(send(upload()))).toMatch(/^HTTP\/1\.1 503 /);
  });

  it('does not count a body that is still arriving', async () => {
    await sut.http.post('/pipeline/echo').send({ text: '' }).expect(201);
    let received = 0;
    sut.app.getHttpServer().on('request', () => received++);
    for (let count = 0; count < 3; count++) send(upload());
    await until(() => received === 3);
    await sut.anonymous.get('/pipeline/quick').expect(200);
  });

  it('rejects with 503 when the limit was reached while the body arrived', async () => {
    const socket = send(upload({ length: 13 }));
    await once(sut.app.getHttpServer(), 'request');
    await sut.http.get('/v1/me').expect(200);
    await fill();
    socket.write('"ok"}');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 503 /);
  });

  it('does not count a response that the client does not read', async () => {
    for (let count = 0; count < 3; count++) send('GET /pipeline/large HTTP/1.1\r\nHost: x\r\n\r\n').pause();
    await until(() => largeResponses === 3);
    await sut.anonymous.get('/pipeline/quick').expect(200);
  });

  it('does not count a request after the client has closed its connection', async () => {
    for (let count = 0; count < 20; count++) {
      send(`GET /pipeline/quick HTTP/1.1\r\nHost: x\r\n\r\n`).destroy();
      send(upload()).destroy();
    }
    await until(async () => (await sut.anonymous.get('/pipeline/quick')).status === 200);
    await sut.http.post('/pipeline/echo').send({ text: 'next' }).expect(201);
  });

  it('counts a handler that fails once only', async () => {
    await sut.http.post('/pipeline/echo').send({}).expect(400);
    await sut.http.post('/pipeline/echo').send({ text: 'next' }).expect(201);
  });
});
