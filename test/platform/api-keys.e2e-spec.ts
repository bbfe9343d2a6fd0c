import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hashApiKey } from '../../src/platform/auth/api-key.js';
import { declaredScopes } from '../../src/platform/auth/auth.decorators.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

/** Up to two scopes of this service, which may have none. */
const SCOPES = [...declaredScopes].slice(0, 2);
const SCOPE_LIST = SCOPES.join(',') || 'none';
const KEY = /sk_[0-9a-f]{16}_[0-9a-f]{72}/;
const PRODUCTION = { NODE_ENV: 'production' };

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp();
});
afterAll(() => sut.close());

/** Runs dist/api-keys.js, as `npm run api-keys` and a Cloud Run job do. */
function run(line: string, env: NodeJS.ProcessEnv = {}) {
  return new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => {
    const options = { env: { DATABASE_URL: sut.database.url, ...env } };
    const child = execFile(process.execPath, ['dist/api-keys.js', ...line.split(' ')], options, (_, stdout, stderr) =>
      resolve({ status: child.exitCode, stdout, stderr }),
    );
  });
}

const runJson = async (line: string, env?: NodeJS.ProcessEnv) => JSON.parse((await run(`${line} --json`, env)).stdout);
const me = (key: string) => sut.anonymous.get('/v1/me').set('x-api-key', key);

describe('api-keys create', () => {
  it('prints a valid key once and stores only its hash', async () => {
    const { stdout, status } = await run(`create --name ci --scopes ${SCOPE_LIST} --expires 90d`);
    expect(status).toBe(0);
    const [key = ''] = KEY.exec(stdout) ?? [];
    const { body } = await me(key).expect(200);
    expect(body).toMatchObject({ kind: 'api_key', name: 'ci', scopes: SCOPES });
    expect((Date.parse(body.expiresAt) - Date.now()) / 86_400_000).toBeCloseTo(90, 1);
    const rows = JSON.stringify(await sut.database.query('SELECT * FROM api_keys'));
    expect(rows).toContain(hashApiKey(key));
    expect(rows).not.toContain(key.slice(-72));
    expect((await run('list')).stdout + (await run('list --json')).stdout).not.toMatch(KEY);
  });

  it('prints JSON with --json', async () => {
    const created = await runJson(`create --name json --scopes ${SCOPE_LIST} --expires never`);
    expect(created).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{16}$/),
      name: 'json',
      scopes: SCOPES,
      expiresAt: null,
      createdAt: expect.any(String),
      key: expect.stringMatching(KEY),
    });
    await me(created.key).expect(200);
  });

  it.each(['create --name ci --scopes none', 'create --offline --json'])(
    'prints no key in production: %s',
    async (line) => {
      const { status, stdout, stderr } = await run(line, PRODUCTION);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toContain('create --offline');
      expect(stderr).not.toMatch(KEY);
    },
  );

  it('registers a key that was created offline', async () => {
    const { key, id, hash } = await runJson('create --offline', { DATABASE_URL: '' });
    await me(key).expect(401);
    const line = `create --id ${id} --hash ${hash} --name job --scopes none`;
    const { status, stdout } = await run(line, PRODUCTION);
    expect(status).toBe(0);
    expect(stdout).toContain(id);
    expect(stdout).not.toMatch(KEY);
    expect((await me(key).expect(200)).body).toMatchObject({ name: 'job', scopes: [] });
    expect(await run(line, PRODUCTION)).toMatchObject({ status: 1, stderr: expect.stringContaining(id) });
  });
});

describe('api-keys', () => {
  it.each([
    ['create --scopes none', '--name must'],
    ['create --name ci --scopes no:such', '--scopes must be'],
    ['create --name ci --scopes none --expires soon', '--expires must'],
    ['create --name ci --scopes none --id 1 --hash 2', '--id and --hash must'],
    ['create --offline --name ci', '--offline takes no --name'],
    ['create --nam ci', "Unknown option '--nam'"],
    ['revoke 0123456789abcdef 123456789abcdef0', 'Usage:'],
    ['revoke 0123456789abcdef', '0123456789abcdef'],
  ])('exits with 1 and a reason: %s', async (line, reason) => {
    const countKeys = () => sut.database.query('SELECT count(*) FROM api_keys');
    const before = await countKeys();
    expect(await run(line)).toEqual({ status: 1, stdout: '', stderr: expect.stringContaining(reason) });
    expect(await countKeys()).toEqual(before);
  });

  it('prints the usage with --help, and names --help after an unknown option', async () => {
    const help = await run('--help', { DATABASE_URL: '' });
    expect(help).toEqual({ status: 0, stderr: '', stdout: expect.stringMatching(/^Usage:[^]*Exit codes: 0 /) });
    const { stderr } = await run('list --bogus');
    expect(stderr).toBe("Unknown option '--bogus'. Run: api-keys --help\n");
  });

  it('exits with 1 and one line without a database', async () => {
    const { status, stderr } = await run('list', { DATABASE_URL: 'postgresql://127.0.0.1:1/none' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^[^\n]*ECONNREFUSED[^\n]*\n$/);
  });
});

describe('api-keys list and revoke', () => {
  it('show and revoke a key', async () => {
    const { id, key } = await runJson('create --name temporary --scopes none');
    expect((await run('list')).stdout).toContain('temporary');
    expect(await run(`revoke ${id}`)).toMatchObject({ status: 0, stdout: expect.stringContaining('Revoked') });
    await me(key).expect(401);
    const listed = (await runJson('list')).find((each: { id: string }) => each.id === id);
    expect(listed).toMatchObject({ name: 'temporary', revokedAt: expect.any(String), lastUsedAt: null });
    expect(listed).not.toHaveProperty('hash');
    expect((await runJson(`revoke ${id}`)).revokedAt).toBe(listed.revokedAt);
  });
});
