import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { base64url, CompactSign, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { advanceClock } from '../support/clock.js';
import { givenApiKey } from '../support/credentials.js';
import { ALL_SCOPES, AUDIENCE, type Issuer, startIssuer } from '../support/issuer.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { createTestNotesApp } from '../support/test-notes.js';

const CI = 'ci@project.iam.gserviceaccount.com';
const OIDC_SCOPE_GRANTS = `${CI}=notes:read notes:share,1234567890=notes:read,sub:machine@clients=notes:write`;

let issuer: Issuer;
let stranger: Issuer;
let sut: TestApp;
beforeAll(async () => {
  [issuer, stranger] = [await startIssuer(), await startIssuer()];
  sut = await createTestNotesApp({ env: { OIDC_ISSUERS: issuer.url, OIDC_AUDIENCE: AUDIENCE, OIDC_SCOPE_GRANTS } });
});
afterEach(() => {
  issuer.state = 'up';
  delete issuer.keySet;
  jest.restoreAllMocks();
});
afterAll(async () => {
  await sut.close();
  issuer.stop();
  stranger.stop();
});

const me = (token: string, { anonymous } = sut) => anonymous.get('/v1/me').set('Authorization', `Bearer ${token}`);
const now = () => Math.floor(Date.now() / 1000);

describe('a valid token', () => {
  it('of the client credentials grant has the scopes of the grant', async () => {
    const token = await issuer.accessToken('test-notes:read');
    const { body } = await me(token).expect(200);
    expect(body).toEqual({ kind: 'oidc', name: 'machine', scopes: ['test-notes:read'], expiresAt: expect.any(String) });
    await sut.anonymous.get('/v1/test-notes').auth(token, { type: 'bearer' }).expect(200);
    const rejected = await sut.anonymous.post('/v1/test-notes').auth(token, { type: 'bearer' }).send({}).expect(403);
    expect(rejected.body.code).toBe('scope_missing');
    expect(rejected.headers['www-authenticate']).toMatch(/error="insufficient_scope", scope="test-notes:write"$/);
  });

  it.each([
    [{ scope: 'a b' }, ['a', 'b']],
    [{ scp: ['a', 'b'] }, ['a', 'b']],
    [{ scp: 'a b' }, ['a', 'b']],
    [{}, []],
    [{ scope: { a: true }, scp: 7 }, []],
  ])('with the claims %j has the scopes %j', async (claims, scopes) => {
    expect((await me(await issuer.sign(claims)).expect(200)).body.scopes).toEqual(scopes);
  });

  it.each(['JWT', 'at+jwt', 'application/at+jwt', undefined])('of the typ %s is accepted', async (typ) => {
    await me(await issuer.sign({}, { typ })).expect(200);
  });

  it('is accepted 5 s after exp and 5 s before nbf, because clocks differ', async () => {
    await me(await issuer.sign({ exp: now() - 5 })).expect(200);
    await me(await issuer.sign({ nbf: now() + 5 })).expect(200);
  });

  it.each([-7200, 7200])(
    'is valid by the clock of the database, if that of the process is wrong by %i s',
    async (change) => {
      const [valid, expired] = [await issuer.sign({}), await issuer.sign({ exp: now() - 60 })];
      jest.useFakeTimers({
        doNotFake: [
          ...(['hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'clearImmediate'] as const),
          ...(['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] as const),
        ],
        now: Date.now() + change * 1000,
      });
      try {
        await me(valid).expect(200);
        await me(expired).expect(401);
      } finally {
        jest.useRealTimers();
      }
    },
  );

  it('may have an exp in the year 9999', async () => {
    const { body } = await me(await issuer.sign({ exp: 253_402_300_799 })).expect(200);
    expect(body.expiresAt).toBe('9999-12-31T23:59:59.000Z');
  });
});

describe('OIDC_SCOPE_GRANTS', () => {
  it.each([
    ['a verified email address', { email: CI, email_verified: true }, ['notes:read', 'notes:share'], CI],
    ['a subject', { sub: '1234567890' }, ['notes:read'], '1234567890'],
    ['sub: and a subject with an @', { sub: 'machine@clients' }, ['notes:write'], 'machine@clients'],
    [
      'a verified email address and a scope claim',
      { email: CI, email_verified: true, scope: 'x' },
      ['x', 'notes:read', 'notes:share'],
      CI,
    ],
  ])('grants scopes to %s', async (_, claims, scopes, name) => {
    expect((await me(await issuer.sign(claims)).expect(200)).body).toMatchObject({ scopes, name });
  });

  it.each([
    ['an unverified email address', { email: CI, email_verified: false }, 'someone'],
    ['email_verified as text', { email: CI, email_verified: 'true' }, 'someone'],
    ['an email address without email_verified', { email: CI }, 'someone'],
    ['the email address of another entry as subject', { sub: CI, email: 'x@y.z', email_verified: true }, 'x@y.z'],
    ['a longer subject', { sub: '12345678901' }, '12345678901'],
  ])('grants nothing to %s', async (_, claims, name) => {
    expect((await me(await issuer.sign(claims)).expect(200)).body).toMatchObject({ scopes: [], name });
  });
});

describe('an invalid token', () => {
  const claims = { scope: ALL_SCOPES, sub: 'someone' };
  const payload = (changes: object = {}) => ({
    iss: issuer.url,
    aud: AUDIENCE,
    exp: now() + 300,
    ...claims,
    ...changes,
  });
  const kid = () => issuer.privateKey.kid;
  const encode = (value: unknown) => base64url.encode(JSON.stringify(value));

  /** A valid token with other parts. */
  const altered = async (change: (header: string, body: string, signature: string) => (string | object)[]) => {
    const parts = change(...((await issuer.sign(claims)).split('.') as [string, string, string]));
    return parts.map((part) => (typeof part === 'string' ? part : encode(part))).join('.');
  };
  /** Signed with an attacker's key. */
  const forged = async (header: { alg?: string } & Record<string, unknown>) => {
    const alg = header.alg ?? 'RS256';
    const { privateKey } = await generateKeyPair(alg);
    return new SignJWT(payload()).setProtectedHeader({ alg, ...header }).sign(privateKey);
  };
  const hmac = (secret: string | Buffer) =>
    new SignJWT(payload()).setProtectedHeader({ alg: 'HS256', kid: kid() }).sign(Buffer.from(secret));
  /** Signed with the issuer's key; jose would not sign such claims. */
  const signed = (content: unknown, header = {}) =>
    new CompactSign(Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)))
      .setProtectedHeader({ alg: 'RS256', kid: kid(), ...header })
      .sign(issuer.privateKey);
  const signedWith = (changes: object) => signed(payload(changes));
  const publicKeyPem = () =>
    createPublicKey({ key: issuer.privateKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' });

  it.each<[string, () => Promise<string> | string]>([
    ['nothing', () => ''],
    ['no dots', () => 'token'],
    ['two parts', () => 'a.b'],
    ['three empty parts', () => '..'],
    ['five parts, as if encrypted', () => 'a.b.c.d.e'],
    ['two tokens', async () => `${await issuer.sign(claims)} ${await issuer.sign(claims)}`],
    ['alg none', () => `${encode({ alg: 'none' })}.${encode(payload())}.`],
    ['alg nOnE and the kid of the issuer', () => `${encode({ alg: 'nOnE', kid: kid() })}.${encode(payload())}.`],
    ['alg none and a valid signature', () => altered((_, body, signature) => [{ alg: 'none' }, body, signature])],
    ['no alg', () => altered((_, body, signature) => [{ typ: 'JWT' }, body, signature])],
    ['HS256 by the public key', () => hmac(publicKeyPem())],
    ['HS256 by the modulus', () => hmac(String(issuer.privateKey.n))],
    ['HS256 by an empty secret', () => hmac('\0')],
    ['another issuer', () => stranger.sign(claims)],
    ['the iss of this issuer, signed by another', () => stranger.sign({ ...claims, iss: issuer.url })],
    ['iss with a trailing slash', () => issuer.sign({ ...claims, iss: `${issuer.url}/` })],
    ['no iss', () => issuer.sign({ ...claims, iss: undefined })],
    ['a number as iss', () => signedWith({ iss: 7 })],
    ['another audience', () => issuer.sign({ ...claims, aud: 'https://elsewhere.example.com' })],
    ['other audiences', () => issuer.sign({ ...claims, aud: ['a', `${AUDIENCE}/`] })],
    ['no audience', () => issuer.sign({ ...claims, aud: undefined })],
    ['an expired exp', () => issuer.sign({ ...claims, exp: now() - 60 })],
    ['a future nbf', () => issuer.sign({ ...claims, nbf: now() + 120 })],
    ['no exp', () => signedWith({ exp: undefined })],
    ['a string as exp', () => signedWith({ exp: '9999999999' })],
    ...[253_402_300_800, 8.64e12, 9e15, 1e308, -1, 0].map((exp): [string, () => Promise<string>] => [
      `the exp ${exp}`,
      () => signedWith({ exp }),
    ]),
    ['an exp that is not finite', () => signed(JSON.stringify(payload({ exp: 'x' })).replace('"x"', '1e400'))],
    ['no sub', () => issuer.sign({ ...claims, sub: undefined })],
    ['a number as sub', () => signedWith({ sub: 7 })],
    ['an empty sub', () => issuer.sign({ ...claims, sub: '' })],
    ['a NUL character in sub', () => issuer.sign({ ...claims, sub: 'a\0b' })],
    ['a number as typ', () => signed(payload(), { typ: 7 })],
    ['a list as typ', () => signed(payload(), { typ: ['JWT'] })],
    ['the typ of a logout token', () => issuer.sign(claims, { typ: 'logout+jwt' })],
    ['the typ of a DPoP proof', () => issuer.sign(claims, { typ: 'dpop+jwt' })],
    ['the kid of the issuer, signed by another key', () => forged({ kid: kid() })],
    ['no kid, signed by another key', () => forged({})],
    ['a path as kid', () => forged({ kid: '../../../../../dev/null' })],
    ['SQL as kid', () => forged({ kid: "' OR 1=1 --" })],
    ["an attacker's jku", () => forged({ kid: 'a', jku: `${stranger.url}/jwks` })],
    ["an attacker's x5u", () => forged({ kid: 'a', x5u: `${stranger.url}/x5u` })],
    [
      'a key in the header',
      async () => {
        const { privateKey, publicKey } = await generateKeyPair('RS256');
        const header = { alg: 'RS256', kid: kid(), jwk: await exportJWK(publicKey) };
        return new SignJWT(payload()).setProtectedHeader(header).sign(privateKey);
      },
    ],
    ['ES256 and the kid of an RSA key', () => forged({ alg: 'ES256', kid: kid() })],
    [
      'an ES256 signature of zeros',
      () => altered((_, body) => [{ alg: 'ES256', kid: kid() }, body, base64url.encode(new Uint8Array(64))]),
    ],
    ['an unknown critical header', () => altered((_, body, end) => [{ alg: 'RS256', crit: ['x'], x: 1 }, body, end])],
    ['a truncated signature', () => altered((header, body, signature) => [header, body, signature.slice(0, -8)])],
    ['no signature', () => altered((header, body) => [header, body, ''])],
    [
      'the signature removed by Cloud Run',
      () => altered((header, body) => [header, body, 'SIGNATURE_REMOVED_BY_GOOGLE']),
    ],
    [
      'claims that were not signed',
      () => altered((header, _, signature) => [header, payload({ sub: 'admin' }), signature]),
    ],
    [
      'an alg that was not signed',
      () => altered((_, body, signature) => [{ alg: 'RS512', kid: kid() }, body, signature]),
    ],
    ['a payload that is not JSON', () => signed('claims')],
    ['a payload that is a list', () => signed('[]')],
  ])('is rejected with 401: %s', async (_, make) => {
    const { body, headers } = await me(await make()).expect(401);
    expect(body).toMatchObject({ code: 'credential_invalid', detail: expect.any(String) });
    expect(headers['www-authenticate']).toMatch(/^Bearer realm="[^"]+", error="invalid_token"$/);
    expect(stranger.requests.size).toBe(0);
  });

  it('of 1 MB is rejected with 431', async () => {
    await me('a'.repeat(1_000_000)).expect(431);
  });

  it.each(['Basic', 'Token', 'JWT', 'Bearer:'])('is rejected with 401 under the scheme %s', async (scheme) => {
    const token = await issuer.sign(claims);
    const { body } = await sut.anonymous.get('/v1/me').set('Authorization', `${scheme} ${token}`).expect(401);
    expect(body.code).toBe('credential_invalid');
  });

  it('is ignored if the request has an API key', async () => {
    const key = await givenApiKey(sut.database, { name: 'ci' });
    const token = await altered((header, body) => [header, body, 'SIGNATURE_REMOVED_BY_GOOGLE']);
    const { body } = await me(token).set('x-api-key', key).expect(200);
    expect(body).toMatchObject({ kind: 'api_key', name: 'ci' });
  });
});

describe('the keys of an issuer', () => {
  const fetches = () => issuer.requests.get('/jwks') ?? 0;

  it('are fetched once for many tokens', async () => {
    await me(await issuer.sign({})).expect(200);
    const before = fetches();
    for (let round = 0; round < 20; round++) await me(await issuer.sign({})).expect(200);
    expect(fetches()).toBe(before);
  });

  it('include a new key after 30 s', async () => {
    await issuer.rotate();
    advanceClock(31);
    await me(await issuer.sign({})).expect(200);
  });

  it('are fetched at most once in 30 s for unknown key ids', async () => {
    advanceClock(62);
    const before = fetches();
    for (let round = 0; round < 20; round++) {
      const tokens = await Promise.all([1, 2, 3].map((index) => issuer.sign({}, { kid: `unknown-${round}-${index}` })));
      await Promise.all(tokens.map((token) => me(token).expect(401)));
    }
    expect(fetches() - before).toBe(1);
  });

  it('remain valid while the issuer is down, and an unknown key id returns 503', async () => {
    issuer.state = 'down';
    advanceClock(3600);
    await me(await issuer.sign({})).expect(200);
    const { body, headers } = await me(await issuer.sign({}, { kid: 'perhaps-new' })).expect(503);
    expect(body.code).toBe('issuer_unavailable');
    expect(headers['retry-after']).toBe('5');
  });

  it('are tried one after another for a token without a kid, and if two have the same kid', async () => {
    const { publicKey } = await generateKeyPair('RS256', { extractable: true });
    const { privateKey: weakKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const [own, other, weak] = [
      await exportJWK(createPublicKey({ key: issuer.privateKey, format: 'jwk' })),
      await exportJWK(publicKey),
      await exportJWK(createPublicKey(weakKey)),
    ].map((key) => Object.assign(key, { kid: 'same', alg: 'RS256' }));
    issuer.keySet = { keys: [weak, other, own] };
    advanceClock(5400);
    for (const kid of [undefined, 'same']) {
      await me(await issuer.sign({}, { kid })).expect(200);
      const { body } = await me(await issuer.sign({ aud: 'another' }, { kid })).expect(401);
      expect(body.detail).toContain('aud');
      const forged = (await issuer.sign({}, { kid })).slice(0, -8);
      await me(`${forged}AAAAAAAA`).expect(401);
    }
  });

  it('are forgotten when the issuer withdraws them', async () => {
    const old = await issuer.sign({});
    await issuer.rotate();
    advanceClock(7200);
    await me(old).expect(401);
    await me(await issuer.sign({})).expect(200);
  });

  it('are kept when the issuer returns an empty key set', async () => {
    issuer.keySet = { keys: [] };
    advanceClock(10_800);
    await me(await issuer.sign({})).expect(200);
  });

  it('are kept when the issuer returns more than 100 keys', async () => {
    issuer.keySet = { keys: Array.from({ length: 101 }, (_, index) => ({ kty: 'oct', k: 'AA', kid: `${index}` })) };
    advanceClock(14_400);
    await me(await issuer.sign({})).expect(200);
  });

  it('reject tokens with 401 if they cannot be used', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const weak = { ...privateKey.export({ format: 'jwk' }), kid: 'weak', alg: 'RS256' };
    const broken = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'broken', alg: 'ES256' };
    issuer.keySet = { keys: [weak, broken] };
    advanceClock(18_000);
    const [, claims] = (await issuer.sign({})).split('.');
    for (const { kid, alg } of [weak, broken]) {
      const header = base64url.encode(JSON.stringify({ alg, kid }));
      const { body } = await me(`${header}.${claims}.AAAA`).expect(401);
      expect(body.code).toBe('credential_invalid');
    }
  });

  it('are used without waiting while the issuer does not respond', async () => {
    advanceClock(20_000);
    await me(await issuer.sign({})).expect(200);
    issuer.state = 'hanging';
    advanceClock(30_000);
    const response = me(await issuer.sign({})).then(({ status }) => status);
    expect(await Promise.race([response, sleep(2_500, 'too late', { ref: false })])).toBe(200);
  });
});

describe('OIDC_ISSUERS', () => {
  it('can name an issuer that is down at startup', async () => {
    issuer.state = 'down';
    const app = await createTestApp({ env: { OIDC_ISSUERS: issuer.url, OIDC_AUDIENCE: AUDIENCE } });
    try {
      expect((await me(await issuer.sign({}), app)).body.code).toBe('issuer_unavailable');
      issuer.state = 'up';
      advanceClock(2);
      await me(await issuer.sign({}), app).expect(200);
    } finally {
      await app.close();
    }
  });

  it('is empty by default, and every token is rejected with 401', async () => {
    const app = await createTestApp();
    try {
      await me(await issuer.sign({}), app).expect(401);
    } finally {
      await app.close();
    }
  });
});
