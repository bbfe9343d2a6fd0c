import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { atLeast, atMost, exactly } from '../limits.mjs';
import { create, read } from '../workload.mjs';

const UPLOADS = 150;
const BOMB = Buffer.alloc(10 * 1024 ** 2, ' ');
const BOMBS = {
  br: brotliCompressSync(BOMB, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  gzip: gzipSync(BOMB),
  zstd: zstdCompressSync(BOMB),
};

const post = (headers, body = '') =>
  `POST /v1/vouchers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n${body}`;

/** Attacks that each open a connection: the bytes, and the allowed statuses. Without statuses, the client aborts. */
const ATTACKS = {
  'an aborted upload': (key) => [post(`${key}Content-Length: 5000\r\n`, '{"code":')],
  'an aborted read': (key) => [`GET /v1/vouchers?limit=100 HTTP/1.1\r\nHost: x\r\n${key}\r\n`],
  'an empty connection': () => [''],
  'pipelined garbage': (key) => [`GET /v1/me HTTP/1.1\r\nHost: x\r\n${key}\r\nBAD\0 bytes\r\n\r\n`, 200],
  'a malformed chunk': (key) => [post(`${key}Transfer-Encoding: chunked\r\n`, 'x\r\n'), 400],
  'malformed JSON': (key) => [post(`${key}Connection: close\r\nContent-Length: 5\r\n`, '{"a":'), 400],
  'an oversized body': (key) => [post(`${key}Expect: 100-continue\r\nContent-Length: 99000000\r\n`), 413],
  'an unknown credential': () => [post('x-api-key: sk_0\r\nConnection: close\r\nContent-Length: 2\r\n', '{}'), 401],
  'oversized headers': () => [`GET / HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  'a long path': () => [`GET /${'x'.repeat(14_000)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, 404],
  ...Object.fromEntries(
    Object.entries(BOMBS).map(([encoding, { length }]) => [
      `a compression bomb (${encoding})`,
      (key) => [post(`${key}Connection: close\r\nContent-Encoding: ${encoding}\r\nContent-Length: ${length}\r\n`), 415],
    ]),
  ),
};
const NAMES = Object.keys(ATTACKS);

/** A valid request from an address that no attack uses. */
const valid = (number) => {
  const request = number % 5 === 0 ? create(`LOAD-${number}`) : read(number);
  return { ...request, headers: { ...request.headers, 'x-forwarded-for': '198.51.100.1' } };
};

/** A request from another address each time, in a header of 14 kB. */
const forged = (number) => ({
  path: '/nope',
  headers: {
    'x-forwarded-for': `${'x'.repeat(14_000)}, 203.${100 + (number >> 14)}.${100 + ((number >> 7) & 127)}.${100 + (number & 127)}`,
  },
});

export const hostile = [
  {
    name: 'HOSTILE',
    title: 'The attacks of a hostile client at the same time, in addition to 20 valid requests/s',
    notForBaseline: 'The stock application has no such limits.',
    limits: {
      'process exits': exactly(0),
      'failures other than 503 with Retry-After': exactly(0),
      'successful valid requests (%)': atLeast(95),
      attacks: atLeast(200),
      'wrong responses to attacks': exactly(0),
      'slow uploads ended with 408': exactly(UPLOADS),
      'longest log line (bytes)': atMost(8_000),
      'heap growth after garbage collection (MB)': atMost(5),
      'lost acknowledged writes': exactly(0),
      'duplicate writes': exactly(0),
    },
    async run(fixture) {
      const service = await fixture.serve({
        env: { RATE_LIMIT_PER_MINUTE: '10000' },
        nodeOptions: ['--expose-gc', '--max-old-space-size=256'],
      });
      const good = fixture.load({ service, rate: 20, request: valid });
      await sleep(2_000); // warms up V8
      const memoryBefore = await service.tell('memory');
      const key = Object.entries(fixture.target.headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('');
      const uploads = Array.from({ length: UPLOADS }, () => upload(service, key));
      const flood = fixture.load({ service, rate: 100, request: forged, connections: 20 });
      const slow = Array.from({ length: 200 }, () => open(service, 'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: '));
      fixture.defer(() => slow.forEach((socket) => socket.destroy()));

      const outcomes = [];
      const endsAt = performance.now() + fixture.seconds(30, 8);
      while (performance.now() < endsAt) {
        for (const socket of slow) if (socket.writable) socket.write('x');
        const attacks = Array.from({ length: 10 }, (_, index) => NAMES[(outcomes.length + index) % NAMES.length]);
        outcomes.push(...(await Promise.all(attacks.map((name) => attack(service, name, key)))));
        await sleep(50);
      }
      const ended = (await Promise.all(uploads)).filter((status) => status === 408).length;
      const wrong = outcomes.filter(({ isRight }) => !isRight);
      const forgeries = await flood.stop();
      const memoryAfter = await service.tell('memory');
      const checked = await fixture.check(service, good);
      const { journal } = good;
      return {
        'process exits': service.exit ? 1 : 0,
        'failures other than 503 with Retry-After': journal.botched.count,
        'successful valid requests (%)': (100 * journal.served.count) / journal.count,
        attacks: outcomes.length,
        'wrong responses to attacks': wrong.length + forgeries.filter(({ status }) => status !== 404).count,
        'slow uploads ended with 408': ended,
        'longest log line (bytes)': service.longestLine,
        'heap growth after garbage collection (MB)': (memoryAfter - memoryBefore) / 1024 ** 2,
        ...checked,
        outcomes: journal.summary,
        'requests with a forged address': forgeries.summary,
        'p99 of valid requests (ms)': journal.percentile(99),
        'wrong, first': wrong.map(({ name, status }) => `${name}: ${status}`)[0] ?? 'none',
      };
    },
  },
];

/** Starts an upload that sends a byte per second. @returns the status of its response */
async function upload(service, key) {
  const socket = open(service, post(`${key}Content-Length: 5000\r\n`, '{'));
  const drip = setInterval(() => socket.writable && socket.write(' '), 1_000);
  const status = await statusOf(socket);
  clearInterval(drip);
  return status;
}

async function attack(service, name, key) {
  const [bytes, expected] = ATTACKS[name](key);
  const socket = open(service, bytes);
  if (expected) {
    const status = await statusOf(socket);
    return { name, status, isRight: status === expected || status === 503 };
  }
  await once(socket, 'connect');
  await sleep(1); // the service has begun to read
  socket.destroy();
  return { name, isRight: true };
}

function open({ url }, bytes) {
  const { port, hostname } = new URL(url);
  const socket = connect(Number(port), hostname).on('error', () => undefined);
  socket.write(bytes);
  return socket;
}

/** Reads until the connection closes. @returns the status of its response, or of all of them */
async function statusOf(socket) {
  let text = '';
  socket.on('data', (data) => (text += data));
  await new Promise((resolve) => socket.once('close', resolve)); // also after an error
  const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
  return statuses.length === 1 ? statuses[0] : `${statuses.length} responses ${statuses.join(' ')}`;
}
