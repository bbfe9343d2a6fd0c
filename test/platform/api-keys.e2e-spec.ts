import { execFile } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hashApiKey } from '../../src/platform/auth/api-key.js';
import { declaredScopes } from '../../src/platform/auth/auth.decorators.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

/** Two of the scopes of this service, or as many as there are. */
const SCOPES = [...declaredScopes].slice(0, 2);
const LIST = SCOPES.join(',') || 'none';

const KEY = /sk_[0-9a-f]{16}_[0-9a-f]{72}/;

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp();
});
afterAll(() => sut.close());

/** Runs the built program as `npm run api-keys` and a Cloud Run job do. */
function keys(line: string, env: NodeJS.ProcessEnv = {}) {
  return new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => {
    const options = { env: { DATABASE_URL: sut.database.url, ...env } };
    const child = execFile(process.execPath, ['dist/api-keys.js', ...line.split(' ')], options, (_, stdout, stderr) =>
      resolve({ status: child.exitCode, stdout, stderr }),
    );
  });
}

const me = (key: string) => sut.anonymous.get('/v1/me').set('x-api-key', key);

describe('keys create', () => {
  it('makes a key that works, shows it once, and keeps only its hash', async () => {
    const { stdout, status } = await keys(`create --name ci --scopes ${LIST} --expires 90d`);
    expect(status).toBe(0);
    const [key = ''] = KEY.exec(stdout) ?? [];
    const { body } = await me(key).expect(200);
    expect(body).toMatchObject({ kind: 'api_key', name: 'ci', scopes: SCOPES });
    const inDays = (Date.parse(body.expiresAt) - Date.now()) / 86_400_000;
    expect(inDays).toBeCloseTo(90, 1);
    const rows = JSON.stringify(await sut.database.query('SELECT * FROM api_keys'));
    expect(rows).toContain(hashApiKey(key));
    expect(rows).not.toContain(key.slice(-72));
    expect((await keys('list')).stdout + (await keys('list --json')).stdout).not.toMatch(KEY);
  });

  it('says all of it in JSON', async () => {
    const made = JSON.parse((await keys(`create --name json --scopes ${LIST} --expires never --json`)).stdout);
    expect(made).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{16}$/),
      name: 'json',
      scopes: SCOPES,
      expiresAt: null,
      createdAt: expect.any(String),
      key: expect.stringMatching(KEY),
    });
    await me(made.key).expect(200);
  });

  it('refuses what is wrong with a reason, and makes nothing', async () => {
    const reasons = {
      'create --scopes none': '--name must',
      'create --name ci --scopes no:such': '--scopes must be none or a list of ',
      'create --name ci --scopes none --expires soon': '--expires must',
      'create --name ci --scopes none --id 1 --hash 2': '--id and --hash must',
      'create --offline --name ci': '--offline takes no --name and no --scopes',
      'revoke 0123456789abcdef 123456789abcdef0': 'Usage:',
      'create --nam ci': "Unknown option '--nam'",
      'revoke 0123456789abcdef': 'API key 0123456789abcdef does not exist',
    };
    const count = 'SELECT count(*) FROM api_keys';
    const before = await sut.database.query(count);
    const refused = Object.entries(reasons).map(async ([line, reason]) => {
      expect({ line, ...(await keys(line)) }).toEqual({
        line,
        status: 1,
        stdout: '',
        stderr: expect.stringContaining(reason),
      });
    });
    await Promise.all(refused);
    expect(await sut.database.query(count)).toEqual(before);
  });

  it('says so in one line when there is no database', async () => {
    const { status, stderr } = await keys('list', { DATABASE_URL: 'postgresql://127.0.0.1:1/none' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^Cannot connect to the database: .*ECONNREFUSED.*\n$/);
  });
});

describe('in production', () => {
  const production = { NODE_ENV: 'production' };

  it('no key is ever printed', async () => {
    for (const line of ['create --name ci --scopes none', 'create --offline --json']) {
      const { status, stdout, stderr } = await keys(line, production);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toContain('create --offline');
      expect(stderr).not.toMatch(KEY);
    }
  });

  it('a key is registered by what was made elsewhere', async () => {
    const { key, id, hash } = JSON.parse((await keys('create --offline --json', { DATABASE_URL: '' })).stdout);
    await me(key).expect(401);
    const line = `create --id ${id} --hash ${hash} --name job --scopes none`;
    const { status, stdout } = await keys(line, production);
    expect(status).toBe(0);
    expect(stdout).toContain(id);
    expect(stdout).not.toMatch(KEY);
    expect((await me(key).expect(200)).body).toMatchObject({ name: 'job', scopes: [] });
    expect(await keys(line, production)).toMatchObject({ status: 1, stderr: `API key ${id} already exists\n` });
  });
});

it('keys list and keys revoke tell and end what a key is', async () => {
  const { id, key } = JSON.parse((await keys('create --name to-go --scopes none --json')).stdout);
  expect((await keys('list')).stdout).toContain('to-go');
  expect(await keys(`revoke ${id}`)).toMatchObject({ status: 0, stdout: expect.stringContaining('Revoked API key') });
  await me(key).expect(401);
  const listed = JSON.parse((await keys('list --json')).stdout).find((each: { id: string }) => each.id === id);
  expect(listed).toMatchObject({ name: 'to-go', revokedAt: expect.any(String), lastUsedAt: null });
  expect(listed).not.toHaveProperty('hash');
  const again = await keys(`revoke ${id} --json`);
  expect(JSON.parse(again.stdout).revokedAt).toBe(listed.revokedAt);
});
