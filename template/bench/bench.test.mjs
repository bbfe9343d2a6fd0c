// What the bench computes and draws; what it measures, it measures when it is run.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer, connect } from 'node:net';
import { describe, test } from 'node:test';
import { drawChart } from './chart.mjs';
import { copiedInLastStage } from './layer.mjs';
import { openLoop } from './load.mjs';
import { startProxy } from './postgres-proxy.mjs';
import { goalsTable, judge, mediansTable } from './report.mjs';
import { median, quantile, ratio, spread } from './statistics.mjs';

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');

describe('statistics', () => {
  test('the median of an even number of values lies between the two in the middle', () => {
    assert.equal(median([4, 1, 3, 2]), 2.5);
    assert.equal(median([5]), 5);
  });

  test('a quantile lies between its neighbours', () => {
    assert.equal(quantile([10, 20, 30, 40, 50], 0.25), 20);
    assert.equal(quantile([10, 20], 0.9), 19);
    assert.equal(quantile([1, 2, 3], 1), 3);
  });

  test('the spread is that of the middle half, as a part of the median', () => {
    assert.equal(spread([90, 95, 100, 105, 1000]), 0.1);
  });

  test('a ratio is of each round, so that a slow round slows both', () => {
    assert.deepEqual(ratio([10, 20, 40], [5, 10, 20]), { ratio: 2, spread: 0 });
  });
});

describe('a verdict', () => {
  const verdictOf = (cells, against) => judge(cells).find((row) => row.against === against).verdict;

  test('is met or missed', () => {
    const get = { ours: [90, 90, 90], express: [100, 100, 100], stock: [80, 80, 80] };
    assert.equal(verdictOf({ get }, 'express'), 'met');
    assert.equal(verdictOf({ get }, 'stock'), 'missed');
  });

  test('is none when the rounds disagree', () => {
    const get = { ours: [90, 120, 60], express: [100, 100, 100], stock: [50, 50, 50] };
    assert.match(verdictOf({ get }, 'express'), /^not measured: the rounds spread over 33 %/);
  });

  test('is none when a service was waiting for the load', () => {
    const get = { ours: [90], express: [100], stock: [50] };
    const cells = { get, 'get cpu': { ours: [0.98], express: [0.6], stock: [0.97] } };
    assert.equal(verdictOf(cells, 'express'), 'not measured: the load, not Express 5, was the limit');
    assert.equal(verdictOf(cells, 'stock'), 'met');
    const disturbed = { ...cells, 'get others': { ours: [0.2] } };
    assert.match(verdictOf(disturbed, 'stock'), /something else used the core/);
  });

  test('is none when the service could not bear the rate', () => {
    const p99Same = { ours: [20], express: [undefined] };
    assert.equal(verdictOf({ p99Same }, 'express'), 'not measured: Express 5 cannot bear the rate');
  });

  test('is given for what was measured alone', () => {
    assert.deepEqual(
      judge({ files: { ours: [12] } }).map(({ cell, verdict }) => [cell, verdict]),
      [['files', 'met']],
    );
    assert.match(goalsTable(judge({ files: { ours: [12] } })), /JavaScript files loaded at boot +12 +≤ 15 +met/);
    assert.match(mediansTable({ files: { ours: [12], http: [70] } }), /JavaScript files loaded at boot +12 +70/);
  });
});

describe('the layer', () => {
  test('is what the last stage copies', () => {
    const dockerfile =
      'FROM a AS build\nCOPY src ./src\nFROM b\nCOPY --from=build --chown=1 \\\n /app/dist /app/docs ./\n';
    assert.deepEqual(copiedInLastStage(dockerfile), ['dist', 'docs']);
  });

  test("is found in this project's Dockerfile", () => {
    assert.deepEqual(copiedInLastStage(readFileSync('docker/Dockerfile', 'utf8')), ['dist']);
  });
});

test('an open loop sends without waiting for answers', { timeout: 10_000 }, async (t) => {
  const waiting = [];
  // Nobody is answered before everyone has asked.
  const server = createServer((_request, response) => {
    waiting.push(response);
    if (waiting.length === 40) waiting.forEach((each) => each.end());
  }).listen(0, '127.0.0.1');
  t.after(() => server.close().closeAllConnections());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  const { p99 } = await openLoop({ url }, [{ path: '/' }], 20, 1);
  assert.ok(p99 > 900, `one was due 950 ms before the last, and the p99 is ${p99} ms`);
});

test('the proxy counts round trips, those of signing in apart', async (t) => {
  const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
  const server = createTcpServer((socket) =>
    socket.on('data', (chunk) => socket.write(chunk[0] === 0 ? chunk : READY)),
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const proxy = await startProxy(`postgresql://app@127.0.0.1:${server.address().port}/app`);
  const client = connect(new URL(proxy.url).port, '127.0.0.1');
  t.after(() => {
    client.destroy();
    proxy.stop();
    server.close();
  });
  const ask = async (byte) => {
    client.write(Buffer.from([byte]));
    await once(client, 'data');
  };
  await ask(0); // an answer that is not the end of one
  await ask(1);
  await ask(1);
  await ask(1);
  assert.deepEqual(proxy.count, { connections: 1, roundTrips: 2 });
});

test('chart.svg is the drawing of results.json', () => {
  assert.equal(read('chart.svg'), drawChart(JSON.parse(read('results.json'))), 'run: npm run bench');
});
