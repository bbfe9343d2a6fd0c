import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createApiKey } from '../src/auth/api-key.js';
import { createLogger } from '../src/logging/logger.js';
import { givenApiKey } from './support/credentials.js';
import { type LogLine, type Program, startProgram } from './support/program.js';
import { createTestDatabase, type TestDatabase } from './support/test-database.js';
import { until } from './support/until.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PASSWORD = 'p%40ss%22word';
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;

let database: TestDatabase;
let sut: Program;
let apiKey: string;
beforeAll(async () => {
  database = await createTestDatabase();
  apiKey = await givenApiKey(database, { scopes: ['vouchers:read', 'vouchers:write'] });
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
    const lines = await linesOf('/v1/vouchers?q=secret', { headers: { traceparent: TRACEPARENT } });
    expect(lines).toEqual([
      {
        severity: 'INFO',
        time: expect.any(String),
        commit: 'abcdef0',
        message: 'GET /v1/vouchers 200',
        requestId: `request-${count}`,
        method: 'GET',
        path: '/v1/vouchers',
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
    await database.query('ALTER TABLE vouchers RENAME TO elsewhere');
    const lines = await linesOf('/v1/vouchers', { headers: { traceparent: TRACEPARENT } });
    await database.query('ALTER TABLE elsewhere RENAME TO vouchers');
    expect(lines.map(({ severity }) => severity)).toEqual(['ERROR', 'WARNING']);
    expect(lines[0]).toMatchObject({
      message: expect.stringContaining('relation "vouchers" does not exist'),
      stack_trace: expect.stringMatching(/^QueryFailedError: relation .*\n {4}at .*/),
      serviceContext: { service: 'service', version: 'service-7' },
      'logging.googleapis.com/trace': `projects/my-project/traces/${TRACE}`,
    });
  });

  it.each([
    ['/v1/vouchers', { method: 'POST', body: '{', headers: { 'Content-Type': 'application/json' } }, 400],
    ['/v1/vouchers/%E0%A4%A', {}, 400],
    ['/nope', {}, 404],
  ])('to %s that is refused early has its line, too', async (path, init, status) => {
    expect(await linesOf(path, init)).toMatchObject([{ severity: 'INFO', status }]);
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
  it('never reach a line, wherever a request or the database puts them', async () => {
    const { key } = createApiKey();
    const jwt = ['eyJhbGciOiJSUzI1NiJ9', 'eyJzdWIiOiJzb21lb25lIn0', 'c2lnbmF0dXJl'];
    const secrets = {
      authorization: 'header-secret-1',
      cookie: 'header-secret-2',
      proxyAuthorization: 'header-secret-3',
      body: 'body-secret',
      nested: 'nested-secret',
      query: 'query-secret',
      path: jwt.join('.'),
      idempotencyKey: 'idempotency-secret',
      sql: 'sql-secret',
    };
    const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${secrets.authorization}` };
    const before = sut.lines.length;
    await database.query(`ALTER TABLE vouchers ADD CONSTRAINT no_secrets CHECK (description NOT LIKE '%secret%')`);
    const requests: [string, RequestInit][] = [
      [`/v1/vouchers?q=${secrets.query}`, {}],
      [`/v1/vouchers?api_key=${key}`, { headers }],
      [`/v1/vouchers/${secrets.path}`, {}],
      [`/v1/${key}`, { headers: { 'x-api-key': key } }],
      ['/v1/vouchers', { headers: { Cookie: secrets.cookie, 'Proxy-Authorization': secrets.proxyAuthorization } }],
      ['/v1/vouchers', { method: 'POST', body: `{"password":${secrets.body}`, headers }],
      [
        '/v1/vouchers',
        {
          method: 'POST',
          body: JSON.stringify({ password: secrets.body }),
          headers: { 'Content-Type': 'application/json' },
        },
      ],
      [
        '/v1/vouchers',
        {
          method: 'POST',
          body: JSON.stringify({
            code: 'SECRET',
            maxRedemptions: 1,
            description: secrets.sql,
            metadata: { token: secrets.nested },
          }),
          headers: { 'Content-Type': 'application/json' },
        },
      ],
      ['/v1/vouchers/ABCD/redemptions', { method: 'POST', headers: { 'Idempotency-Key': secrets.idempotencyKey } }],
    ];
    for (const [path, init] of requests) await linesOf(path, init);
    await database.query('ALTER TABLE vouchers DROP CONSTRAINT no_secrets');
    const text = JSON.stringify(sut.lines.slice(before));
    expect(sut.lines.slice(before).map(({ status }) => status)).toContain(500); // the database named its row
    for (const secret of [...Object.values(secrets), key, key.slice(-72), apiKey]) expect(text).not.toContain(secret);
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
