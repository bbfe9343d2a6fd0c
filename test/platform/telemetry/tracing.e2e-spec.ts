import { once } from 'node:events';
import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Controller, Get, Param, Query } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SpanStatusCode, trace } from '@opentelemetry/api';
import type { DataSource } from 'typeorm';
import { Public } from '../../../src/platform/auth/auth.decorators.js';
import type { LogLine } from '../../support/program.js';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../../support/otlp-receiver.js';
import type { TestApp } from '../../support/test-app.js';
import { createTestNote, createTestNotesApp } from '../../support/test-notes.js';
import { until } from '../../support/until.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

/** Another service, which returns the headers of each request. */
let other: Server;
const otherUrl = () => `http://127.0.0.1:${(other.address() as AddressInfo).port}`;

@Public()
@Controller('probe')
class ProbeController {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  @Get('literals/:secret')
  literals(@Param('secret') secret: string) {
    return this.dataSource.query(`SELECT '${secret}' AS "a", E'\\'${secret}', $$${secret}$$, 424242 -- ${secret}`);
  }

  @Get('invalid/:secret')
  invalid(@Param('secret') secret: string) {
    return this.dataSource.query('SELECT $1::uuid', [secret]);
  }

  @Get('span')
  async span(@Query('secret') secret: string) {
    const span = trace.getTracer('feature').startSpan('work');
    span.recordException(new Error(secret));
    span.setStatus({ code: SpanStatusCode.ERROR, message: secret });
    span.end();
  }

  @Get('calls')
  async calls() {
    const fetched = await (await fetch(otherUrl(), { headers: { 'X-Test': '1' } })).json();
    const own = await (await fetch(otherUrl(), { headers: { traceparent: 'own' } })).json();
    return [fetched, await viaHttp({}), own, await viaHttp({ traceparent: 'own' })].map(
      (headers: { traceparent?: string }) => headers.traceparent,
    );
  }

  @Get('list-of-headers')
  async listOfHeaders() {
    return viaHttp(['Host', 'localhost']);
  }
}

function viaHttp(headers: Record<string, string> | string[]): Promise<object> {
  return new Promise((resolve, reject) => {
    httpRequest(otherUrl(), { headers }, (response) => {
      response.on('data', (text: Buffer) => resolve(JSON.parse(text.toString())));
    })
      .on('error', reject)
      .end();
  });
}

const log: LogLine[] = [];
let receiver: OtlpReceiver;
let sut: TestApp;
beforeAll(async () => {
  other = createServer(({ headers }, response) => void response.end(JSON.stringify(headers))).listen(0, '127.0.0.1');
  await once(other, 'listening');
  receiver = await startOtlpReceiver();
  sut = await createTestNotesApp({
    controllers: [ProbeController],
    env: {
      LOG_LEVEL: 'info',
      LOG_FORMAT: 'json',
      GOOGLE_CLOUD_PROJECT: 'my-project',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test%20one',
    },
    log: (line) => void log.push(JSON.parse(line)),
  });
});
afterAll(async () => {
  await sut.close();
  await receiver.close();
  other.close();
});

let count = 0;

interface Exchange {
  requestId: string;
  status: number;
  body: Record<string, unknown>;
}

async function send(path: string, { headers, ...init }: RequestInit = {}): Promise<Exchange> {
  const requestId = `request-${++count}`;
  const response = await fetch(sut.url + path, {
    ...init,
    headers: { 'X-Request-Id': requestId, 'x-api-key': sut.apiKey, ...headers },
  });
  const text = await response.text();
  return { requestId, status: response.status, body: text ? JSON.parse(text) : {} };
}

const serverSpan = (requestId: string) =>
  receiver.spans.find(({ attributes }) => attributes['request.id'] === requestId);

/** Sends a request. Returns its SERVER span and the spans below. */
async function traced(
  path: string,
  init?: RequestInit,
): Promise<Exchange & { server: ReceivedSpan; spans: ReceivedSpan[] }> {
  const exchange = await send(path, init);
  await until(() => serverSpan(exchange.requestId) !== undefined);
  const server = serverSpan(exchange.requestId)!;
  return { ...exchange, server, spans: receiver.spans.filter(({ parentSpanId }) => parentSpanId === server.spanId) };
}

const json = (body: object): RequestInit => ({
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
});

