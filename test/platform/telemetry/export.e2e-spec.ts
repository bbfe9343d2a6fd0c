// Runs dist/main.js, because the bundle loads OpenTelemetry only on demand.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createApiKey } from '../../../src/platform/auth/api-key.js';
import { createCertificate } from '../../support/certificate.js';
import { givenApiKey } from '../../support/credentials.js';
import { type OtlpReceiver, partialSuccess, startOtlpReceiver } from '../../support/otlp-receiver.js';
import { type Program, startProgram } from '../../support/program.js';
import { openRaw } from '../../support/raw-http.js';
import { createTestDatabase, type TestDatabase } from '../../support/test-database.js';
import { until } from '../../support/until.js';

let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  database = await createTestDatabase();
  folder = mkdtempSync(join(tmpdir(), 'telemetry-'));
});
afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true });
});

let receiver: OtlpReceiver;
let sut: Program | undefined;
beforeEach(async () => {
  receiver = await startOtlpReceiver();
});
afterEach(async () => {
  await sut?.stop();
  sut = undefined;
  await receiver.close();
});

/** Starts the service with tracing to the receiver, and waits until it is connected to its database. */
async function start(env: NodeJS.ProcessEnv = {}): Promise<Program> {
  sut = await startProgram({
    DATABASE_URL: database.url,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BSP_SCHEDULE_DELAY: '50',
    ...env,
  });
  const { url } = sut;
  await until(async () => (await fetch(`${url}/health/startup`)).ok);
  return sut;
}

const newKey = async () => ({ 'x-api-key': await givenApiKey(database) });
const spanNamed = (name: string) => receiver.spans.find((span) => span.name === name);

