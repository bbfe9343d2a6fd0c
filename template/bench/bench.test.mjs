// Tests the statistics, verdicts and chart of the benchmark. Only `npm run bench` measures.
import assert from 'node:assert/strict';
import { pbkdf2 } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer, connect } from 'node:net';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import prettier from 'prettier';
import { drawChart } from './chart.mjs';
import { copiedInLastStage } from './layer.mjs';
import { cpuMeter, openLoop } from './load.mjs';
import { cpuSeconds, hasCpuTimes } from './machine.mjs';
import { problemsIn } from './plans.mjs';
import { startProxy } from './postgres-proxy.mjs';
import { goalsTable, judge, servicesTable, variantsTable, withGoals } from './report.mjs';
import { SERVICES } from './services.mjs';
import { median, middleHalf, minimum, quantile } from './statistics.mjs';

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

  test('the minimum is that of all rounds', () => {
    assert.equal(
      minimum([
        [3, 2],
        [4, 1],
      ]),
      1,
    );
  });

  test('the middle half is that between the quartiles', () => {
    assert.deepEqual(middleHalf([90, 95, 100, 105, 1000]), [95, 105]);
  });
});

describe('a verdict', () => {
  const verdictOf = (cells, against, of = 'ours') =>
    judge(cells).find((row) => row.against === against && row.of === of).verdict;

  test('is met or missed', () => {
    const get = { ours: [[180], [170]], express: [[100], [100]], stock: [[160], [160]] };
    assert.equal(verdictOf({ get }, 'express'), 'met');
    assert.equal(verdictOf({ get }, 'stock'), 'missed');
  });

  test('reports the stretch goal', () => {
    const get = { ours: [[150]], express: [[100]] };
    assert.equal(verdictOf({ get }, 'express'), 'met, stretch goal too');
  });

  test('compares the minimums of each round', () => {
    const get = {
      ours: [
        [900, 340],
        [170, 180],
      ],
      express: [
        [200, 500],
        [100, 300],
      ],
    };
    const [{ value, verdict }] = judge({ get });
    assert.deepEqual([value, verdict], [1.7, 'met']);
  });

  test('limits the difference to another variant', () => {
    const variants = { ours: [[200]], sampled: [[255]], unsampled: [[211]], mcp: [[900]] };
    assert.equal(verdictOf({ variants }, 'ours', 'sampled'), 'met');
    assert.equal(verdictOf({ variants }, 'ours', 'unsampled'), 'missed');
    assert.match(
      goalsTable(judge({ variants })),
      /GET by id, MCP tool call +this service +\+700 µs CPU +\+700 to \+700 +≤ \+800 +met/,
    );
    assert.match(variantsTable({ variants }), /tracing, sampled +255 +255 +\+55/);
  });

  test('compares the first requests of a process with later requests', () => {
    assert.equal(verdictOf({ first: { ours: [[500]] }, get: { ours: [[200, 240]] } }, 'ours'), 'missed');
  });

  test('requires the same result of the middle half of the rounds', () => {
    const verdictOfRounds = (...limited) =>
      verdictOf({ memoryLoaded: { limited, express: limited.map(() => 100) } }, 'express', 'limited');
    assert.equal(verdictOfRounds(60, 90, 120, 125, 400), 'met');
    assert.equal(verdictOfRounds(60, 140, 150, 190, 300), 'missed');
    assert.equal(verdictOfRounds(100, 120, 125, 135, 140), 'not decided: the rounds differ');
    assert.equal(verdictOfRounds(100, 120, 135, 140, 150), 'not decided: the rounds differ');
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
    assert.match(servicesTable({ files: { ours: [12], http: [70] } }), /JavaScript files loaded at boot +12 +70/);
  });
});

test('a CPU time is printed as minimum and median', () => {
  const text = servicesTable({
    get: {
      ours: [
        [240, 260],
        [250, 300],
      ],
    },
  });
  assert.match(text, /GET by id, minimum, µs CPU +240 /);
  assert.match(text, /GET by id, median, µs CPU +255 /);
});

test('the CPU time of a process includes its threads', { skip: !hasCpuTimes }, async () => {
  const [before, start] = [cpuSeconds(process.pid), process.cpuUsage()];
  await promisify(pbkdf2)('password', 'salt', 500_000, 32, 'sha256'); // in another thread
  const { user, system } = process.cpuUsage(start);
  const expected = (user + system) / 1e6;
  const actual = cpuSeconds(process.pid) - before;
  assert.ok(Math.abs(actual - expected) < 0.3 * expected, `${actual} s, and process.cpuUsage() has ${expected} s`);
});

test('a CPU meter sends all requests in turn, on the same connections', { skip: !hasCpuTimes }, async (t) => {
  const received = { connections: 0, paths: [] };
  const server = createServer((request, response) => {
    received.paths.push(request.url);
    response.end();
  });
  server.on('connection', () => received.connections++).listen(0, '127.0.0.1');
  t.after(() => server.close().closeAllConnections());
  await once(server, 'listening');
  const measure = cpuMeter({ url: `http://127.0.0.1:${server.address().port}`, pid: process.pid }, 2);
  const requests = Array.from({ length: 40 }, (_, number) => ({ path: `/${number}` }));
  for (const amount of [10, 30]) assert.ok((await measure(requests, amount)) > 0);
  assert.equal(received.connections, 2);
  assert.deepEqual(new Set(received.paths), new Set(requests.map(({ path }) => path)));
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

test('the chart shows the minimum of CPU times', () => {
  const get = Object.fromEntries(
    Object.keys(SERVICES).map((name) => [
      name,
      [
        [200, 300],
        [120, 400],
      ],
    ]),
  );
  assert.match(drawChart({ machine: {}, cells: { get } }), />120</);
});

test('README.md has the goals of results.json', async () => {
  const filepath = fileURLToPath(new URL('README.md', import.meta.url));
  const text = withGoals(read('README.md'), JSON.parse(read('results.json')).verdicts);
  const expected = await prettier.format(text, { ...(await prettier.resolveConfig(filepath)), filepath });
  assert.equal(read('README.md'), expected, 'run: npm run bench');
  assert.match(expected, /<!-- goals -->\n\n\| this service /);
});

test('chart.svg is the drawing of results.json', () => {
  assert.equal(read('chart.svg'), drawChart(JSON.parse(read('results.json'))), 'run: npm run bench');
});
