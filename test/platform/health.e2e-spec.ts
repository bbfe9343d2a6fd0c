import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GracefulShutdown } from '../../src/platform/lifecycle/graceful-shutdown.js';
import { givenApiKey } from '../support/credentials.js';
import { startProgram } from '../support/program.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp({
    env: { DATABASE_STARTUP_WARN_AFTER_MS: '12345', DATABASE_POOL_MAX: '2', DATABASE_STATEMENT_TIMEOUT_MS: '60000' },
  });
});
afterAll(() => sut.close());

type Probe = 'startup' | 'live' | 'ready';
const probe = (name: Probe, url = sut.url) => fetch(`${url}/health/${name}`);
const becomes = (name: Probe, status: number, url = sut.url) =>
  until(async () => (await probe(name, url)).status === status);

/** The time of the last readiness query, by the clock of the database. */
async function lastQueried(): Promise<string> {
  const [session] = await sut.database.query<{ query_start: string }>(
    `SELECT query_start::text FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'starter-nestjs health' AND query = 'SELECT 1'`,
  );
  return session?.query_start ?? '';
}

describe('GET /health/startup', () => {
  it('returns how long the connection took', async () => {
    expect(await (await probe('startup')).json()).toMatchObject({
      status: 'ok',
      details: {
        database: { status: 'up', connectMs: expect.any(Number), warnAfterMs: 12345 },
        migrations: { status: 'up' },
      },
    });
  });

  it('returns 503 while a migration of this build is pending', async () => {
    const database = await createTestDatabase({ empty: true });
    const program = await startProgram({ DATABASE_URL: database.url });
    try {
      await becomes('ready', 200, program.url);
      const response = await probe('startup', program.url);
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({
        error: { migrations: { message: expect.stringMatching(/^\d pending/) } },
      });
      const migrate = await startProgram({ DATABASE_URL: database.url }, 'migrate.js');
      expect(await migrate.ended).toBe(0);
      await becomes('startup', 200, program.url);
    } finally {
      await program.stop();
      await database.drop();
    }
  });

  it('logs why the server rejects the query, instead of an outage', async () => {
    const database = await createTestDatabase();
    await database.query('ALTER TABLE migrations RENAME COLUMN name TO other');
    const program = await startProgram({ DATABASE_URL: database.url });
    try {
      await becomes('ready', 200, program.url);
      await becomes('startup', 503, program.url);
      const message = 'the database rejects the health check: column "name" does not exist';
      const logged = () => program.lines.find((line) => line.message === message);
      await until(() => logged() !== undefined);
      expect(logged()).toMatchObject({ severity: 'ERROR' });
    } finally {
      await program.stop();
      await database.drop();
    }
  });

  it('returns 200 if the database has newer migrations, as after a rollback', async () => {
    const database = await createTestDatabase();
    await database.query(`INSERT INTO migrations (timestamp, name) VALUES (9999999999999, 'Newer9999999999999')`);
    const app = await createTestApp({ database });
    expect((await probe('startup', app.url)).status).toBe(200);
    await app.close();
    await database.drop();
  });
});

describe('GET /health/ready', () => {
  it('queries the database at most once a second', async () => {
    const queried = new Set<string>();
    const startedAt = performance.now();
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 30 }, () => probe('ready')));
      queried.add(await lastQueried());
    }
    const seconds = (performance.now() - startedAt) / 1000;
    expect(queried.size).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
  });

  it('returns 200 while the connection pool is exhausted', async () => {
    const keys = [await givenApiKey(sut.database), await givenApiKey(sut.database)];
    const lock = await sut.database.hold('LOCK TABLE api_keys');
    const waiting = keys.map((key) =>
      sut.anonymous
        .get('/v1/me')
        .set('x-api-key', key)
        .then(({ status }) => status),
    );
    await until(async () => (await sut.database.countLockWaits()) === 2);
    const before = await lastQueried();
    await until(async () => {
      expect((await probe('ready')).status).toBe(200);
      return (await lastQueried()) > before; // until then the result is a cached one
    });
    await lock.release();
    expect(await Promise.all(waiting)).toEqual([200, 200]);
  });

  it('returns 503 without internal details while the database is down; liveness and startup return 200', async () => {
    await sut.database.whileDown(async () => {
      await becomes('ready', 503);
      expect((await probe('live')).status).toBe(200);
      expect((await probe('startup')).status).toBe(200);
      const text = await (await probe('ready')).text();
      expect(JSON.parse(text)).toMatchObject({ status: 'error', error: { database: { status: 'down' } } });
      expect(text).not.toMatch(/test_|127\.0\.0\.1|postgres|SELECT|accepting/);
    });
    await becomes('ready', 200);
  });

  it('returns 503 during a graceful shutdown', async () => {
    const shutdown = sut.app.get(GracefulShutdown);
    shutdown.draining = true;
    try {
      expect((await probe('ready')).status).toBe(503);
    } finally {
      shutdown.draining = false;
    }
  });
});
