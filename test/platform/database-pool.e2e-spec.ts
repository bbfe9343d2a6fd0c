import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Put } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { withRetryableTransaction } from '../../src/platform/database/retryable-transaction.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { until } from '../support/until.js';

/** A table of one row. */
@Controller('counter')
@Public()
class CounterController {
  constructor(private readonly dataSource: DataSource) {}

  @Get()
  read(): Promise<unknown> {
    return this.dataSource.query('SELECT value FROM counter WHERE id = $1', [1]);
  }

  @Put()
  count(): Promise<unknown> {
    return withRetryableTransaction(this.dataSource.manager, (manager) =>
      manager.query('UPDATE counter SET value = value + 1 WHERE id = $1', [1]),
    );
  }
}

let sut: TestApp;
let proxy: TcpProxy | undefined;
afterEach(async () => {
  await sut.close();
  await proxy?.stop();
  proxy = undefined;
});

async function start(env: NodeJS.ProcessEnv, throughProxy?: (url: string) => Promise<string>) {
  sut = await createTestApp({ env, throughProxy, controllers: [CounterController] });
  await sut.database.query('CREATE TABLE counter AS SELECT 1 AS id, 0 AS value');
}

const startBehindProxy = () =>
  start({ DATABASE_POOL_MAX: '4', DATABASE_STATEMENT_TIMEOUT_MS: '300' }, async (url) => {
    proxy = await startTcpProxy(url);
    return proxy.url;
  });

const read = () => sut.anonymous.get('/counter').then((answer) => answer);
const count = () => sut.anonymous.put('/counter').then((answer) => answer);
const holdTheRow = () => sut.database.hold('UPDATE counter SET value = value');
const sessionsAtALock = `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
const isSomeoneWaiting = async () => (await sut.database.query(sessionsAtALock)).length === 1;

async function statusesOf(requests: Promise<{ status: number }>[]) {
  return (await Promise.all(requests)).map(({ status }) => status);
}

describe('a server that has gone silent', () => {
  const eightReads = () => statusesOf(Array.from({ length: 8 }, read));

  it('fails each request with 503, and none once it answers again', async () => {
    await startBehindProxy();
    expect(await eightReads()).toEqual(Array(8).fill(200));
    proxy?.fallSilent();
    expect(await eightReads()).toEqual(Array(8).fill(503));
    proxy?.answerAgain();
    expect(await eightReads()).toEqual(Array(8).fill(200));
  });

  it('leaves no trust in the connections that nobody used meanwhile', async () => {
    await startBehindProxy();
    await eightReads();
    proxy?.fallSilent();
    expect((await read()).status).toBe(503);
    proxy?.answerAgain();
    expect(await eightReads()).toEqual(Array(8).fill(200));
  });
});

describe('a pool without an idle connection', () => {
  it('lets a request wait for no longer than DATABASE_POOL_ACQUIRE_TIMEOUT_MS', async () => {
    await start({ DATABASE_POOL_MAX: '1', DATABASE_POOL_ACQUIRE_TIMEOUT_MS: '50' });
    const row = await holdTheRow();
    const waiting = count();
    await until(isSomeoneWaiting);
    const { status, headers, body } = await read();
    expect([status, body.code, headers['retry-after']]).toEqual([503, 'database_timeout', '1']);
    expect(await isSomeoneWaiting()).toBe(true);
    await row.release();
    expect((await waiting).status).toBe(200);
  });
});

describe('a lock that another session holds', () => {
  it('is waited for by half of DATABASE_STATEMENT_TIMEOUT_MS', async () => {
    await start({ DATABASE_STATEMENT_TIMEOUT_MS: '400' });
    // Either limit would answer the same.
    expect(await sut.app.get(DataSource).query('SHOW lock_timeout')).toEqual([{ lock_timeout: '200ms' }]);
    const row = await holdTheRow();
    const { status, body } = await count();
    expect([status, body.code]).toEqual([503, 'database_timeout']);
    expect(await isSomeoneWaiting()).toBe(false);
    await row.release();
  });
});

describe('a session that is ended', () => {
  it('costs a read a second try, and nobody an answer', async () => {
    await start({});
    const table = await sut.database.hold('LOCK TABLE counter IN ACCESS EXCLUSIVE MODE');
    const reading = read();
    await until(isSomeoneWaiting);
    await sut.database.query(`SELECT pg_terminate_backend(pid) FROM (${sessionsAtALock}) AS reading`);
    await table.release();
    expect((await reading).status).toBe(200);
  });
});

describe('a transaction that PostgreSQL ends for the sake of another', () => {
  const giveWay = (when: string, code: string) =>
    sut.database.query(`
      CREATE SEQUENCE IF NOT EXISTS tries;
      SELECT setval('tries', 1, false);
      CREATE OR REPLACE FUNCTION give_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('tries') ${when} THEN RAISE EXCEPTION 'give way' USING ERRCODE = '${code}'; END IF;
        RETURN new;
      END $$;
      CREATE OR REPLACE TRIGGER give_way BEFORE UPDATE ON counter FOR EACH ROW EXECUTE FUNCTION give_way()`);

  it('is done again, three times at most', async () => {
    await start({});
    await giveWay('<= 2', '40P01');
    expect((await count()).status).toBe(200);
    expect((await read()).body).toEqual([{ value: 1 }]);

    await giveWay('> 0', '40001');
    const { status, body } = await count();
    expect([status, body.code]).toEqual([503, 'database_timeout']);
    expect(await sut.database.query('SELECT last_value FROM tries')).toEqual([{ last_value: '3' }]);
  });
});

describe('named statements', () => {
  const named = `SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%FROM counter%'`;

  it('are parsed once for each connection', async () => {
    await start({ DATABASE_POOL_MAX: '1' });
    for (let times = 0; times < 3; times++) await read();
    expect(await sut.app.get(DataSource).query(named)).toHaveLength(1);
  });

  it('are made anew after a migration has changed what they return', async () => {
    await start({ DATABASE_POOL_MAX: '1' });
    await read();
    await sut.database.query('ALTER TABLE counter ALTER COLUMN value TYPE text');
    const { status, body } = await read();
    expect([status, body]).toEqual([200, [{ value: '0' }]]);
  });

  it('are not used with DATABASE_PREPARED_STATEMENTS=false', async () => {
    await start({ DATABASE_POOL_MAX: '1', DATABASE_PREPARED_STATEMENTS: 'false' });
    await read();
    expect(await sut.app.get(DataSource).query(named)).toEqual([]);
  });
});
