import { Controller, Get } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createApiKey } from '../../src/platform/auth/api-key.js';
import { ApiKeysService } from '../../src/platform/auth/api-keys.service.js';
import { CurrentPrincipal, declaredScopes, Public, RequireScopes } from '../../src/platform/auth/auth.decorators.js';
import { advanceClock } from '../support/clock.js';
import { givenApiKey } from '../support/credentials.js';
import { AUDIENCE, type Issuer, startIssuer } from '../support/issuer.js';
import { routesOf } from '../support/openapi.js';
import type { TestApp } from '../support/test-app.js';
import { createTestNotesApp } from '../support/test-notes.js';
import { until } from '../support/until.js';

/** The routes that need no credential. Add a route here when you make it public. */
const PUBLIC = [
  'GET /',
  'GET /.well-known/oauth-protected-resource/mcp',
  'GET /health/live',
  'GET /health/ready',
  'GET /health/startup',
];
/** The routes that need a credential, and no scope. Each tool of POST /mcp has its own scopes. */
const ANY_PRINCIPAL = new Set(['GET /v1/me', 'POST /mcp']);

@Controller('test-only')
class TestOnlyController {
  @Get('no-policy')
  withoutPolicy(): void {}

  @Get('public')
  @Public()
  readPrincipal(@CurrentPrincipal() principal: unknown): unknown {
    return principal;
  }
}

let issuer: Issuer;
let sut: TestApp;
beforeAll(async () => {
  issuer = await startIssuer();
  sut = await createTestNotesApp({
    env: { OIDC_ISSUERS: issuer.url, OIDC_AUDIENCE: AUDIENCE, DOCS_ENABLED: 'false' },
    controllers: [TestOnlyController],
  });
});
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(async () => {
  await sut.close();
  issuer.stop();
});

/** Every route with an example of each parameter. */
const routes = () =>
  routesOf(sut.app)
    .map(({ method, path }) => ({
      name: `${method.toUpperCase()} ${path}`,
      method,
      path: path.replace(':id', '00000000-0000-4000-8000-000000000000').replaceAll(/:\w+/g, 'ABCD'),
    }))
    .filter(({ path }) => !path.startsWith('/test-only'));

const protectedRoutes = () => routes().filter(({ name }) => !PUBLIC.includes(name));
const days = (count: number) => new Date(Date.now() + count * 86_400_000);

describe('every route', () => {
  it('returns 401 without a credential, except the public routes', async () => {
    const open = [];
    for (const { name, method, path } of routes()) {
      const { status } = await sut.anonymous[method](path);
      if (status !== 401) open.push(name);
    }
    expect(open.toSorted()).toEqual(PUBLIC);
  });

  it('accepts an API key with every scope', async () => {
    expect(protectedRoutes().length).toBeGreaterThan(1);
    for (const { name, method, path } of protectedRoutes()) {
      const { status } = await sut.http[method](path);
      expect({ name, rejected: [401, 403].includes(status) }).toEqual({ name, rejected: false });
    }
  });

  it.each<[string, string, () => Promise<Record<string, string>> | Record<string, string>]>([
    ['a missing credential', 'credential_missing', () => ({})],
    ['an unknown key', 'credential_invalid', () => ({ 'x-api-key': createApiKey().key })],
    [
      'an expired key',
      'credential_invalid',
      async () => ({ 'x-api-key': await givenApiKey(sut.database, { expiresAt: days(-1) }) }),
    ],
    [
      'a revoked key',
      'credential_invalid',
      async () => ({ 'x-api-key': await givenApiKey(sut.database, { revokedAt: days(-1) }) }),
    ],
    [
      'a token for another audience',
      'credential_invalid',
      async () => ({
        Authorization: `Bearer ${await issuer.sign({ aud: 'https://elsewhere.example.com', scope: [...declaredScopes].join(' ') })}`,
      }),
    ],
  ])('returns 401 for %s', async (_, code, credential) => {
    const headers = await credential();
    for (const { name, method, path } of protectedRoutes()) {
      const response = await sut.anonymous[method](path).set(headers);
      expect({ name, status: response.status, code: response.body.code }).toEqual({ name, status: 401, code });
      expect(response.headers['content-type']).toContain('application/problem+json');
      expect(response.headers['www-authenticate']).toMatch(/^Bearer realm="/);
    }
  });

  it('returns 403 without its scope, and accepts a key with only this scope', async () => {
    const keys = new Map<string, string>();
    const keyWith = async (scopes: string[]) => {
      const key = keys.get(scopes.join()) ?? (await givenApiKey(sut.database, { scopes }));
      keys.set(scopes.join(), key);
      return key;
    };
    const none = await keyWith([]);
    for (const { name, method, path } of protectedRoutes().filter((route) => !ANY_PRINCIPAL.has(route.name))) {
      const { status, body, headers } = await sut.anonymous[method](path).set('x-api-key', none);
      expect({ name, status, code: body.code }).toEqual({ name, status: 403, code: 'scope_missing' });
      const [, scope = ''] =
        /error="insufficient_scope", scope="([^"]+)"/.exec(headers['www-authenticate'] ?? '') ?? [];
      expect(declaredScopes).toContain(scope);

      const others = await keyWith([...declaredScopes].filter((each) => each !== scope));
      expect((await sut.anonymous[method](path).set('x-api-key', others)).status).toBe(403);
      const right = await keyWith([scope]);
      expect((await sut.anonymous[method](path).set('x-api-key', right)).status).not.toBe(403);
      const token = await issuer.sign({ scope });
      expect((await sut.anonymous[method](path).auth(token, { type: 'bearer' })).status).not.toBe(403);
    }
  });

  it('is closed without an access policy', async () => {
    await sut.anonymous.get('/test-only/no-policy').expect(401);
    const { body } = await sut.http.get('/test-only/no-policy').expect(403);
    expect(body.code).toBe('scope_missing');
  });
});

