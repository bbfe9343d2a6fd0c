import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { givenApiKey } from '../support/credentials.js';
import { type Program, startProgram } from '../support/program.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

let database: TestDatabase;
let sut: Program;

async function start({ empty = false } = {}) {
  database = await createTestDatabase({ empty });
  sut = await startProgram({
    DATABASE_URL: database.url,
    DATABASE_STARTUP_WARN_AFTER_MS: '12345',
    DATABASE_POOL_MAX: '2',
    DATABASE_STATEMENT_TIMEOUT_MS: '60000',
  });
}

async function stop() {
  await sut.stop();
  await database.drop();
}

async function probe(name: 'startup' | 'live' | 'ready') {
  const response = await fetch(`${sut.url}/health/${name}`);
  return { status: response.status, text: await response.text() };
}

const becomes = (name: 'startup' | 'ready', status: number) => until(async () => (await probe(name)).status === status);

/** When readiness last asked the database, by the database's clock. */
async function lastAsked(): Promise<string> {
  const [session] = await database.query<{ query_start: string }>(
    `SELECT query_start::text FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'starter-nestjs health' AND query = 'SELECT 1'`,
  );
  return session?.query_start ?? '';
}

describe('of a service that has just started', () => {
  afterEach(stop);

  it('/health/startup is 503 while a migration of this build is pending', async () => {
    await start({ empty: true });
    await becomes('ready', 200);
    const { status, text } = await probe('startup');
    expect(status).toBe(503);
    expect(JSON.parse(text).error.migrations.message).toMatch(/^\d pending/);
    const migrate = await startProgram({ DATABASE_URL: database.url }, 'migrate.js');
    expect(await migrate.ended).toBe(0);
    await becomes('startup', 200);
  });

  it('/health/startup is 200 when the database is ahead of this build, as after a rollback', async () => {
    await start();
    await database.query(
      `INSERT INTO migrations (timestamp, name) VALUES (9999999999999, 'FromTheFuture9999999999999')`,
    );
    await becomes('startup', 200);
    expect((await probe('startup')).text).toContain('"migrations":{');
  });
});

describe('of a service that runs', () => {
  beforeAll(async () => {
    await start();
    await becomes('startup', 200);
    await becomes('ready', 200);
  });
  afterAll(stop);

  it('/health/startup has the time that the connection took', async () => {
    const { text } = await probe('startup');
    expect(JSON.parse(text)).toMatchObject({
      status: 'ok',
      details: {
        database: { status: 'up', connectMs: expect.any(Number), warnAfterMs: 12345 },
        migrations: { status: 'up' },
      },
    });
  });

  it('/health/ready asks the database at most once a second, however many probes come', async () => {
    const asked = new Set<string>();
    const startedAt = performance.now();
    for (let round = 0; round < 30; round++) {
      await Promise.all(Array.from({ length: 30 }, () => probe('ready')));
      asked.add(await lastAsked());
    }
    const seconds = (performance.now() - startedAt) / 1000;
    expect(asked.size).toBeLessThanOrEqual(Math.ceil(seconds) + 1);
  });

  it('/health/ready does not mistake a busy pool for a lost database', async () => {
    const keys = [await givenApiKey(database), await givenApiKey(database)];
    const holder = await database.hold('LOCK TABLE api_keys');
    const held = keys.map((key) => fetch(`${sut.url}/v1/me`, { headers: { 'x-api-key': key } }));
    await until(async () => {
      const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      return (await database.query(waiting)).length === 2;
    });
    const askedBefore = await lastAsked();
    await until(async () => {
      expect((await probe('ready')).status).toBe(200);
      return (await lastAsked()) > askedBefore; // until then the verdict is one from before
    });
    await holder.release();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('liveness stays when the database goes away, and readiness goes and comes back by itself', async () => {
    await database.takeAway();
    await becomes('ready', 503);
    expect((await probe('live')).status).toBe(200);
    expect((await probe('startup')).status).toBe(200);
    const { text } = await probe('ready');
    expect(JSON.parse(text)).toMatchObject({ status: 'error', error: { database: { status: 'down' } } });
    expect(text).not.toMatch(/test_|127\.0\.0\.1|postgres|SELECT|accepting/); // nothing internal is told
    await database.giveBack();
    await becomes('ready', 200);
  });
});
