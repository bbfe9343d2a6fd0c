import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createApiKey } from '../../src/platform/auth/api-key.js';
import { createLogger } from '../../src/platform/logging/logger.js';
import { givenApiKey } from '../support/credentials.js';
import { type LogLine, type Program, startProgram } from '../support/program.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PASSWORD = 'p%40ss%22word';
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;

let database: TestDatabase;
let sut: Program;
let apiKey: string;
beforeAll(async () => {
  database = await createTestDatabase();
  apiKey = await givenApiKey(database);
  const env = {
    GOOGLE_CLOUD_PROJECT: 'my-project',
    K_SERVICE: 'service',
    K_REVISION: 'service-7',
    COMMIT_SHA: 'abcdef0',
  };
  sut = await startProgram({ DATABASE_URL: database.url, ...env });
  await until(async () => (await fetch(`${sut.url}/health/ready`)).ok);
});
afterAll(async () => {
  await sut.stop();
  await database.drop();
});

let count = 0;

/** Sends a request and returns the lines that bear its id, the summary being the last. */
async function linesOf(path: string, init: RequestInit = {}): Promise<LogLine[]> {
  const requestId = `request-${++count}`;
  await fetch(sut.url + path, {
    ...init,
    headers: { 'X-Request-Id': requestId, 'x-api-key': apiKey, ...init.headers },
  });
  const lines = () => sut.lines.filter((line) => line.requestId === requestId);
  await until(() => lines().some(({ method }) => method !== undefined));
  return lines();
}

describe('every line', () => {
  it('has the shape that Cloud Logging reads', () => {
    expect(sut.lines.length).toBeGreaterThan(0);
    for (const line of sut.lines) {
      expect(['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']).toContain(line.severity);
      expect(new Date(line.time).toISOString()).toBe(line.time);
      expect(line).toMatchObject({ message: expect.any(String), commit: 'abcdef0' });
      expect(Object.keys(line)).not.toEqual(
        expect.arrayContaining([expect.stringMatching(/^(level|msg|pid|hostname)$/)]),
      );
    }
  });

  it('is none of Nest about its wiring', () => {
    expect(sut.lines.filter(({ context }) => context === 'RouterExplorer')).toEqual([]);
  });
});

