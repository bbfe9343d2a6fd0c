import { setTimeout as sleep } from 'node:timers/promises';
import { Journal } from '../client.mjs';
import { atLeast, atMost, exactly, inLongForm } from '../limits.mjs';

const SOAK = { minutes: 60, everyMinutes: 5 };

/** A page of 100 vouchers. It takes more CPU time of the service than of the client. */
const page = () => ({ kind: 'read', path: '/v1/vouchers?limit=100' });

export const load = [
  {
    name: 'OVERLOAD',
    title: 'Three times the request rate that the service can serve',
    limits: {
      'process exits': exactly(0),
      // Rejections take a twentieth of the CPU. The rest is a margin for a busy machine.
      'successful requests, relative to capacity (%)': inLongForm(atLeast(70)),
      'failures other than 503 with Retry-After': exactly(0),
      'rejected requests': atLeast(1),
      // Times depend on the machine, so only the long form, on an idle one, has limits for them. In each turn of the event
      // loop, the ten connections of the pool return up to 1,000 vouchers.
      'p99 of rejected requests (ms)': inLongForm(atMost(300)),
      'p99 of successful requests (ms)': inLongForm(atMost(2_000)),
      'failed liveness probes': inLongForm(exactly(0)),
      'failed readiness probes': inLongForm(exactly(0)),
      'p99 of a probe (ms)': inLongForm(atMost(2_000)), // readiness timeout in deploy/service.yaml
      'failures one second after the load': exactly(0),
    },
    async run(fixture) {
      // Bypasses the proxy, which would share a core with the client.
      const service = await fixture.serve({ databaseUrl: fixture.database.url() });
      await most(fixture, service, 3_000); // warms up V8
      const most1 = await most(fixture, service, fixture.seconds(10, 4));
      const probes = fixture.probe(service);
      // Keeps connections open, like a load balancer. Node accepts one connection per turn of its event loop, so with a new
      // connection per request, most of the measured time would be spent before the request is accepted.
      const client = fixture.load({ service, rate: 3 * most1, request: page, connections: 256 });
      await sleep(6_000); // until all connections are open
      const from = performance.now();
      await sleep(fixture.seconds(20, 5));
      const to = performance.now();
      const journal = await client.stop();
      const endedAt = performance.now();
      const window = journal.filter(({ at, ms }) => at + ms >= from && at + ms < to);
      await sleep(1_000);
      const after = new Journal(await Promise.all(Array.from({ length: 20 }, () => fixture.send(service, page()))));
      await probes.stop();
      const slowestProbe = (...times) =>
        Math.max(...[probes.live, probes.ready].map((each) => each?.between(...times).percentile(99) ?? 0));
      return {
        'process exits': service.exit ? 1 : 0,
        'successful requests, relative to capacity (%)': (100 * window.served.count) / ((to - from) / 1000) / most1,
        'failures other than 503 with Retry-After': journal.botched.count,
        'rejected requests': window.turnedAway.count,
        'p99 of rejected requests (ms)': window.turnedAway.count > 0 ? window.turnedAway.percentile(99) : undefined,
        'p99 of successful requests (ms)': window.served.percentile(99),
        'failed liveness probes': probes.live?.failed.count,
        'failed readiness probes': probes.ready.failed.count,
        'p99 of a probe (ms)': slowestProbe(from, to),
        'failures one second after the load': after.failed.count,
        'requests/s at most': most1,
        'requests/s sent': journal.count / ((to - from) / 1000 + 6),
        'time to exit after the load (ms)': endedAt - to,
        'p99 of a probe during connection setup (ms)': slowestProbe(0, from),
        outcomes: journal.summary,
      };
    },
  },
  {
    name: 'R15',
    title: 'Soak test with mixed requests at 100/s and periodic termination of all sessions',
    limits: {
      'process exits': exactly(0),
      'failures other than 503 with Retry-After': exactly(0),
      'heap growth after garbage collection (MB)': atMost(3),
      'growth of open files and sockets': atMost(5),
      'maximum number of database sessions': atMost(11), // DATABASE_POOL_MAX, and one for the probes
      'lost acknowledged writes': exactly(0),
      'duplicate writes': exactly(0),
    },
    async run(fixture) {
      const service = await fixture.serve({ nodeOptions: ['--expose-gc'] });
      const client = fixture.load({ service, rate: 100 });
      const minutes = fixture.isSoak ? SOAK.minutes : 0.4;
      const every = fixture.isSoak ? SOAK.everyMinutes : 0.1;
      const measured = [];
      for (let minute = 0; minute < minutes; minute += every) {
        await sleep(every * 60_000);
        measured.push(await measure(fixture, service, client));
        await fixture.database.terminateSessions();
      }
      const journal = await client.stop();
      const [, first] = measured; // measured after the warm-up
      const last = measured.at(-1);
      return {
        'process exits': service.exit ? 1 : 0,
        'failures other than 503 with Retry-After': journal.botched.count,
        'heap growth after garbage collection (MB)': (last.memory - first.memory) / 1024 ** 2,
        'growth of open files and sockets': last.files - first.files,
        'maximum number of database sessions': Math.max(...measured.map(({ sessions }) => sessions)),
        ...(await fixture.check(service, client)),
        outcomes: journal.summary,
        measured: measured
          .map(
            ({ memory, files, sessions }) =>
              `${(memory / 1024 ** 2).toFixed(1)} MB, ${files} files, ${sessions} sessions`,
          )
          .join('; '),
      };
    },
  },
];

async function measure(fixture, service, client) {
  const sessions = (await fixture.database.sessions()).length;
  return {
    memory: await service.tell('memory'),
    // Excludes the connections of clients and of the counted sessions.
    files: service.openFiles - client.connections - sessions,
    sessions,
  };
}

/** @returns the requests per second in a closed loop of 32 clients */
async function most(fixture, service, forMs) {
  const until = performance.now() + forMs;
  let count = 0;
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      while (performance.now() < until) {
        const { status } = await fixture.send(service, { ...page(), agent: fixture.agent });
        if (status === 200) count++;
      }
    }),
  );
  return (count * 1000) / forMs;
}
