import { afterEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { startTcpProxy, type TcpProxy } from './support/tcp-proxy.js';
import { createTestApp, type TestApp } from './support/test-app.js';
import { until } from './support/until.js';
import { aVoucher } from './support/vouchers.js';

let sut: TestApp;
let proxy: TcpProxy | undefined;
afterEach(async () => {
  await sut.close();
  await proxy?.stop();
  proxy = undefined;
});

const createVoucher = async () =>
  (await sut.http.post('/v1/vouchers').send(aVoucher()).expect(201)).body as { id: string };
const statusesOf = (answers: { status: number }[]) => answers.map(({ status }) => status);
const waiting = (query: string) =>
  `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '${query}%'`;

describe('a server that has gone silent', () => {
  it('fails each request with 503, and none once it answers again', async () => {
    const throughProxy = async (url: string) => (proxy = await startTcpProxy(url)).url;
    sut = await createTestApp({ throughProxy, env: { DATABASE_POOL_MAX: '4', DATABASE_STATEMENT_TIMEOUT_MS: '100' } });
    const { id } = await createVoucher();
    const readAtOnce = () => Promise.all(Array.from({ length: 8 }, () => sut.http.get(`/v1/vouchers/${id}`)));
    expect(statusesOf(await readAtOnce())).toEqual(Array(8).fill(200));

    proxy?.fallSilent();
    expect(statusesOf(await readAtOnce())).toEqual(Array(8).fill(503));
    proxy?.answerAgain();
    expect(statusesOf(await readAtOnce())).toEqual(Array(8).fill(200));
  });
});

describe('connections that nobody used while the server was silent', () => {
  it('are not trusted any more', async () => {
    const throughProxy = async (url: string) => (proxy = await startTcpProxy(url)).url;
    sut = await createTestApp({ throughProxy, env: { DATABASE_POOL_MAX: '4', DATABASE_STATEMENT_TIMEOUT_MS: '100' } });
    const { id } = await createVoucher();
    const readAtOnce = () => Promise.all(Array.from({ length: 8 }, () => sut.http.get(`/v1/vouchers/${id}`)));
    await readAtOnce();
    proxy?.fallSilent();
    expect((await sut.http.get(`/v1/vouchers/${id}`)).status).toBe(503);
    proxy?.answerAgain();
    expect(statusesOf(await readAtOnce())).toEqual(Array(8).fill(200));
  });
});

describe('a pool without an idle connection', () => {
  it('lets a request wait for no longer than DATABASE_POOL_TIMEOUT_MS', async () => {
    sut = await createTestApp({ env: { DATABASE_POOL_MAX: '1', DATABASE_POOL_TIMEOUT_MS: '50' } });
    const { id } = await createVoucher();
    const row = await sut.database.hold('SELECT 1 FROM vouchers WHERE id = $1 FOR UPDATE', [id]);
    let isPatched = false;
    const patch = sut.http
      .patch(`/v1/vouchers/${id}`)
      .send({ active: false })
      .then((answer) => {
        isPatched = true;
        return answer;
      });
    await until(async () => (await sut.database.query(waiting('SELECT'))).length === 1);
    const { headers, body } = await sut.http.get(`/v1/vouchers/${id}`).expect(503);
    expect(body.code).toBe('database_unavailable');
    expect(headers['retry-after']).toBe('1');
    expect(isPatched).toBe(false);
    await row.release();
    expect((await patch).status).toBe(200);
  });
});

describe('a lock that another session holds', () => {
  it('is waited for by half of DATABASE_STATEMENT_TIMEOUT_MS', async () => {
    sut = await createTestApp({ env: { DATABASE_STATEMENT_TIMEOUT_MS: '400' } });
    const { id } = await createVoucher();
    const row = await sut.database.hold('SELECT 1 FROM vouchers WHERE id = $1 FOR UPDATE', [id]);
    const { body } = await sut.http.patch(`/v1/vouchers/${id}`).send({ active: false }).expect(503);
    expect(body.code).toBe('database_busy');
    expect(await sut.database.query(waiting('SELECT'))).toEqual([]);
    await row.release();
  });
});

describe('a session that is ended', () => {
  it('costs a read a second try, and nobody else an answer', async () => {
    sut = await createTestApp();
    const { id } = await createVoucher();
    const table = await sut.database.hold('LOCK TABLE vouchers IN ACCESS EXCLUSIVE MODE');
    const read = sut.http.get(`/v1/vouchers/${id}`).then((answer) => answer);
    const sessions = `SELECT pg_terminate_backend(pid) FROM (${waiting('SELECT')}) AS reading`;
    await until(async () => (await sut.database.query(sessions)).length === 1);
    await table.release();
    expect((await read).status).toBe(200);
  });
});

describe('a transaction that PostgreSQL ends for the sake of another', () => {
  it('is done again, up to three times', async () => {
    sut = await createTestApp();
    const { id } = await createVoucher();
    await sut.database.query(`
      CREATE SEQUENCE tries;
      CREATE FUNCTION give_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('tries') % 5 BETWEEN 1 AND 2 THEN RAISE EXCEPTION 'give way' USING ERRCODE = '40P01'; END IF;
        RETURN new;
      END $$;
      CREATE TRIGGER give_way BEFORE UPDATE ON vouchers FOR EACH ROW EXECUTE FUNCTION give_way()`);
    const { body } = await sut.http.patch(`/v1/vouchers/${id}`).send({ active: false }).expect(200);
    expect(body).toMatchObject({ active: false, version: 2 });

    await sut.database
      .query(`SELECT setval('tries', 5); CREATE OR REPLACE FUNCTION give_way() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM nextval('tries'); RAISE EXCEPTION 'give way' USING ERRCODE = '40001'; END $$`);
    const refused = await sut.http.patch(`/v1/vouchers/${id}`).send({ active: true }).expect(503);
    expect(refused.body.code).toBe('database_busy');
    expect(await sut.database.query('SELECT last_value FROM tries')).toEqual([{ last_value: '8' }]);
  });
});

describe('named statements', () => {
  const named = 'SELECT statement FROM pg_prepared_statements WHERE statement LIKE \'%"vouchers"%\'';

  it('are parsed once for each connection', async () => {
    sut = await createTestApp({ env: { DATABASE_POOL_MAX: '1' } });
    const { id } = await createVoucher();
    for (let times = 0; times < 3; times++) await sut.http.get(`/v1/vouchers/${id}`).expect(200);
    expect(await sut.app.get(DataSource).query(named)).toHaveLength(2); // INSERT, SELECT
  });

  it('are made anew after a migration has changed what they return', async () => {
    sut = await createTestApp({ env: { DATABASE_POOL_MAX: '1' } });
    const { id } = await createVoucher();
    await sut.http.get(`/v1/vouchers/${id}`).expect(200);
    await sut.database.query('ALTER TABLE vouchers ALTER COLUMN description TYPE varchar(500)');
    await sut.http.get(`/v1/vouchers/${id}`).expect(200);
  });

  it('are not used with DATABASE_NAMED_STATEMENTS=false', async () => {
    sut = await createTestApp({ env: { DATABASE_POOL_MAX: '1', DATABASE_NAMED_STATEMENTS: 'false' } });
    await createVoucher();
    expect(await sut.app.get(DataSource).query(named)).toEqual([]);
  });
});