describe('the span of a request', () => {
  it('has the route, the status, and a child for each SQL statement', async () => {
    const { id } = await createTestNote(sut);
    const { server, spans } = await traced(`/v1/test-notes/${id}`);
    expect(server).toMatchObject({
      name: 'GET /v1/test-notes/:id',
      kind: 'SERVER',
      parentSpanId: '',
      status: { code: 'UNSET' },
      attributes: {
        'http.request.method': 'GET',
        'http.route': '/v1/test-notes/:id',
        'http.response.status_code': 200,
      },
      resource: {
        'service.name': 'starter-nestjs',
        'gcp.project_id': 'my-project',
        'deployment.environment.name': 'test one',
      },
    });
    expect(spans).toMatchObject([
      {
        name: 'SELECT test_notes',
        kind: 'CLIENT',
        traceId: server.traceId,
        attributes: {
          'db.system.name': 'postgresql',
          'db.operation.name': 'SELECT',
          'db.query.text': expect.stringMatching(/^SELECT .* FROM "test_notes" .*\$1/),
          'db.client.connection.wait_time': expect.any(Number),
        },
      },
    ]);
    // Each span reads the wall clock in milliseconds once.
    expect(spans[0]!.startedAt).toBeGreaterThanOrEqual(server.startedAt - 1_000_000n);
    expect(spans[0]!.endedAt).toBeLessThanOrEqual(server.endedAt + 1_000_000n);
  });

  it('has the problem code of a 4xx, and no error status', async () => {
    const { server, body } = await traced('/v1/test-notes', json({ title: 5 }));
    expect(server).toMatchObject({
      name: 'POST /v1/test-notes',
      status: { code: 'UNSET' },
      attributes: { 'http.response.status_code': 400, 'error.type': 'invalid_request' },
    });
    expect(body).toMatchObject({ traceId: server.traceId });
  });

  it('has no route for an unknown path', async () => {
    const { server } = await traced('/unknown/4711');
    expect(server.name).toBe('GET');
    expect(server.attributes).not.toHaveProperty('http.route');
    expect(JSON.stringify(server.attributes)).not.toContain('4711');
  });

  it('shares the trace id and the request id with the log lines and the problem of a failure', async () => {
    await sut.database.query('ALTER TABLE test_notes RENAME TO elsewhere');
    const { server, spans, requestId, body } = await traced('/v1/test-notes');
    await sut.database.query('ALTER TABLE elsewhere RENAME TO test_notes');
    expect(server).toMatchObject({
      status: { code: 'ERROR', message: '' },
      attributes: { 'http.response.status_code': 500, 'error.type': 'internal_error', 'request.id': requestId },
    });
    expect(spans).toMatchObject([
      { status: { code: 'ERROR' }, attributes: { 'db.response.status_code': '42P01', 'error.type': '42P01' } },
    ]);
    expect(body).toMatchObject({ requestId, traceId: server.traceId });
    const lines = log.filter((line) => line.requestId === requestId);
    expect(lines.map(({ severity }) => severity)).toEqual(['ERROR', 'WARNING']);
    for (const line of lines) {
      expect(line).toMatchObject({
        'logging.googleapis.com/trace': `projects/my-project/traces/${server.traceId}`,
        'logging.googleapis.com/spanId': server.spanId,
        'logging.googleapis.com/trace_sampled': true,
      });
    }
  });

  it('does not exist for a health probe', async () => {
    const { requestId } = await send('/health/live');
    await traced('/');
    expect(serverSpan(requestId)).toBeUndefined();
  });
});

describe('the sampling decision of the client', () => {
  it.each([
    ['traceparent', { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'vendor=secret' }],
    ['X-Cloud-Trace-Context', { 'X-Cloud-Trace-Context': `${TRACE}/${BigInt(`0x${PARENT}`)};o=1` }],
  ])('to sample in %s is honored', async (_, headers) => {
    const { server } = await traced('/v1/me', { headers: headers as Record<string, string> });
    expect(server).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, traceState: '' });
  });

  it('not to sample is honored, and forwarded', async () => {
    const exchange = await send('/probe/calls', { headers: { traceparent: `00-${'1'.repeat(32)}-${PARENT}-00` } });
    await traced('/');
    expect(serverSpan(exchange.requestId)).toBeUndefined();
    expect(receiver.spans.filter(({ traceId }) => traceId === '1'.repeat(32))).toEqual([]);
    expect((exchange.body as unknown as string[])[0]).toMatch(new RegExp(`^00-${'1'.repeat(32)}-[0-9a-f]{16}-00$`));
  });

  it('that is invalid starts a new trace', async () => {
    const { server } = await traced('/', { headers: { traceparent: `00-${'0'.repeat(32)}-${PARENT}-01` } });
    expect(server.parentSpanId).toBe('');
  });
});

