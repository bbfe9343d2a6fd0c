import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { atMost, exactly, inLongForm } from '../limits.mjs';
import { create, read } from '../workload.mjs';

const BODY_LIMIT = 100 * 1024;
/** Below this a ratio of two p99 says more about the machine than about the service. */
const NOISE_MS = 25;

const json = (body) => ({ ...create('BAD'), body });
const keys = (count) =>
  JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, number) => [`k${number}`, 0])));

/** What a hostile client sends, and the answers that it may get. */
const HOSTILE = {
  'a header of 1 MB': [{ path: '/v1/vouchers', headers: { 'x-large': 'x'.repeat(1024 * 1024) } }, [431]],
  'ten times the body limit': [json(JSON.stringify({ code: 'x'.repeat(10 * BODY_LIMIT) })), [413]],
  'JSON with 100,000 keys': [json(keys(100_000)), [413]],
  'JSON with as many keys as the limit lets in': [json(keys(9_000)), [400]],
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

/** A server that refuses what it has not read to its end may cut the connection before the client has the answer. */
const isWrong = ({ status, error, statuses }) =>
  !statuses.includes(status) && !(['EPIPE', 'ECONNRESET'].includes(error) && Math.max(...statuses) > 400);

export const clients = [
  {
    name: 'R10',
    title: '1,000 readiness probes a second',
    limits: {
      'failed probes': exactly(0),
      'queries on the database for each second': atMost(1),
      'p99 of a probe (ms)': atMost(20),
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
        'queries on the database for each second': queries / Math.ceil(seconds + 1),
        'p99 of a probe (ms)': journal.typicalPercentile(99),
        outcomes: journal.summary,
      };
    },
  },
  {
    name: 'R13',
    title:
      '500 connections that send a byte now and then or stay after a refusal, and 50 bad requests a second, beside 100 good ones',
    limits: {
      'ends of the process': exactly(0),
      'wrong answers to bad requests': exactly(0),
      'failed good calls': exactly(0),
      'p99 of a good call, times what it was before': atMost(2),
      'longest turn of the event loop (ms)': atMost(200),
      'slow connections that are still open after a minute': inLongForm(exactly(0)),
    },
    async run(fixture) {
      const service = await fixture.serve();
      const good = fixture.load({ service, rate: 100, request: read });
      await sleep(4_000); // while V8 compiles, nothing is measured
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
        'ends of the process': service.exit ? 1 : 0,
        'wrong answers to bad requests': wrong.count,
        'failed good calls': journal.failed.count,
        'p99 of a good call, times what it was before': under / Math.max(calm, NOISE_MS),
        'longest turn of the event loop (ms)': longestTurn,
        'slow connections that are still open after a minute': open,
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

/** One after the other: opened all at once they would stop the client, too. */
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
