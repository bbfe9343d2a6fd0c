import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { base64url, CompactSign, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { ALL_SCOPES, AUDIENCE, type Issuer, startIssuer } from '../support/issuer.js';
import { NotesController } from '../support/notes.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { givenApiKey } from '../support/credentials.js';

const CALLERS =
  'ci@project.iam.gserviceaccount.com=notes:read notes:share,1234567890=notes:read,sub:machine@clients=notes:write';

let issuer: Issuer;
let stranger: Issuer;
let sut: TestApp;
beforeAll(async () => {
  [issuer, stranger] = [await startIssuer(), await startIssuer()];
  sut = await createTestApp({
    env: { OIDC_ISSUERS: issuer.url, OIDC_AUDIENCE: AUDIENCE, OIDC_SCOPE_GRANTS: CALLERS },
    controllers: [NotesController],
  });
});
afterEach(() => {
  issuer.become('well');
  delete issuer.keySet;
  jest.restoreAllMocks();
});
afterAll(async () => {
  await sut.close();
  issuer.stop();
  stranger.stop();
});

const me = (token: string) => sut.anonymous.get('/v1/me').set('Authorization', `Bearer ${token}`);

const { now: realNow } = Date;

/** Lets the clock of the service, though not that of the tokens, go on by so much. */
function pass(seconds: number): void {
  jest.spyOn(Date, 'now').mockImplementation(() => realNow() + seconds * 1000);
}

describe('a token', () => {
  it('of the client credentials grant is worth its scopes', async () => {
    const token = await issuer.accessToken('notes:read');
    const { body } = await me(token).expect(200);
    expect(body).toEqual({ kind: 'oidc', name: 'machine', scopes: ['notes:read'], expiresAt: expect.any(String) });
    await sut.anonymous.get('/v1/notes').auth(token, { type: 'bearer' }).expect(200);
    const refused = await sut.anonymous.post('/v1/notes').auth(token, { type: 'bearer' }).send({}).expect(403);
    expect(refused.body.code).toBe('scope_missing');
    expect(refused.headers['www-authenticate']).toMatch(/^Bearer .*error="insufficient_scope", scope="notes:write"$/);
  });

  it.each([
    ['scope, a text', { scope: 'a b' }, ['a', 'b']],
    ['scp, a list', { scp: ['a', 'b'] }, ['a', 'b']],
    ['scp, a text', { scp: 'a b' }, ['a', 'b']],
    ['nothing', {}, []],
    ['something else', { scope: { a: true }, scp: 7 }, []],
  ])('has the scopes of %s', async (_, claims, scopes) => {
    expect((await me(await issuer.sign(claims)).expect(200)).body.scopes).toEqual(scopes);
  });

  it.each(['JWT', 'at+jwt', 'application/at+jwt', undefined])('may be of type %s', async (typ) => {
    await me(await issuer.sign({}, { typ })).expect(200);
  });

  it('may be a little too old or too new, for clocks differ', async () => {
    const now = Math.floor(Date.now() / 1000);
    await me(await issuer.sign({ exp: now - 5 })).expect(200);
    await me(await issuer.sign({ nbf: now + 5 })).expect(200);
  });
});

describe('OIDC_SCOPE_GRANTS', () => {
  const email = 'ci@project.iam.gserviceaccount.com';

  it.each([
    ['a verified address', { email, email_verified: true }, ['notes:read', 'notes:share'], email],
    ['a subject', { sub: '1234567890' }, ['notes:read'], '1234567890'],
    [
      'a verified address beside a scope',
      { email, email_verified: true, scope: 'x' },
      ['x', 'notes:read', 'notes:share'],
      email,
    ],
    ['an address that nobody has verified', { email, email_verified: false }, [], 'someone'],
    ['an address that may be verified', { email, email_verified: 'true' }, [], 'someone'],
    ['an address', { email }, [], 'someone'],
    ['a subject that looks like an address', { sub: email, email: 'x@y.z', email_verified: true }, [], 'x@y.z'],
    ['another', { sub: '12345678901' }, [], '12345678901'],
  ])('gives a token with %s what it says', async (_, claims, scopes, name) => {
    expect((await me(await issuer.sign(claims)).expect(200)).body).toMatchObject({ scopes, name });
  });
});

describe('a bad token is refused', () => {
  const claims = { scope: ALL_SCOPES, sub: 'someone' };
  const encode = (value: unknown) => base64url.encode(JSON.stringify(value));
  const whole = () => ({ iss: issuer.url, aud: AUDIENCE, exp: Math.floor(Date.now() / 1000) + 300, ...claims });
  const hidden = async (change: (parts: [string, string, string]) => string[]) =>
    change((await issuer.sign(claims)).split('.') as [string, string, string]).join('.');

  /** Signed with an attacker's key, whatever the header says of it. */
  async function forged(header: { alg?: string } & Record<string, unknown>, payload: JWTPayload = whole()) {
    const alg = header.alg ?? 'RS256';
    const { privateKey } = await generateKeyPair(alg);
    return new SignJWT(payload).setProtectedHeader({ alg, ...header }).sign(privateKey);
  }
  const publicPem = () =>
    createPublicKey({ key: issuer.privateKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const hmac = (secret: string | Buffer, header = {}) =>
    new SignJWT(whole())
      .setProtectedHeader({ alg: 'HS256', kid: issuer.privateKey.kid, ...header })
      .sign(Buffer.from(secret));
  /** Signed with the right key, of a payload that is not a set of claims. */
  const signed = (payload: string, header = {}) =>
    new CompactSign(Buffer.from(payload))
      .setProtectedHeader({ alg: 'RS256', kid: issuer.privateKey.kid, ...header })
      .sign(issuer.privateKey);
  const now = () => Math.floor(Date.now() / 1000);

  it.each<[string, () => Promise<string> | string]>([
    ['nothing', () => ''],
    ['no token at all', () => 'token'],
    ['two parts', () => 'a.b'],
    ['nothing but dots', () => '..'],
    ['five parts, as if encrypted', () => 'a.b.c.d.e'],
    ['two tokens', async () => `${await issuer.sign(claims)} ${await issuer.sign(claims)}`],
    ['alg none', () => `${encode({ alg: 'none' })}.${encode(whole())}.`],
    ['alg nOnE, with the kid', () => `${encode({ alg: 'nOnE', kid: issuer.privateKey.kid })}.${encode(whole())}.`],
    ['alg none over a real signature', () => hidden(([, payload, end]) => [encode({ alg: 'none' }), payload, end])],
    ['no alg', () => hidden(([, payload, end]) => [encode({ typ: 'JWT' }), payload, end])],
    ['HS256 by the public key', () => hmac(publicPem())],
    ['HS256 by the modulus', () => hmac(String(issuer.privateKey.n))],
    ['HS256 by an empty secret', () => hmac('\0')],
    ['another issuer', () => stranger.sign(claims)],
    ['another issuer that says it is this one', () => stranger.sign({ ...claims, iss: issuer.url })],
    ['the issuer with a slash', () => issuer.sign({ ...claims, iss: `${issuer.url}/` })],
    ['no issuer', () => issuer.sign({ ...claims, iss: undefined })],
    ['a number for an issuer', () => signed(JSON.stringify({ ...whole(), iss: 7 }))],
    ['another audience', () => issuer.sign({ ...claims, aud: 'https://elsewhere.example.com' })],
    ['other audiences', () => issuer.sign({ ...claims, aud: ['a', `${AUDIENCE}/`] })],
    ['no audience', () => issuer.sign({ ...claims, aud: undefined })],
    ['a time that is over', () => issuer.sign({ ...claims, exp: now() - 60 })],
    ['a time to come', () => issuer.sign({ ...claims, nbf: now() + 120 })],
    ['no end', () => signed(JSON.stringify({ ...whole(), exp: undefined }))],
    ['a text for an end', () => signed(JSON.stringify({ ...whole(), exp: '9999999999' }))],
    ['a number for a subject', () => signed(JSON.stringify({ ...whole(), sub: 7 }))],
    ['a subject that is empty', () => issuer.sign({ ...claims, sub: '' })],
    ['a subject with a NUL', () => issuer.sign({ ...claims, sub: 'a\0b' })],
    ['an end beyond all time', () => signed(JSON.stringify({ ...whole(), exp: 9e15 }))],
    ['a type that is a number', () => signed(JSON.stringify(whole()), { typ: 7 })],
    ['a type that is a list', () => signed(JSON.stringify(whole()), { typ: ['JWT'] })],
    ['no subject', () => issuer.sign({ ...claims, sub: undefined })],
    ['the type of a logout token', () => issuer.sign(claims, { typ: 'logout+jwt' })],
    ['the type of a DPoP proof', () => issuer.sign(claims, { typ: 'dpop+jwt' })],
    ["another key under the issuer's kid", () => forged({ kid: issuer.privateKey.kid })],
    ['another key without a kid', () => forged({})],
    ['a kid that climbs', () => forged({ kid: '../../../../../dev/null' })],
    ['a kid of SQL', () => forged({ kid: "' OR 1=1 --" })],
    ["an attacker's jku", () => forged({ kid: 'a', jku: `${stranger.url}/jwks` })],
    ["an attacker's x5u", () => forged({ kid: 'a', x5u: `${stranger.url}/x5u` })],
    [
      'a key in the header',
      async () => {
        const { privateKey, publicKey } = await generateKeyPair('RS256');
        const header = { alg: 'RS256', kid: issuer.privateKey.kid, jwk: await exportJWK(publicKey) };
        return new SignJWT(whole()).setProtectedHeader(header).sign(privateKey);
      },
    ],
    ['an elliptic key under the kid of an RSA key', () => forged({ alg: 'ES256', kid: issuer.privateKey.kid })],
    [
      'an elliptic signature of zeros',
      () =>
        `${encode({ alg: 'ES256', kid: issuer.privateKey.kid })}.${encode(whole())}.${base64url.encode(new Uint8Array(64))}`,
    ],
    [
      'an extension that must be understood',
      () => hidden(([, payload, end]) => [encode({ alg: 'RS256', crit: ['x'], x: 1 }), payload, end]),
    ],
    ['a signature cut short', () => hidden(([head, payload, end]) => [head, payload, end.slice(0, -8)])],
    ['no signature', () => hidden(([head, payload]) => [head, payload, ''])],
    [
      'a signature that Cloud Run has removed',
      () => hidden(([head, payload]) => [head, payload, 'SIGNATURE_REMOVED_BY_GOOGLE']),
    ],
    [
      'other claims than those signed',
      () => hidden(([head, , end]) => [head, encode({ ...whole(), sub: 'admin' }), end]),
    ],
    [
      'another alg than that signed',
      () => hidden(([, payload, end]) => [encode({ alg: 'RS512', kid: issuer.privateKey.kid }), payload, end]),
    ],
    ['a payload that is not JSON', () => signed('claims')],
    ['a payload that is a list', () => signed('[]')],
  ])('with %s', async (_, make) => {
    const token = await make();
    const response = await me(token).expect(401);
    expect(response.body).toMatchObject({ code: 'credential_invalid', detail: expect.any(String) });
    expect(response.headers['www-authenticate']).toMatch(/^Bearer realm="[^"]+", error="invalid_token"$/);
    expect(stranger.requests.size).toBe(0);
  });

  it('of 1 MB, before anyone reads it', async () => {
    await me('a'.repeat(1_000_000)).expect(431);
  });

  it.each(['Basic', 'Token', 'JWT', 'Bearer:'])('under the scheme %s', async (scheme) => {
    const token = await issuer.sign(claims);
    const { body } = await sut.anonymous.get('/v1/me').set('Authorization', `${scheme} ${token}`).expect(401);
    expect(body.code).toBe('credential_invalid');
  });
});

it('a token without its signature does no harm beside an API key', async () => {
  const [head, payload] = (await issuer.sign({})).split('.');
  const request = me(`${head}.${payload}.SIGNATURE_REMOVED_BY_GOOGLE`);
  const { body } = await request.set('x-api-key', await givenApiKey(sut.database, { name: 'ci' })).expect(200);
  expect(body).toMatchObject({ kind: 'api_key', name: 'ci' });
});

describe('the keys of the issuer', () => {
  const asked = () => issuer.requests.get('/jwks') ?? 0;

  it('are asked for once', async () => {
    await me(await issuer.sign({})).expect(200);
    const before = asked();
    for (let round = 0; round < 20; round++) await me(await issuer.sign({})).expect(200);
    expect(asked()).toBe(before);
  });

  it('may change: a new one is found after 30 s at the latest', async () => {
    await issuer.rotate();
    pass(31);
    await me(await issuer.sign({})).expect(200);
  });

  it('are asked for at most once in 30 s, however many key ids someone makes up', async () => {
    pass(62);
    const before = asked();
    for (let round = 0; round < 20; round++) {
      const made = await Promise.all([1, 2, 3].map((index) => issuer.sign({}, { kid: `made-up-${round}-${index}` })));
      for (const { status } of await Promise.all(made.map(me))) expect(status).toBe(401);
    }
    expect(asked() - before).toBe(1);
  });

  it('go on verifying while the issuer is away, however old they are; who asks for an unknown one is to come again', async () => {
    issuer.become('down');
    pass(3600);
    await me(await issuer.sign({})).expect(200);
    const { body, headers } = await me(await issuer.sign({}, { kid: 'perhaps-new' })).expect(503);
    expect(body.code).toBe('issuer_unavailable');
    expect(headers['retry-after']).toBe('5');
  });

  it('are forgotten when the issuer has withdrawn them', async () => {
    const old = await issuer.sign({});
    await issuer.rotate();
    pass(7200);
    await me(old).expect(401);
    await me(await issuer.sign({})).expect(200);
  });

  it('are not replaced by none', async () => {
    issuer.keySet = { keys: [] };
    pass(10_800);
    await me(await issuer.sign({})).expect(200);
  });

  it('may be such that nothing can be verified by one of them: that is no error of ours', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const weak = { ...privateKey.export({ format: 'jwk' }), kid: 'weak', alg: 'RS256' };
    const broken = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'broken', alg: 'ES256' };
    issuer.keySet = { keys: [weak, broken] };
    pass(18_000);
    for (const { kid, alg } of [weak, broken]) {
      const [, payload] = (await issuer.sign({})).split('.');
      const header = base64url.encode(JSON.stringify({ alg, kid }));
      const { body } = await me(`${header}.${payload}.AAAA`).expect(401);
      expect(body.code).toBe('credential_invalid');
    }
  });

  it('are used while the issuer does not answer, without waiting for it', async () => {
    pass(20_000);
    await me(await issuer.sign({})).expect(200);
    issuer.become('hanging');
    pass(30_000);
    const answer = me(await issuer.sign({}));
    const first = await Promise.race([answer.then(({ status }) => status), sleep(2_500, 'too late', { ref: false })]);
    expect(first).toBe(200);
  });
});

it('an issuer that is away from the start is found as soon as it is back', async () => {
  issuer.become('down');
  const late = await createTestApp({ env: { OIDC_ISSUERS: issuer.url, OIDC_AUDIENCE: AUDIENCE } });
  const ask = async () => late.anonymous.get('/v1/me').auth(await issuer.sign({}), { type: 'bearer' });
  expect((await ask()).body.code).toBe('issuer_unavailable');
  issuer.become('well');
  pass(2);
  expect((await ask()).status).toBe(200);
  await late.close();
});

it('tokens are refused where no issuer is trusted', async () => {
  const closed = await createTestApp();
  await closed.anonymous
    .get('/v1/me')
    .auth(await issuer.sign({}), { type: 'bearer' })
    .expect(401);
  await closed.close();
});