describe('a request', () => {
  it('has one line that sums it up, without its query', async () => {
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
        principal: `api_key:${apiKey.split('_')[1]}`,
        status: 200,
        durationMs: expect.any(Number),
        'logging.googleapis.com/trace': `projects/my-project/traces/${TRACE}`,
        'logging.googleapis.com/spanId': 'b7ad6b7169203331',
        'logging.googleapis.com/trace_sampled': true,
      },
    ]);
  });

  it('that fails on our side has its error, with stack and causes, its id and its trace', async () => {
    const unread = await givenApiKey(database);
    await database.query('ALTER TABLE api_keys RENAME TO elsewhere');
    const lines = await linesOf('/v1/me', { headers: { traceparent: TRACEPARENT, 'x-api-key': unread } });
    await database.query('ALTER TABLE elsewhere RENAME TO api_keys');
    expect(lines.map(({ severity }) => severity)).toEqual(['ERROR', 'WARNING']);
    expect(lines[0]).toMatchObject({
      message: expect.stringContaining('relation "api_keys" does not exist'),
      stack_trace: expect.stringMatching(/^QueryFailedError: relation .*\n {4}at .*/),
      serviceContext: { service: 'service', version: 'service-7' },
      'logging.googleapis.com/trace': `projects/my-project/traces/${TRACE}`,
    });
  });

  it.each([
    ['/%E0%A4%A', 400],
    ['/nope', 404],
  ])('to %s that is refused early has its line, too', async (path, status) => {
    expect(await linesOf(path)).toMatchObject([{ severity: 'INFO', status }]);
  });

  it.each(['two words', 'x'.repeat(129), 'quote"', ''])('gets an id of ours in place of "%s"', async (id) => {
    const { headers } = await fetch(sut.url, { headers: { 'X-Request-Id': id } });
    expect(headers.get('X-Request-Id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});

it('health probes write nothing', async () => {
  await fetch(`${sut.url}/health/live`, { headers: { 'X-Request-Id': 'probe' } });
  await linesOf('/');
  expect(sut.lines.filter(({ requestId }) => requestId === 'probe')).toEqual([]);
});

describe('secrets', () => {
  it('never reach a line, wherever a request puts them', async () => {
    const { key } = createApiKey();
    const jwt = ['eyJhbGciOiJSUzI1NiJ9', 'eyJzdWIiOiJzb21lb25lIn0', 'c2lnbmF0dXJl'].join('.');
    const before = sut.lines.length;
    const requests: [string, RequestInit][] = [
      ['/v1/me?q=query-secret', {}],
      [`/v1/me?api_key=${key}`, { headers: { Authorization: 'Bearer header-secret-1', 'x-api-key': '' } }],
      [`/v1/${jwt}`, {}],
      [`/v1/${key}`, { headers: { 'x-api-key': key } }],
      ['/v1/me', { headers: { Cookie: 'header-secret-2', 'Proxy-Authorization': 'header-secret-3' } }],
      [
        '/v1/me',
        { method: 'POST', body: '{"password":"body-secret"}', headers: { 'Content-Type': 'application/json' } },
      ],
      ['/v1/me', { headers: { 'Idempotency-Key': 'idempotency-secret' } }],
    ];
    for (const [path, init] of requests) await linesOf(path, init);
    const text = JSON.stringify(sut.lines.slice(before));
    for (const secret of ['-secret', jwt, key, key.slice(-72), apiKey]) expect(text).not.toContain(secret);
  });

  it.each([
    ['an API key', createApiKey().key],
    ['an API key on a line of its own', createApiKey().key, 'bad\n'],
    ['an API key in capitals', createApiKey().key.toUpperCase()],
    ['an API key in a URL', createApiKey().key.replaceAll('_', '%5F'), '/v1/%20'],
    ['an API key in a name', createApiKey().key, 'id_'],
    ['a token', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.'],
    ['an opaque token', 'ya29.a0Af_8k-3', 'Bearer '],
    ['a token in small letters', 'ya29.a0Af_8k-3', 'bearer '],
    ['the password of any URL', 'hunter2', 'amqp://user:', '@host'],
    ["the database's password", PASSWORD],
    ["the database's password, decoded", 'p@ss"word'],
  ])('do not stand in an error text: %s', async (_, secret, before = '', after = '') => {
    const text = await logged((logger) => {
      const error = new Error(`at ${before}${secret}${after}`, { cause: new Error(`${before}${secret}${after}`) });
      logger.error(error, `with ${before}${secret}${after}`);
    });
    expect(text).toContain('[redacted]');
    expect(text).not.toContain(JSON.stringify(secret).slice(1, -1));
  });

  it.each(['authorization', 'cookie', 'set-cookie', 'x-api-key'])(
    'do not stand in logged headers: %s',
    async (name) => {
      const text = await logged((logger) =>
        logger.info({ headers: { [name]: 'hidden' }, [name]: 'hidden' }, 'a request'),
      );
      expect(text).not.toContain('hidden');
    },
  );

  it('do not stand in a request or a response that is logged whole', async () => {
    const text = await logged((logger) => {
      logger.info({ req: { headers: { cookie: 'hidden' } }, res: { headers: { 'set-cookie': 'hidden' } } }, 'both');
    });
    expect(text).not.toContain('hidden');
  });

  // One that reads the text again at each beginning takes a minute.
  it.each(['eyJ', '://:', '://a', 'eyJa.', 'bearer '])('are looked for once in a long line of %s', async (part) => {
    expect(await logged((logger) => logger.info(part.repeat(100_000)))).toContain('INFO');
  });

  async function logged(write: (logger: Awaited<ReturnType<typeof createLogger>>) => void): Promise<string> {
    let text = '';
    const env = {
      LOG_LEVEL: 'info',
      LOG_FORMAT: 'json' as const,
      DATABASE_URL: `postgresql://app:${PASSWORD}@db/app`,
    };
    write(await createLogger(env, { write: (line) => void (text += line) }));
    JSON.parse(text);
    return text;
  }
});

it('an error brings its causes', async () => {
  let text = '';
  const logger = await createLogger(
    { LOG_LEVEL: 'info', LOG_FORMAT: 'json' },
    { write: (line) => void (text += line) },
  );
  const cause = new Error('deep');
  cause.cause = cause; // a circle
  logger.error(new Error('shallow', { cause }));
  const { stack_trace, message, severity } = JSON.parse(text);
  expect({ message, severity }).toEqual({ message: 'shallow', severity: 'ERROR' });
  expect(stack_trace).toMatch(/^Error: shallow\n {4}at [^]*\nCaused by: Error: deep\n {4}at /);
});