describe('RequireScopes', () => {
  it('cannot be used twice on a route', () => {
    const declare = () => {
      class Confused {
        @RequireScopes('a')
        @RequireScopes('b')
        get() {}
      }
      return Confused;
    };
    expect(declare).toThrow('get has two policies');
    for (const scope of ['a', 'b']) declaredScopes.delete(scope);
  });
});

describe('GET /v1/me', () => {
  it('returns the identity and the scopes of an API key', async () => {
    const expiresAt = days(30);
    const key = await givenApiKey(sut.database, { name: 'ci', scopes: ['test-notes:read'], expiresAt });
    const { body } = await sut.anonymous.get('/v1/me').set('x-api-key', key).expect(200);
    expect(body).toEqual({
      kind: 'api_key',
      name: 'ci',
      scopes: ['test-notes:read'],
      expiresAt: expiresAt.toISOString(),
    });
  });
});

describe('an API key', () => {
  const me = (key: string) => sut.anonymous.get('/v1/me').set('x-api-key', key);
  const idOf = (key: string) => key.split('_')[1];

  it('is accepted as a bearer token', async () => {
    await sut.anonymous.get('/v1/me').auth(sut.apiKey, { type: 'bearer' }).expect(200);
  });

  it('in x-api-key takes precedence over Authorization', async () => {
    const key = await givenApiKey(sut.database, { name: 'first' });
    const other = await givenApiKey(sut.database, { name: 'second' });
    expect((await me(key).auth(other, { type: 'bearer' })).body.name).toBe('first');
    await me('').auth(other, { type: 'bearer' }).expect(401);
    await me(createApiKey().key)
      .auth(await issuer.sign({}), { type: 'bearer' })
      .expect(401);
  });

  it('is rejected if any of its characters is changed', async () => {
    const key = await givenApiKey(sut.database);
    for (let index = 0; index < key.length; index++) {
      const digit = key[index] === '0' ? '1' : '0';
      await me(key.slice(0, index) + digit + key.slice(index + 1)).expect(401);
    }
    await me(`${key}0`).expect(401);
    await me(key.toUpperCase()).expect(401);
    await me(key).expect(200);
  });

  it('with the id of a cached key and another secret is rejected', async () => {
    await me(sut.apiKey).expect(200);
    await me(createApiKey(idOf(sut.apiKey)).key).expect(401);
  });

  it('is rejected at most 60 s after it was revoked', async () => {
    const key = await givenApiKey(sut.database);
    await me(key).expect(200);
    await sut.database.query('UPDATE api_keys SET revoked_at = now() WHERE id = $1', [idOf(key)]);
    advanceClock(60);
    expect((await me(key).expect(401)).body.detail).toContain('revoked');
  });

  it.each([0, -3_600_000, 3_600_000])(
    'is rejected once it has expired by the clock of the database, if that of the process moves by %i ms',
    async (change) => {
      const key = await givenApiKey(sut.database, { expiresAt: new Date(Date.now() + 1_500) });
      await me(key).expect(200);
      const now = Date.now.bind(Date);
      jest.spyOn(Date, 'now').mockImplementation(() => now() + change);
      await me(key).expect(200);
      await until(async () => (await me(key)).status === 401);
      expect((await me(key).expect(401)).body.detail).toContain('expired');
    },
  );

  it('that was revoked is rejected within 60 s although the clock of the process is set back', async () => {
    const key = await givenApiKey(sut.database);
    await me(key).expect(200);
    await sut.database.query('UPDATE api_keys SET revoked_at = now() WHERE id = $1', [idOf(key)]);
    advanceClock(60);
    jest.spyOn(Date, 'now').mockReturnValue(0);
    await me(key).expect(401);
  });

  it('records its last use at most once a minute', async () => {
    const key = await givenApiKey(sut.database);
    const lastUse = async () => {
      const sql = 'SELECT last_used_at FROM api_keys WHERE id = $1';
      const [row] = await sut.database.query<{ last_used_at: Date }>(sql, [idOf(key)]);
      return Number(row?.last_used_at);
    };
    await me(key).expect(200);
    await until(async () => (await lastUse()) > 0);
    const first = await lastUse();
    expect(first).toBeGreaterThan(Date.now() - 10_000);
    advanceClock(45); // no longer cached, and used within the minute
    await me(key).expect(200);
    expect(await lastUse()).toBe(first);
    const outdate = `UPDATE api_keys SET last_used_at = now() - interval '2 minutes' WHERE id = $1`;
    await sut.database.query(outdate, [idOf(key)]);
    advanceClock(90);
    await me(key).expect(200);
    await until(async () => (await lastUse()) >= first);
  });

  it('is not cached if it is invalid', async () => {
    await me(sut.apiKey).expect(200);
    const cache = Reflect.get(sut.app.get(ApiKeysService), 'verified') as Map<string, unknown>;
    const before = cache.size;
    await Promise.all(Array.from({ length: 20 }, () => me(createApiKey().key).expect(401)));
    expect(cache.size).toBe(before);
  });

  it('causes 503 while the database is down, unless it is cached or malformed', async () => {
    const unknown = await givenApiKey(sut.database);
    await me(sut.apiKey).expect(200);
    await sut.database.whileDown(async () => {
      await me(sut.apiKey).expect(200);
      const { body, headers } = await me(unknown).expect(503);
      expect(body.code).toBe('database_unavailable');
      expect(headers['retry-after']).toBe('1');
      await me('sk_nonsense').expect(401);
    });
    await until(async () => (await me(unknown)).status === 200);
  });

  it('remains valid if its last use cannot be recorded', async () => {
    const key = await givenApiKey(sut.database);
    await sut.database.query('ALTER TABLE api_keys ADD CONSTRAINT unused CHECK (last_used_at IS NULL) NOT VALID');
    try {
      await me(key).expect(200);
    } finally {
      await sut.database.query('ALTER TABLE api_keys DROP CONSTRAINT unused');
    }
  });

  it.each([
    ['its row is locked', 'SELECT FROM api_keys FOR UPDATE'],
    ['its table is locked against writes', 'LOCK TABLE api_keys IN SHARE MODE'],
  ])('is not delayed while %s, and uses at most one connection', async (_, sql) => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => givenApiKey(sut.database)));
    const lock = await sut.database.hold(sql);
    try {
      const statuses = await Promise.all(keys.map(async (key) => (await me(key)).status));
      expect(statuses).toEqual(Array(20).fill(200));
      expect(await sut.database.countLockWaits()).toBeLessThanOrEqual(1);
    } finally {
      await lock.release();
    }
  });
});

describe('CurrentPrincipal', () => {
  it('is an error on a public route', async () => {
    await sut.anonymous.get('/test-only/public').expect(500);
  });
});