describe('OpenTelemetry', () => {
  /** The modules of the bundle that have run. esbuild names the function of a module by its path. */
  async function modulesRun(env: NodeJS.ProcessEnv): Promise<string[]> {
    const coverage = mkdtempSync(join(folder, 'coverage-'));
    const program = await start({ ...env, NODE_V8_COVERAGE: coverage });
    await fetch(program.url);
    expect(await program.stop()).toBe(0);
    const { result } = JSON.parse(readFileSync(join(coverage, readdirSync(coverage)[0]!), 'utf8')) as {
      result: { url: string; functions: { functionName: string; ranges: { count: number }[] }[] }[];
    };
    const { functions } = result.find(({ url }) => url.endsWith('dist/app.js'))!;
    return functions.filter(({ ranges }) => ranges[0]!.count > 0).map(({ functionName }) => functionName);
  }

  it.each<[string, NodeJS.ProcessEnv]>([
    ['an endpoint', { OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
    ['a traces exporter', { OTEL_TRACES_EXPORTER: 'none' }],
    ['an enabled SDK', { OTEL_SDK_DISABLED: 'true', OTEL_METRICS_EXPORTER: 'otlp' }],
  ])('is not loaded without %s', async (_, env) => {
    const modules = await modulesRun(env);
    expect(modules).toContain('build/platform/telemetry/telemetry.module.js');
    // A feature may import the API, which does nothing on its own.
    const api = /node_modules\/@opentelemetry\/api\//;
    expect(modules.filter((name) => /opentelemetry|open-telemetry/.test(name) && !api.test(name))).toEqual([]);
    expect(receiver.requests).toEqual([]);
  });

  it('is loaded with an endpoint', async () => {
    const modules = await modulesRun({});
    expect(modules).toContain('build/platform/telemetry/open-telemetry.js');
    expect(modules.join()).toContain('@opentelemetry/sdk-trace');
  });
});

describe('a failed request', () => {
  it('has a span for the connection that it could not acquire', async () => {
    const { url } = await start({ DATABASE_POOL_MAX: '1', DATABASE_POOL_ACQUIRE_TIMEOUT_MS: '50' });
    const lock = await database.hold('LOCK TABLE api_keys');
    const blocked = fetch(`${url}/v1/me`, { headers: { 'x-api-key': createApiKey().key } });
    await until(async () => (await database.countLockWaits()) > 0);
    const response = await fetch(`${url}/v1/me`, {
      headers: { 'x-api-key': createApiKey().key, 'X-Request-Id': 'waiting' },
    });
    await lock.release();
    await blocked;
    expect(response.status).toBe(503);
    await until(() => receiver.spans.some(({ attributes }) => attributes['request.id'] === 'waiting'));
    const server = receiver.spans.find(({ attributes }) => attributes['request.id'] === 'waiting')!;
    expect(server).toMatchObject({ status: { code: 'ERROR' }, attributes: { 'error.type': 'database_timeout' } });
    expect(receiver.spans.filter(({ parentSpanId }) => parentSpanId === server.spanId)).toMatchObject([
      { name: 'acquire connection', status: { code: 'ERROR' }, attributes: { 'error.type': 'timeout' } },
    ]);
  });

  it('has the SQLSTATE of its statement', async () => {
    const { url } = await start();
    await database.query('ALTER TABLE api_keys RENAME TO elsewhere');
    const response = await fetch(`${url}/v1/me`, {
      headers: { 'x-api-key': createApiKey().key },
    });
    await database.query('ALTER TABLE elsewhere RENAME TO api_keys');
    expect(await response.json()).toMatchObject({ status: 500, traceId: expect.any(String) });
    await until(() => spanNamed('GET /v1/me') !== undefined);
    expect(spanNamed('SELECT api_keys')).toMatchObject({
      status: { code: 'ERROR', message: '' },
      attributes: { 'db.response.status_code': '42P01' },
    });
  });

  it('that the client aborts has no status code', async () => {
    const { url } = await start();
    const lock = await database.hold('LOCK TABLE api_keys');
    const abort = new AbortController();
    const headers = { 'x-api-key': createApiKey().key };
    const aborted = fetch(`${url}/v1/me`, { headers, signal: abort.signal }).catch(() => undefined);
    await until(async () => (await database.countLockWaits()) > 0);
    abort.abort();
    await aborted;
    await until(() => spanNamed('GET /v1/me') !== undefined);
    await lock.release();
    const { attributes, status, spanId } = spanNamed('GET /v1/me')!;
    expect(attributes).toMatchObject({ 'error.type': 'aborted' });
    expect(attributes).not.toHaveProperty('http.response.status_code');
    expect(status.code).toBe('UNSET');
    // The statement ends after the request.
    await until(() => receiver.spans.some(({ parentSpanId }) => parentSpanId === spanId));
  });
});

describe('the export', () => {
  it('has the path, the headers and the content type of OTLP', async () => {
    const { url } = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: `${receiver.url}/prefix/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-one=1, x-two=a%20b%2C%3D',
      OTEL_SERVICE_NAME: 'named',
    });
    await fetch(url);
    await until(() => spanNamed('GET /') !== undefined);
    expect(receiver.requests[0]).toMatchObject({
      path: '/prefix/v1/traces',
      headers: { 'x-one': '1', 'x-two': 'a b,=', 'content-type': 'application/x-protobuf' },
    });
    expect(spanNamed('GET /')?.resource).toMatchObject({ 'service.name': 'named' });
  });

  it('as JSON has the same content', async () => {
    const { url } = await start({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' });
    await fetch(`${url}/v1/me`, { headers: await newKey() });
    await until(() => spanNamed('GET /v1/me') !== undefined);
    const { traceId, spanId } = spanNamed('GET /v1/me')!;
    expect(receiver.requests[0]!.headers['content-type']).toBe('application/json');
    expect(spanNamed('SELECT api_keys')).toMatchObject({ traceId, parentSpanId: spanId, kind: 'CLIENT' });
  });

  it('follows OTEL_TRACES_SAMPLER', async () => {
    const { url } = await start({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' });
    await fetch(url);
    await fetch(url, { headers: { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` } });
    await until(() => receiver.spans.length > 0);
    expect(receiver.spans.map(({ traceId }) => traceId)).toEqual(['a'.repeat(32)]);
  });

  it('ends before the process after SIGTERM', async () => {
    const program = await start({ OTEL_BSP_SCHEDULE_DELAY: '60000' });
    await fetch(program.url);
    expect(await program.stop()).toBe(0);
    expect(spanNamed('GET /')).toBeDefined();
  });

  it('does not prevent the end of the process when the collector does not respond', async () => {
    receiver.respond = () => undefined;
    const program = await start({ OTEL_BSP_SCHEDULE_DELAY: '60000', SHUTDOWN_TIMEOUT_MS: '500' });
    await fetch(program.url);
    expect(await program.stop()).toBe(0);
  });

  it('to Google has an access token and the quota project', async () => {
    const { cert, key } = createCertificate('telemetry.googleapis.com');
    const ca = join(folder, 'ca.pem');
    writeFileSync(ca, cert);
    const google = await startOtlpReceiver((listener) => createTlsServer({ cert, key }, listener));
    let tokens = 0;
    const metadata = createServer(({ headers, url }, response) => {
      const isValid = headers['metadata-flavor'] === 'Google' && url?.endsWith('/service-accounts/default/token');
      response
        .writeHead(isValid ? 200 : 403)
        .end(JSON.stringify({ access_token: `token-${++tokens}`, expires_in: 3599 }));
    });
    const lookup = `import dns from 'node:dns';
      const { lookup } = dns;
      dns.lookup = (host, ...rest) => lookup(host.endsWith('.googleapis.com') ? '127.0.0.1' : host, ...rest);`;
    try {
      metadata.listen(0, '127.0.0.1');
      await until(() => metadata.listening);
      const { url } = await start({
        OTEL_EXPORTER_OTLP_ENDPOINT: `https://telemetry.googleapis.com:${google.port}`,
        GOOGLE_CLOUD_PROJECT: 'my-project',
        GCE_METADATA_HOST: `127.0.0.1:${(metadata.address() as { port: number }).port}`,
        NODE_EXTRA_CA_CERTS: ca,
        NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(lookup)}`,
      });
      await fetch(url);
      await until(() => google.spans.length === 1);
      await fetch(url);
      await until(() => google.spans.length === 2);
      for (const { path, headers } of google.requests) {
        expect(path).toBe('/v1/traces');
        expect(headers).toMatchObject({ authorization: 'Bearer token-1', 'x-goog-user-project': 'my-project' });
      }
      expect(google.spans[0]!.resource).toMatchObject({ 'gcp.project_id': 'my-project' });
    } finally {
      await google.close();
      metadata.close();
    }
  });
});

describe('a collector', () => {
  it('of Google without a metadata server is logged, and fails no request', async () => {
    const { url, lines } = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'https://telemetry.googleapis.com',
      GOOGLE_CLOUD_PROJECT: 'my-project',
      GCE_METADATA_HOST: '127.0.0.1:1',
    });
    expect((await fetch(url)).ok).toBe(true);
    await until(() => lines.some(({ message }) => message.endsWith('/v1/traces: no access token from 127.0.0.1:1')));
  });

  it('that does not respond gets each batch twice, and no request fails', async () => {
    receiver.respond = () => undefined;
    const { url, lines } = await start({ OTEL_EXPORTER_OTLP_TIMEOUT: '300' });
    await fetch(url);
    await until(() => lines.some(({ severity }) => severity === 'WARNING'));
    const responses = await Promise.all(Array.from({ length: 50 }, () => fetch(url)));
    expect(responses.every(({ ok }) => ok)).toBe(true);
    const [first] = receiver.requests;
    expect(receiver.requests.filter(({ body }) => body.equals(first!.body))).toHaveLength(2);
    const warning = lines.find(({ severity }) => severity === 'WARNING')!;
    expect(warning.message).toMatch(new RegExp(`^Failed to export 1 batches to ${receiver.url}/v1/traces: \\S+`));
    expect(warning).not.toHaveProperty('requestId');

    receiver.respond = undefined; // it recovers
    await until(async () => (await fetch(url)).ok && receiver.spans.length > 0);
  });

  it.each<[string, NodeJS.ProcessEnv, string | Uint8Array]>([
    ['http/protobuf', {}, partialSuccess(3, 'too old')],
    [
      'http/json',
      { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' },
      '{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}',
    ],
  ])('that rejects a part of a batch is logged: %s', async (_, env, body) => {
    receiver.respond = (_request, response) => void response.end(body);
    const { url, lines } = await start(env);
    await until(() =>
      fetch(url).then(() => lines.some(({ message }) => message.endsWith('3 items rejected: too old'))),
    );
    const batches = receiver.requests.map((request) => request.body.toString('hex'));
    expect(new Set(batches).size).toBe(batches.length); // each is sent once
  });

  it.each<[string, string | Uint8Array]>([
    ['nothing', ''],
    ['a body that is not protobuf', '<html>'],
    ['an empty partial success', partialSuccess(0, '')],
  ])('that returns %s has accepted the batch', async (_, body) => {
    receiver.respond = (_request, response) => void response.end(body);
    const { url, lines } = await start();
    await until(() => fetch(url).then(() => receiver.requests.length > 1));
    expect(lines.filter(({ severity }) => severity === 'WARNING')).toEqual([]);
  });

  it('that sends an endless response gets each batch once, and is not read to the end', async () => {
    let closed = false;
    receiver.respond = (_request, response) => {
      response.on('close', () => (closed = true));
      const send = () => response.destroyed || response.write('x'.repeat(10_000), () => void setImmediate(send));
      send();
    };
    const { url } = await start({ OTEL_EXPORTER_OTLP_TIMEOUT: '60000' });
    await fetch(url);
    await until(() => closed);
    await until(() => receiver.requests.length === 2 || fetch(url).then(() => false));
    expect(receiver.requests[0]!.body.equals(receiver.requests[1]!.body)).toBe(false);
  });

  it('that is down does not fill the memory: the queue is limited', async () => {
    receiver.respond = () => undefined;
    const { url } = await start({ OTEL_EXPORTER_OTLP_TIMEOUT: '60000', SHUTDOWN_TIMEOUT_MS: '1000' });
    await fetch(url);
    await until(() => receiver.requests.length === 1); // the batch that waits for its response
    const get = (connection: string) => `GET / HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\n\r\n`;
    const responses = await text(await openRaw(url, get('keep-alive').repeat(2_399) + get('close')));
    expect(responses.match(/HTTP\/1\.1 \d/g)).toHaveLength(2_400);
    receiver.respond = undefined;
    await sut!.stop();
    expect(receiver.spans.length).toBeGreaterThan(1_000);
    expect(receiver.spans.length).toBeLessThanOrEqual(2_048);
  });

  it('that does not exist is logged, and fails no request', async () => {
    const { url, lines } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' });
    const responses = await Promise.all(Array.from({ length: 50 }, () => fetch(url)));
    expect(responses.every(({ ok }) => ok)).toBe(true);
    await until(() => lines.some(({ message }) => message.endsWith('127.0.0.1:1/v1/traces: ECONNREFUSED')));
  });
});

describe('OTEL_METRICS_EXPORTER=otlp', () => {
  it('exports request durations, the connection pool and the event loop', async () => {
    const { url } = await start({
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRIC_EXPORT_INTERVAL: '100',
    });
    await fetch(`${url}/v1/me?secret`, { headers: await newKey() });
    await fetch(`${url}/secret`);
    await until(() => receiver.metrics.get('http.server.request.duration')?.points.length === 2);
    expect(receiver.metrics.get('http.server.request.duration')).toMatchObject({
      unit: 's',
      points: expect.arrayContaining([
        {
          value: 1,
          attributes: {
            'http.request.method': 'GET',
            'http.route': '/v1/me',
            'http.response.status_code': 200,
            'url.scheme': 'http',
          },
        },
      ]),
    });
    const pool = { 'db.client.connection.pool.name': 'default' };
    expect(receiver.metrics.get('db.client.connection.max')?.points).toEqual([{ value: 10, attributes: pool }]);
    expect(receiver.metrics.get('db.client.connection.wait_time')?.points[0]?.value).toBeGreaterThan(0);
    expect([...receiver.metrics.keys()]).toEqual(
      expect.arrayContaining([
        'db.client.connection.count',
        'db.client.connection.pending_requests',
        'nodejs.eventloop.delay.p99',
      ]),
    );
    expect(receiver.requests.every(({ path }) => path === '/v1/metrics')).toBe(true);
    expect(Buffer.concat(receiver.requests.map(({ body }) => body)).includes('secret')).toBe(false);
  });
});
