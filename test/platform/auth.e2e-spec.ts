import { Controller, Get } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { Application } from 'express';
import { ApiKeysService } from '../../src/platform/auth/api-keys.service.js';
import { createApiKey } from '../../src/platform/auth/api-key.js';
import { declaredScopes, RequireScopes } from '../../src/platform/auth/auth.decorators.js';
import { givenApiKey } from '../support/credentials.js';
import { AUDIENCE, type Issuer, startIssuer } from '../support/issuer.js';
import { NotesController } from '../support/notes.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';

/** What everyone may see. A route that is not named here needs a credential. */
const PUBLIC = ['GET /', 'GET /health/live', 'GET /health/ready', 'GET /health/startup'];
/** What every principal may see. */
const ANY_PRINCIPAL = 'GET /v1/me';

let issuer: Issuer;
let sut: TestApp;
beforeAll(async () => {
  issuer = await startIssuer();
  sut = await createTestApp({
    env: { OIDC_ISSUERS: issuer.url, OIDC_AUDIENCE: AUDIENCE, DOCS_ENABLED: 'false' },
    controllers: [NotesController],
  });
});
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(async () => {
  await sut.close();
  issuer.stop();
});

/** Every route that Express knows, with an example of each parameter. */
function routes(): { name: string; method: 'get'; path: string }[] {
  const { router } = sut.app.getHttpAdapter().getInstance() as Application;
  return router.stack.flatMap(({ route }) => {
    const methods = Object.keys((route as { methods?: object } | undefined)?.methods ?? {});
    if (!route || methods.length !== 1) return []; // middleware
    const path = route.path.replace(':id', '00000000-0000-4000-8000-000000000000').replace(':code', 'ABCD');
    return [{ name: `${methods[0]?.toUpperCase()} ${route.path}`, method: methods[0] as 'get', path }];
  });
}

const closedRoutes = () => routes().filter(({ name }) => !PUBLIC.includes(name));

const { now: realNow } = Date;

/** Lets the clock of the service go on by so much. */
function pass(seconds: number): void {
  jest.spyOn(Date, 'now').mockImplementation(() => realNow() + seconds * 1000);
}

const days = (count: number) => new Date(Date.now() + count * 86_400_000);

describe('every route', () => {
  it('that is public is so on purpose', async () => {
    const open = [];
    for (const { name, method, path } of routes()) {
      const { status } = await sut.anonymous[method](path);
      if (status !== 401) open.push(name);
    }
    expect(open.toSorted()).toEqual(PUBLIC);
  });

  it('that is not public says who may use it: a principal with every scope may', async () => {
    expect(closedRoutes().length).toBeGreaterThan(1);
    for (const { name, method, path } of closedRoutes()) {
      const { status } = await sut.http[method](path);
      expect({ name, isRefused: [401, 403].includes(status) }).toEqual({ name, isRefused: false });
    }
  });

  it('refuses each credential that is not one for it', async () => {
    const keyOf = (options: Parameters<typeof givenApiKey>[1]) => givenApiKey(sut.database, options);
    const allScopes = [...declaredScopes].join(' ');
    const unusable = {
      'no credential': {},
      'a key that never was': { 'x-api-key': createApiKey().key },
      'an expired key': { 'x-api-key': await keyOf({ expiresAt: days(-1) }) },
      'a revoked key': { 'x-api-key': await keyOf({ revokedAt: days(-1) }) },
      'a token for another audience': {
        Authorization: `Bearer ${await issuer.sign({ aud: 'https://elsewhere.example.com', scope: allScopes })}`,
      },
    };
    for (const { name, method, path } of closedRoutes()) {
      for (const [credential, headers] of Object.entries(unusable)) {
        const { status, body, headers: answer } = await sut.anonymous[method](path).set(headers);
        expect({ name, credential, status }).toEqual({ name, credential, status: 401 });
        expect(body.code).toBe(credential === 'no credential' ? 'credential_missing' : 'credential_invalid');
        expect(answer['content-type']).toContain('application/problem+json');
        expect(answer['www-authenticate']).toMatch(/^Bearer realm="/);
      }
    }
  });

  it('asks for its scopes, and for no other', async () => {
    const none = await givenApiKey(sut.database, { scopes: [] });
    for (const { name, method, path } of closedRoutes()) {
      const refused = await sut.anonymous[method](path).set('x-api-key', none);
      if (name === ANY_PRINCIPAL) {
        expect(refused.status).toBe(200);
        continue;
      }
      expect({ name, status: refused.status, code: refused.body.code }).toEqual({
        name,
        status: 403,
        code: 'scope_missing',
      });
      const needed =
        /error="insufficient_scope", scope="([^"]+)"/.exec(refused.headers['www-authenticate'] ?? '')?.[1] ?? '';
      expect(declaredScopes).toContain(needed);
      const others = [...declaredScopes].filter((scope) => scope !== needed);
      const wrong = await givenApiKey(sut.database, { scopes: others });
      const right = await givenApiKey(sut.database, { scopes: [needed] });
      expect((await sut.anonymous[method](path).set('x-api-key', wrong)).status).toBe(403);
      expect((await sut.anonymous[method](path).set('x-api-key', right)).status).not.toBe(403);
      const token = await issuer.sign({ scope: needed });
      expect((await sut.anonymous[method](path).auth(token, { type: 'bearer' })).status).not.toBe(403);
    }
  });
});

