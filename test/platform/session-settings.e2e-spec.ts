import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { givenApiKey } from '../support/credentials.js';
import type { TestApp } from '../support/test-app.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { createTestNote, createTestNotesApp } from '../support/test-notes.js';

/** Defaults that an administrator may have set for a database or a role. */
const SETTINGS = {
  datestyle: `'German'`,
  timezone: `'Asia/Kathmandu'`,
  intervalstyle: `'sql_standard'`,
  bytea_output: `'escape'`,
  standard_conforming_strings: 'off',
  client_encoding: `'LATIN1'`,
  extra_float_digits: '-15',
  default_transaction_isolation: `'serializable'`,
};

let database: TestDatabase;
let sut: TestApp;
beforeAll(async () => {
  database = await createTestDatabase();
  for (const [name, value] of Object.entries(SETTINGS)) {
    await database.query(
      `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET ${name} = %s', current_database(), $v$${value}$v$); END $$`,
    );
  }
  sut = await createTestNotesApp({
    database,
    env: { DATABASE_POOL_MAX: '5', DATABASE_POOL_ACQUIRE_TIMEOUT_MS: '20000', DATABASE_STATEMENT_TIMEOUT_MS: '20000' },
  });
});
afterAll(async () => {
  await sut.close();
  await database.drop();
});

const me = (key: string) => sut.anonymous.get('/v1/me').set('x-api-key', key);
const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);

/** Rejects keys by their dates, and shows the date of a valid one. */
async function expectRightDates(): Promise<void> {
  const [expiresAt, revokedAt] = [minutesAgo(-5), minutesAgo(5)];
  const revoked = await me(await givenApiKey(sut.database, { revokedAt })).expect(401);
  expect(revoked.body.detail).toContain('revoked');
  const expired = await me(await givenApiKey(sut.database, { expiresAt: minutesAgo(5) })).expect(401);
  expect(expired.body.detail).toContain('expired');
  const { body } = await me(await givenApiKey(sut.database, { expiresAt })).expect(200);
  expect(body.expiresAt).toBe(expiresAt.toISOString());
}

describe('a database with other session settings', () => {
  it('has the same revoked and expired API keys', expectRightDates);

  it('has the same dates and text', async () => {
    const note = { title: String.raw`Zürich \ '€😀'`, dueAt: '2030-02-03T04:05:06.789Z' };
    const { id } = await createTestNote(sut, note);
    const { body } = await sut.http.get(`/v1/test-notes/${id}`).expect(200);
    expect(body).toMatchObject(note);
    expect(Date.parse(body.createdAt)).toBeGreaterThan(Date.now() - 60_000);
    const page = await sut.http.get('/v1/test-notes?sort=dueAt&limit=1').expect(200);
    expect(page.body.items).toMatchObject([note]);
  });

  it('has no serialization failures', async () => {
    const { id } = await createTestNote(sut);
    const shares = Array.from({ length: 30 }, () => sut.http.post(`/v1/test-notes/${id}/shares`));
    const statuses = (await Promise.all(shares)).map(({ status }) => status);
    expect(statuses).toEqual(Array(30).fill(201));
  });
});

describe('a date in a format that cannot be read', () => {
  // As behind a pooler that does not keep the settings of a client.
  it('causes 500, and revoked and expired API keys remain rejected', async () => {
    const app = await createTestNotesApp({ database, env: { DATABASE_POOL_MAX: '1' } });
    try {
      const { id } = await createTestNote(app);
      await app.app.get(DataSource).query(`SET datestyle = 'SQL, DMY'`);
      const statusOf = async (fields: object) =>
        (await app.anonymous.get('/v1/me').set('x-api-key', await givenApiKey(database, fields))).status;
      expect(await statusOf({ revokedAt: minutesAgo(5) })).toBe(401);
      expect(await statusOf({ expiresAt: minutesAgo(5) })).not.toBe(200);
      expect(await statusOf({ expiresAt: minutesAgo(-5) })).toBe(500);
      await app.http.get(`/v1/test-notes/${id}`).expect(500);
    } finally {
      await app.close();
    }
  });
});
