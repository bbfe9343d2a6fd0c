import { randomUUID } from 'node:crypto';
import { Controller, Get } from '@nestjs/common';
import { afterEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import type { TestApp } from '../support/test-app.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { createTestNote, createTestNotesApp } from '../support/test-notes.js';
import { until } from '../support/until.js';

let sut: TestApp;
let id: string;
let database: TestDatabase;
let proxy: TcpProxy | undefined;

/** Starts the application with one note; each test needs other settings. */
async function start(
  env: NodeJS.ProcessEnv = {},
  options: { proxied?: boolean; controllers?: (new () => object)[] } = {},
) {
  database = await createTestDatabase();
  if (options.proxied) proxy = await startTcpProxy(database.url);
  const { controllers } = options;
  sut = await createTestNotesApp({ env: { ...env, ...(proxy && { DATABASE_URL: proxy.url }) }, database, controllers });
  ({ id } = await createTestNote(sut));
}

afterEach(async () => {
  await sut.close();
  await proxy?.stop();
  proxy = undefined;
  await database.drop();
});

const read = () => sut.http.get(`/v1/test-notes/${id}`);
const write = () => sut.http.patch(`/v1/test-notes/${id}`).send({ done: true });
const statusOf = async (request: ReturnType<typeof read>) => (await request).status;
const eightReads = () => Promise.all(Array.from({ length: 8 }, () => statusOf(read())));
const holdTheRow = () => database.hold('SELECT FROM test_notes FOR UPDATE');

/** The status, problem code and Retry-After of a response. */
async function failureOf(request: ReturnType<typeof read>) {
  const { status, body, headers } = await request;
  return [status, body.code, headers['retry-after']];
}
const UNAVAILABLE = [503, 'database_unavailable', '1'];
const TIMEOUT = [503, 'database_timeout', '1'];

describe('a database that is down', () => {
  it('causes 503 on every route that needs it, until it is back', async () => {
    await start();
    const share = () => sut.http.post(`/v1/test-notes/${id}/shares`);
    await database.whileDown(async () => {
      expect(await failureOf(read())).toEqual(UNAVAILABLE);
      expect(await failureOf(write())).toEqual(UNAVAILABLE);
      expect(await failureOf(sut.http.get('/v1/test-notes'))).toEqual(UNAVAILABLE);
      expect(await failureOf(sut.http.delete(`/v1/test-notes/${id}`))).toEqual(UNAVAILABLE);
      expect(await failureOf(share())).toEqual(UNAVAILABLE);
      expect(await failureOf(share().set('Idempotency-Key', randomUUID()))).toEqual(UNAVAILABLE);
      await sut.http.get('/').expect(200);
    });
    await read().expect(200);
  });
});

describe('a database that stops responding', () => {
  const start4 = () => start({ DATABASE_POOL_MAX: '4', DATABASE_STATEMENT_TIMEOUT_MS: '300' }, { proxied: true });

  it('fails each request with 503, and no request after it responds again', async () => {
    await start4();
    expect(await eightReads()).toEqual(Array(8).fill(200));
    proxy?.silence();
    expect(await eightReads()).toEqual(Array(8).fill(503));
    proxy?.open();
    expect(await eightReads()).toEqual(Array(8).fill(200));
  });

  it('removes idle connections from the pool after one has timed out', async () => {
    await start4();
    await eightReads();
    proxy?.silence();
    await read().expect(503);
    proxy?.open();
    expect(await eightReads()).toEqual(Array(8).fill(200));
  });
});

describe('DATABASE_POOL_ACQUIRE_TIMEOUT_MS', () => {
  it('limits the wait for a connection of an exhausted pool', async () => {
    await start({ DATABASE_POOL_MAX: '1', DATABASE_POOL_ACQUIRE_TIMEOUT_MS: '50' });
    const row = await holdTheRow();
    const waiting = statusOf(write());
    await until(async () => (await database.countLockWaits()) === 1);
    expect(await failureOf(read())).toEqual(TIMEOUT);
    expect(await database.countLockWaits()).toBe(1);
    await row.release();
    expect(await waiting).toBe(200);
  });
});

describe('DATABASE_STATEMENT_TIMEOUT_MS', () => {
  it('limits the wait for a lock to half of it', async () => {
    await start({ DATABASE_STATEMENT_TIMEOUT_MS: '400' });
    // The response is the same for both limits.
    expect(await sut.app.get(DataSource).query('SHOW lock_timeout')).toEqual([{ lock_timeout: '200ms' }]);
    const row = await holdTheRow();
    expect(await failureOf(write())).toEqual(TIMEOUT);
    expect(await database.countLockWaits()).toBe(0);
    await row.release();
  });
});

describe('a terminated session', () => {
  it('is retried once by a read', async () => {
    await start();
    const table = await database.hold('LOCK TABLE test_notes');
    const reading = statusOf(read());
    await until(async () => (await database.countLockWaits()) === 1);
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    await table.release();
    expect(await reading).toBe(200);
  });

  it('causes 503 between two statements of a transaction', async () => {
    @Controller('severed')
    @Public()
    class SeveredController {
      @Get()
      sever(): Promise<void> {
        return sut.app.get(DataSource).transaction(async (manager) => {
          const [{ pid }] = await manager.query<[{ pid: number }]>('SELECT pg_backend_pid() AS pid');
          await database.query('SELECT pg_terminate_backend($1)', [pid]);
          await until(() => manager.queryRunner?.isReleased === true);
          await manager.query('SELECT 1');
        });
      }
    }
    await start({}, { controllers: [SeveredController] });
    expect(await failureOf(sut.http.get('/severed'))).toEqual(UNAVAILABLE);
  });
});

describe('a serialization failure', () => {
  /** Makes updates fail with the error while `condition` holds for the number of the attempt. */
  const failUpdates = (condition: string, sqlState: string) =>
    database.query(`
      CREATE SEQUENCE IF NOT EXISTS attempts;
      SELECT setval('attempts', 1, false);
      CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('attempts') ${condition} THEN RAISE EXCEPTION 'failed' USING ERRCODE = '${sqlState}'; END IF;
        RETURN new;
      END $$;
      CREATE OR REPLACE TRIGGER fail BEFORE UPDATE ON test_notes FOR EACH ROW EXECUTE FUNCTION fail()`);

  it('is retried until the third attempt', async () => {
    await start();
    await failUpdates('<= 2', '40P01');
    await write().expect(200);
    expect((await read()).body).toMatchObject({ done: true, version: 2 });
  });

  it('causes 503 after the third attempt', async () => {
    await start();
    await failUpdates('> 0', '40001');
    expect(await failureOf(write())).toEqual(TIMEOUT);
    expect(await database.query('SELECT last_value FROM attempts')).toEqual([{ last_value: '3' }]);
  });
});

describe('an unexpected database error', () => {
  it('returns 500 without internal details', async () => {
    await start();
    await database.query('DROP TABLE test_notes');
    const { body, text } = await read().expect(500);
    expect(body.code).toBe('internal_error');
    expect(text).not.toMatch(/test_note|relation|SELECT|stack|\.ts|\.js/i);
  });
});

describe('DATABASE_PREPARED_STATEMENTS', () => {
  const prepared = () =>
    sut.app
      .get(DataSource)
      .query(`SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%FROM "test_notes"%'`);

  it('prepares a statement once per connection', async () => {
    await start({ DATABASE_POOL_MAX: '1' });
    for (let times = 0; times < 3; times++) await read();
    expect(await prepared()).toHaveLength(1);
  });

  it('prepares it again after a migration has changed its result', async () => {
    await start({ DATABASE_POOL_MAX: '1' });
    await read().expect(200);
    await database.query('ALTER TABLE test_notes ALTER COLUMN shares TYPE text');
    const { body } = await read().expect(200);
    expect(body.shares).toBe('0');
  });

  it('prepares at most 200 statements', async () => {
    await start({ DATABASE_POOL_MAX: '1' });
    const dataSource = sut.app.get(DataSource);
    for (let number = 0; number < 210; number++) await dataSource.query(`SELECT ${number} + $1::integer`, [number]);
    const [{ count }] = await dataSource.query('SELECT count(*)::integer FROM pg_prepared_statements');
    expect(count).toBe(200);
  });

  it('does not prepare statements if it is false', async () => {
    await start({ DATABASE_POOL_MAX: '1', DATABASE_PREPARED_STATEMENTS: 'false' });
    await read().expect(200);
    expect(await prepared()).toEqual([]);
  });
});
