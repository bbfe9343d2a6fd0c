// Tests the instruments of the drills: the proxy, the database check and the limits.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { check } from './checker.mjs';
import { Journal } from './client.mjs';
import { atMost, exactly, inLongForm } from './limits.mjs';
import { Postgres } from './postgres.mjs';
import { Proxy } from './proxy.mjs';
import { judge } from './report.mjs';
import { timeUntil, until } from './until.mjs';
import { create, redeem, seed, voucher } from './workload.mjs';

describe('the proxy', () => {
  let echo;
  let proxy;
  before(async () => {
    echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    proxy = await Proxy.start(echo.address().port);
  });
  after(async () => {
    await proxy.stop();
    echo.close();
  });
  beforeEach(() => proxy.up());

  async function open() {
    const socket = connect(proxy.port, '127.0.0.1');
    socket.received = '';
    socket.on('data', (data) => (socket.received += data)).on('error', ({ code }) => (socket.code = code));
    await once(socket, 'connect');
    return socket;
  }

  const answers = async (socket, withinMs) => {
    socket.received = '';
    socket.write('ping');
    return timeUntil(() => socket.received === 'ping', withinMs);
  };

  test('forwards data, with the configured latency', async () => {
    const socket = await open();
    assert.notEqual(await answers(socket, 1_000), Infinity);
    proxy.latencyMs = 100;
    assert.ok((await answers(socket, 1_000)) >= 190);
    socket.destroy();
  });

  test('resets existing connections and rejects new ones while it is down', async () => {
    const socket = await open();
    proxy.down();
    await until(() => socket.destroyed, 1_000);
    assert.equal(socket.code, 'ECONNRESET');
    await assert.rejects(open(), { code: 'ECONNREFUSED' });
    await proxy.up();
    assert.notEqual(await answers(await open(), 1_000), Infinity);
  });

  test('as a black hole keeps connections open without data, and existing connections do not recover', async () => {
    const socket = await open();
    assert.notEqual(await answers(socket, 1_000), Infinity);
    proxy.blackHole();
    const late = await open();
    for (const each of [socket, late]) assert.equal(await answers(each, 100), Infinity);
    await proxy.up();
    assert.notEqual(await answers(await open(), 1_000), Infinity);
    assert.equal(await answers(socket, 100), Infinity);
    assert.equal(socket.destroyed, false);
    socket.destroy();
  });

  test('closes a connection between a request and its response', async () => {
    const received = [];
    echo.once('connection', (socket) => socket.on('data', (data) => received.push(String(data))));
    const socket = await open();
    proxy.cutsAfter = (data) => data.includes('COMMIT');
    socket.write('COMMIT');
    await until(() => socket.destroyed && received.includes('COMMIT'), 1_000);
    proxy.cutsAfter = () => false;
    assert.equal(socket.received, '');
  });
});

describe('the checker', () => {
  let directory;
  let postgres;
  let database;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'faults-'));
    postgres = await Postgres.start(directory);
    database = await postgres.create('checker');
    await database.query(
      `CREATE TABLE vouchers (id uuid, code text, max_redemptions integer, redemptions integer DEFAULT 0)`,
    );
    await seed(database);
  });
  after(async () => {
    await postgres.stop();
    rmSync(directory, { recursive: true });
  });

  const answered = (request, answer) => ({ ...request, status: 201, answer: JSON.stringify(answer) });
  const redeemed = (count) =>
    database.query('UPDATE vouchers SET redemptions = $1 WHERE id = $2', [count, voucher(0).id]);
  const found = async (...entries) => {
    const verdict = await check(database, new Journal(entries));
    return [verdict['lost acknowledged writes'], verdict['duplicate writes']];
  };

  test('reports an acknowledged voucher that is missing', async () => {
    const id = '11111111-0000-4000-8000-000000000000';
    const entry = answered(create('THERE'), { id, code: 'THERE' });
    await redeemed(0);
    assert.deepEqual(await found(entry), [1, 0]);
    await database.query('INSERT INTO vouchers (id, code) VALUES ($1, $2)', [id, 'THERE']);
    assert.deepEqual(await found(entry), [0, 0]);
  });

  test('reports lost and duplicate redemptions, and ignores redemptions without a response', async () => {
    const [first, second] = [answered(redeem(), {}), answered(redeem(), {})];
    const open = { ...redeem(), error: 'ECONNRESET' };
    const cases = [
      [1, [first, second], [1, 0]],
      [2, [first, second], [0, 0]],
      [3, [first, second], [0, 1]],
      [3, [first, second, open], [0, 0]],
      [2, [first, { ...first }], [0, 1]],
    ];
    for (const [count, entries, verdict] of cases) {
      await redeemed(count);
      assert.deepEqual(await found(...entries), verdict);
    }
  });
});

describe('a limit', () => {
  const drill = { limits: { errors: exactly(0), ms: atMost(10), open: inLongForm(exactly(0)) } };
  const verdicts = (figures, isLong = false) => judge(drill, figures, isLong).map(({ holds }) => holds);

  test('is exceeded by a larger figure and by a missing figure', () => {
    assert.deepEqual(verdicts({ errors: 0, ms: 10 }), [true, true]);
    assert.deepEqual(verdicts({ errors: 1, ms: Infinity }), [false, false]);
    assert.deepEqual(verdicts({ errors: 0 }), [true, false]);
    assert.deepEqual(verdicts({ errors: 0, ms: 10 }, true), [true, true, false]);
  });

  test('distinguishes rejections with Retry-After from other failures', () => {
    const answer = (status, headers) => ({
      status,
      answerHeaders: { 'content-type': 'application/problem+json', ...headers },
    });
    const journal = new Journal([
      answer(200),
      answer(503, { 'retry-after': '1' }),
      answer(503),
      answer(503, { 'retry-after': '1', 'content-type': 'text/html' }),
      answer(500),
      { error: 'ECONNRESET' },
    ]);
    assert.deepEqual([journal.served.count, journal.failed.count, journal.botched.count], [1, 5, 4]);
  });
});
