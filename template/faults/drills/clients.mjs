import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { atMost, exactly, inLongForm } from '../limits.mjs';
import { create, read } from '../workload.mjs';

const BODY_LIMIT = 100 * 1024;
/** Minimum p99 for a ratio. The noise of the machine dominates smaller values. */
const NOISE_MS = 25;

const json = (body) => ({ ...create('BAD'), body });
const keys = (count) =>
  JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, number) => [`k${number}`, 0])));

/** Requests of a hostile client, and the allowed status codes. */
const HOSTILE = {
  'a header of 1 MB': [{ path: '/v1/vouchers', headers: { 'x-large': 'x'.repeat(1024 * 1024) } }, [431]],
  'ten times the body limit': [json(JSON.stringify({ code: 'x'.repeat(10 * BODY_LIMIT) })), [413]],
  'JSON with 100,000 keys': [json(keys(100_000)), [413]],
  'JSON with the maximum number of keys': [json(keys(9_000)), [400]],
  'JSON 10,000 levels deep': [json('['.repeat(10_000) + ']'.repeat(10_000)), [400]],
  'metadata 10,000 levels deep': [
    json(`{"code":"DEEP","maxRedemptions":1,"metadata":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`),
    [400],
  ],
  'half a JSON document': [json('{"code":'), [400]],
};

const bad = (number) => {
  const [name, [request, statuses]] = Object.entries(HOSTILE)[number % Object.keys(HOSTILE).length];
  return { ...request, agent: false, name, statuses };
};

/** A server that rejects an unread body can close the connection before the client receives the response. */
const isWrong = ({ status, error, statuses }) =>
  !statuses.includes(status) && !(['EPIPE', 'ECONNRESET'].includes(error) && Math.max(...statuses) > 400);

export const clients = [
  {
    name: 'R10',
    title: '1,000 readiness probes per second',
    limits: {
      'failed probes': exactly(0),
      'database queries per second': atMost(1),
      'p99 of a probe (ms)': inLongForm(atMost(20)),
    },
    async run(fixture) {
      const service = await fixture.serve();
      const client = fixture.load({ service, rate: 1_000, request: () => ({ path: '/health/ready' }) });
      await sleep(1_000);
      const before = fixture.proxy.sent;
      const from = performance.now();
      const seconds = fixture.seconds(30, 5) / 1000;
      await sleep(seconds * 1000);
      const queries = fixture.proxy.sent - before;
      const journal = (await client.stop()).between(from);
      return {
        'failed probes': journal.failed.count,
        'database queries per second': queries / Math.ceil(seconds + 1),
        'p99 of a probe (ms)': journal.typicalPercentile(99),
        outcomes: journal.summary,
      };
    },
  },
  {
    name: 'R13',
    title: '500 slow or rejected connections and 50 invalid requests/s, in addition to 100 valid requests/s',
    limits: {
      'process exits': exactly(0),
      'wrong responses to invalid requests': exactly(0),
      'failed valid requests': exactly(0),
      'p99 of valid requests, relative to before': inLongForm(atMost(2)),
      'longest event loop delay (ms)': inLongForm(atMost(200)),
      'slow connections open after one minute': inLongForm(exactly(0)),
    },
    async run(fixture) {
      const service = await fixture.serve();
      const good = fixture.load({ service, rate: 100, request: read });
      await sleep(4_000); // warms up V8
      const calmAt = performance.now();
      await sleep(fixture.seconds(10, 5));
      await service.tell('loop');
      const hostileAt = performance.now();
      const slow = [
        ...(await openSlowly(service, 400, 'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ')),
        ...(await openSlowly(service, 50, slowPost(fixture))),
        ...(await openSlowly(service, 50, 'NO REQUEST\r\n\r\n')),
      ];
      let turn = 0;
      const drip = setInterval(() => {
        for (const socket of slow.slice(turn * 10, turn * 10 + 10)) if (socket.writable) socket.write('x');
        turn = (turn + 1) % 50;
      }, 20);
      fixture.defer(() => {
        clearInterval(drip);
        slow.forEach((socket) => socket.destroy());
      });
      const flood = fixture.load({ service, rate: 50, request: bad });
      await sleep(fixture.seconds(60, 7));
      const wrong = (await flood.stop()).filter(isWrong);
      const longestTurn = await service.tell('loop');
      const open = slow.filter(({ destroyed }) => !destroyed).length;
      const journal = await good.stop();
      const calm = journal.between(calmAt, hostileAt).typicalPercentile(99);
      const under = journal.between(hostileAt).typicalPercentile(99);
      return {
        'process exits': service.exit ? 1 : 0,
        'wrong responses to invalid requests': wrong.count,
        'failed valid requests': journal.failed.count,
        'p99 of valid requests, relative to before': under / Math.max(calm, NOISE_MS),
        'longest event loop delay (ms)': longestTurn,
        'slow connections open after one minute': open,
        outcomes: `p99 ${calm.toFixed(1)} ms before, ${under.toFixed(1)} ms meanwhile`,
        'wrong, first': wrong.entries.map(({ name, status, error }) => `${name}: ${status ?? error}`)[0] ?? 'none',
      };
    },
  },
];

function slowPost({ target }) {
  const headers = Object.entries(target.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST /v1/vouchers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n${headers.join('')}\r\n{`;
}

/** Opens the connections one after another, because concurrent connects would also block the client. */
async function openSlowly({ url }, count, beginning) {
  const { port, hostname } = new URL(url);
  const sockets = [];
  while (sockets.length < count) {
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
      .on('error', () => undefined)
      .resume();
    await once(socket, 'connect');
    socket.write(beginning);
    sockets.push(socket);
  }
  return sockets;
}
