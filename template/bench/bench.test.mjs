// Tests the statistics, verdicts and chart of the benchmark. Only `npm run bench` measures.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer, connect } from 'node:net';
import { describe, test } from 'node:test';
import { drawChart } from './chart.mjs';
import { copiedInLastStage } from './layer.mjs';
import { openLoop } from './load.mjs';
import { problemsIn } from './plans.mjs';
import { startProxy } from './postgres-proxy.mjs';
import { goalsTable, judge, mediansTable } from './report.mjs';
import { median, quantile, ratio, spread } from './statistics.mjs';

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');

describe('statistics', () => {
  test('the median of an even number of values is the mean of the two middle values', () => {
    assert.equal(median([4, 1, 3, 2]), 2.5);
    assert.equal(median([5]), 5);
  });

  test('a quantile is interpolated between the two nearest values', () => {
    assert.equal(quantile([10, 20, 30, 40, 50], 0.25), 20);
    assert.equal(quantile([10, 20], 0.9), 19);
    assert.equal(quantile([1, 2, 3], 1), 3);
  });

  test('the spread is the interquartile range relative to the median', () => {
    assert.equal(spread([90, 95, 100, 105, 1000]), 0.1);
  });

  test('a ratio is computed per round, so a slow round does not change it', () => {
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

  test('is "not measured" if the spread is too wide', () => {
    const get = { ours: [90, 120, 60], express: [100, 100, 100], stock: [50, 50, 50] };
    assert.match(verdictOf({ get }, 'express'), /^not measured: the rounds spread over 33 %/);
  });

  test('is "not measured" if the load was the bottleneck', () => {
    const get = { ours: [90], express: [100], stock: [50] };
    const cells = { get, 'get cpu': { ours: [0.98], express: [0.6], stock: [0.97] } };
    assert.equal(verdictOf(cells, 'express'), 'not measured: the load generator or the database limited Express 5');
    assert.equal(verdictOf(cells, 'stock'), 'met');
    const disturbed = { ...cells, 'get others': { ours: [0.2] } };
    assert.match(verdictOf(disturbed, 'stock'), /another process used the core/);
  });

  test('is "not measured" if the service cannot sustain the rate', () => {
    const p99Same = { ours: [20], express: [undefined] };
    assert.equal(verdictOf({ p99Same }, 'express'), 'not measured: Express 5 cannot sustain the rate');
  });

  test('does not require the other cells', () => {
    assert.deepEqual(
      judge({ files: { ours: [12] } }).map(({ cell, verdict }) => [cell, verdict]),
      [['files', 'met']],
    );
    assert.match(goalsTable(judge({ files: { ours: [12] } })), /JavaScript files loaded at boot +12 +≤ 15 +met/);
    assert.match(mediansTable({ files: { ours: [12], http: [70] } }), /JavaScript files loaded at boot +12 +70/);
  });
});

describe('a plan', () => {
  const problemsOf = (...nodes) => problemsIn(new Map([['/v1/vouchers', [{ text: 'SELECT', nodes }]]]));
  const table = { 'Relation Name': 'vouchers' };

  test('reads rows from an index', () => {
    assert.deepEqual(problemsOf({ ...table, 'Node Type': 'Index Scan', 'Actual Rows': 21, 'Actual Loops': 1 }), []);
  });

  for (const [title, node] of Object.entries({
    'a scan of the table': { 'Node Type': 'Seq Scan', 'Actual Rows': 1 },
    'many rows': { 'Node Type': 'Index Scan', 'Actual Rows': 20_000 },
    'many loops': { 'Node Type': 'Index Scan', 'Actual Rows': 1, 'Actual Loops': 20_000 },
    'many rows that a filter removes': { 'Node Type': 'Index Scan', 'Rows Removed by Filter': 20_000 },
    'many rows to sort': { 'Node Type': 'Sort', 'Actual Rows': 20_000 },
  })) {
    test(`fails for ${title}`, () => assert.equal(problemsOf({ ...table, ...node }).length, 1));
  }

  test('is required for each list', () => {
    assert.deepEqual(problemsOf({ 'Relation Name': 'api_keys' }), ['/v1/vouchers: no plan was logged']);
  });
});

describe('the layer', () => {
  test('contains the files that the last stage copies', () => {
    const dockerfile =
      'FROM a AS build\nCOPY src ./src\nFROM b\nCOPY --from=build --chown=1 \\\n /app/dist /app/docs ./\n';
    assert.deepEqual(copiedInLastStage(dockerfile), ['dist', 'docs']);
  });

  test('is read from docker/Dockerfile', () => {
    assert.deepEqual(copiedInLastStage(readFileSync('docker/Dockerfile', 'utf8')), ['dist']);
  });
});

test('an open loop sends without waiting for responses', { timeout: 10_000 }, async (t) => {
  const waiting = [];
  // The server responds only after it has received every request.
  const server = createServer((_request, response) => {
    waiting.push(response);
    if (waiting.length === 40) waiting.forEach((each) => each.end());
  }).listen(0, '127.0.0.1');
  t.after(() => server.close().closeAllConnections());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  const { p99 } = await openLoop({ url }, [{ path: '/' }], 20, 1);
  assert.ok(p99 > 900, `expected more than 900 ms, got ${p99} ms`);
});

test('the proxy counts round trips, except for authentication', async (t) => {
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
  await ask(0); // a message in the middle of a response
  await ask(1);
  await ask(1);
  await ask(1);
  assert.deepEqual(proxy.count, { connections: 1, roundTrips: 2 });
});

test('chart.svg is the drawing of results.json', () => {
  assert.equal(read('chart.svg'), drawChart(JSON.parse(read('results.json'))), 'run: npm run bench');
});