describe('an outgoing request', () => {
  it('of fetch and node:http carries traceparent, unless the code sets it', async () => {
    const { server, body } = await traced('/probe/calls');
    const traceparent = `00-${server.traceId}-${server.spanId}-01`;
    expect(body).toEqual([traceparent, traceparent, 'own', 'own']);
  });

  it('with a list of headers is sent without traceparent', async () => {
    const { body } = await traced('/probe/list-of-headers');
    expect(body).toEqual({ host: 'localhost', connection: 'keep-alive' });
  });

  it('to the collector is not traced', () => {
    expect(receiver.requests.length).toBeGreaterThan(0);
    expect(receiver.requests.filter(({ headers }) => 'traceparent' in headers)).toEqual([]);
  });
});

describe('secrets', () => {
  const SECRET = 'Zq8Secret';

  it.each<[string, string, RequestInit?]>([
    ['the query string', `/v1/test-notes?q=${SECRET}`],
    ['an unknown path', `/${SECRET}/${SECRET}`],
    ['a path parameter', `/v1/test-notes/${SECRET}`],
    ['a path that cannot be decoded', `/%E0%A4%A${SECRET}`],
    ['the fragment and matrix parameters', `/v1/me;${SECRET}=${SECRET}`],
    ['a body', '/v1/test-notes', json({ title: SECRET })],
    ['an invalid body', '/v1/test-notes', json({ [SECRET]: SECRET })],
    ['a malformed body', '/v1/test-notes', { ...json({}), body: `{"title":${SECRET}` }],
    ['an SQL parameter', `/v1/test-notes?title=${SECRET}`],
    ['SQL literals and comments', `/probe/literals/${SECRET}`],
    ['the message of an SQL error', `/probe/invalid/${SECRET}`],
    ['an exception and a status that a feature records', `/probe/span?secret=${SECRET}`],
    ['x-api-key', '/v1/me', { headers: { 'x-api-key': `sk_${SECRET}` } }],
    ['Authorization', '/v1/me', { headers: { 'x-api-key': '', Authorization: `Bearer ${SECRET}` } }],
    ['Cookie', '/v1/me', { headers: { Cookie: `session=${SECRET}` } }],
    ['User-Agent and Referer', '/v1/me', { headers: { 'User-Agent': SECRET, Referer: `http://x/${SECRET}` } }],
    ['Idempotency-Key and If-Match', '/v1/me', { headers: { 'Idempotency-Key': SECRET, 'If-Match': `"${SECRET}"` } }],
    ['X-Forwarded-For', '/v1/me', { headers: { 'X-Forwarded-For': SECRET, Forwarded: `for=${SECRET}` } }],
    ['tracestate', '/v1/me', { headers: { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: `a=${SECRET}` } }],
    ['baggage', '/v1/me', { headers: { baggage: `user=${SECRET}` } }],
    ['an unsafe X-Request-Id', '/v1/me', { headers: { 'X-Request-Id': `"${SECRET}"` } }],
  ])('in %s are not exported', async (_, path, init = {}) => {
    const before = receiver.spans.length;
    await send(path, init);
    await until(
      () => receiver.spans.length > before && receiver.spans.slice(before).some(({ kind }) => kind === 'SERVER'),
    );
    expect(Buffer.concat(receiver.requests.map(({ body }) => body)).includes(SECRET)).toBe(false);
  });

  it('are not exported from a target in absolute form', async () => {
    const before = receiver.spans.length;
    const { hostname, port } = new URL(sut.url);
    const request = httpRequest({ hostname, port, path: `http://user:${SECRET}@${SECRET}/v1/me` }).end();
    await once(request, 'response');
    await until(() => receiver.spans.length > before);
    expect(Buffer.concat(receiver.requests.map(({ body }) => body)).includes(SECRET)).toBe(false);
  });

  it('in none of these cases prevent the span', () => {
    expect(receiver.spans.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['work', 'GET /probe/literals/:secret']),
    );
    const literals = receiver.spans.find(({ attributes }) => String(attributes['db.query.text']).includes('"a"'));
    expect(literals?.attributes['db.query.text']).toBe('SELECT ? AS "a", ?, ?, ? ?');
    const { events, status } = receiver.spans.find(({ name }) => name === 'work')!;
    expect(events).toEqual([{ name: 'exception', attributes: { 'exception.type': 'Error' } }]);
    expect(status).toEqual({ code: 'ERROR', message: '' });
  });
});