it('a route that says nothing is closed to everyone', async () => {
  @Controller('forgotten')
  class ForgottenController {
    @Get()
    get() {
      return 'open';
    }
  }
  const forgetful = await createTestApp({ controllers: [ForgottenController] });
  await forgetful.anonymous.get('/forgotten').expect(401);
  const { body } = await forgetful.http.get('/forgotten').expect(403);
  expect(body.code).toBe('scope_missing');
  await forgetful.close();
});

it('two policies on one route are an error, for the first would be forgotten', () => {
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

describe('GET /v1/me', () => {
  it('tells an API key what it is', async () => {
    const expiresAt = days(30);
    const key = await givenApiKey(sut.database, { name: 'ci', scopes: ['notes:read'], expiresAt });
    const { body } = await sut.anonymous.get('/v1/me').set('x-api-key', key).expect(200);
    expect(body).toEqual({
      kind: 'api_key',
      name: 'ci',
      scopes: ['notes:read'],
      expiresAt: expiresAt.toISOString(),
    });
  });
});

describe('an API key', () => {
  const me = (key: string) => sut.anonymous.get('/v1/me').set('x-api-key', key);

  it('may come as a bearer token', async () => {
    const key = await givenApiKey(sut.database);
    await sut.anonymous.get('/v1/me').auth(key, { type: 'bearer' }).expect(200);
  });

  it('in x-api-key wins, whatever else comes', async () => {
    const key = await givenApiKey(sut.database, { name: 'first' });
    const other = await givenApiKey(sut.database, { name: 'second' });
    expect((await me(key).auth(other, { type: 'bearer' })).body.name).toBe('first');
    await me('').auth(other, { type: 'bearer' }).expect(401);
    await me(createApiKey().key)
      .auth(await issuer.sign({}), { type: 'bearer' })
      .expect(401);
  });

  it('is refused with a digit changed, wherever it is', async () => {
    const key = await givenApiKey(sut.database);
    for (let index = 0; index < key.length; index++) {
      const digit = key[index] === '0' ? '1' : '0';
      await me(key.slice(0, index) + digit + key.slice(index + 1)).expect(401);
    }
    await me(`${key}0`).expect(401);
    await me(key.toUpperCase()).expect(401);
    await me(key).expect(200);
  });

  it('of another with the id of this one is refused, also while this one is remembered', async () => {
    const key = await givenApiKey(sut.database);
    await me(key).expect(200);
    const { key: other } = createApiKey(key.split('_')[1]);
    expect((await me(other).expect(401)).body.detail).toBe('The API key does not exist');
  });

  it('works no longer than 60 s after it was revoked', async () => {
    const key = await givenApiKey(sut.database);
    await me(key).expect(200);
    await sut.database.query('UPDATE api_keys SET revoked_at = now() WHERE id = $1', [key.split('_')[1]]);
    pass(60);
    expect((await me(key).expect(401)).body.detail).toBe('The API key has been revoked');
  });

  it('works no longer than it was made for, also while it is remembered', async () => {
    const key = await givenApiKey(sut.database, { expiresAt: new Date(Date.now() + 10_000) });
    await me(key).expect(200);
    pass(11);
    expect((await me(key).expect(401)).body.detail).toBe('The API key has expired');
  });

  it('notes when it was used last, and at most once a minute', async () => {
    const key = await givenApiKey(sut.database);
    const [, id] = key.split('_');
    const lastUse = async () => {
      const [row] = await sut.database.query<{ at: Date | null }>(
        'SELECT last_used_at AS at FROM api_keys WHERE id = $1',
        [id],
      );
      return row?.at?.valueOf();
    };
    expect(await lastUse()).toBeUndefined();
    await me(key).expect(200);
    const first = await lastUse();
    expect(first).toBeGreaterThan(Date.now() - 10_000);
    pass(45); // it is read again, and was used within the minute
    await me(key).expect(200);
    expect(await lastUse()).toBe(first);
    await sut.database.query(`UPDATE api_keys SET last_used_at = now() - interval '2 minutes' WHERE id = $1`, [id]);
    pass(90);
    await me(key).expect(200);
    expect(await lastUse()).toBeGreaterThanOrEqual(Number(first));
  });

  it('that is not one does not stay in memory', async () => {
    await me(await givenApiKey(sut.database)).expect(200);
    const remembered = Reflect.get(sut.app.get(ApiKeysService), 'verified') as Map<string, unknown>;
    const before = remembered.size;
    await Promise.all(Array.from({ length: 200 }, () => me(createApiKey().key).expect(401)));
    expect(remembered.size).toBe(before);
  });

  it('that cannot be checked, because the database is away, is no bad one', async () => {
    const [known, unknown] = [await givenApiKey(sut.database), await givenApiKey(sut.database)];
    await me(known).expect(200);
    await sut.database.takeAway();
    await me(known).expect(200);
    const { body, headers } = await me(unknown).expect(503);
    expect(body.code).toBe('database_unavailable');
    expect(headers['retry-after']).toBe('1');
    await me('sk_nonsense').expect(401);
    await sut.database.giveBack();
    await until(async () => (await me(unknown)).status === 200);
  });
});
