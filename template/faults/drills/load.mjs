import { setTimeout as sleep } from 'node:timers/promises';
import { Journal } from '../client.mjs';
import { atLeast, atMost, exactly } from '../limits.mjs';

const SOAK = { minutes: 60, everyMinutes: 5 };

/** A page of 100 vouchers: work for the service's processor more than for the client's. */
const page = () => ({ kind: 'read', path: '/v1/vouchers?limit=100' });

export const load = [
  {
    name: 'OVERLOAD',
    title: 'Three times as many requests as the service can serve',
    limits: {
      'ends of the process': exactly(0),
      // Refusals take a twentieth of the processor; the rest is for a busy machine.
      'calls answered, of what it can at most (%)': atLeast(70),
      'failures that are no 503 problem with Retry-After': exactly(0),
      'calls turned away': atLeast(1),
      // Turns of the event loop, in each of which the pool's ten connections bring up to a thousand vouchers; the
      // rest is for a busy machine.
      'p99 of a call turned away (ms)': atMost(300),
      'p99 of a call answered (ms)': atMost(2_000),
      'liveness probes that failed': exactly(0),
      'readiness probes that failed': exactly(0),
      'p99 of a probe (ms)': atMost(2_000), // deploy/service.yaml waits so long for readiness
      'failures a second after it is over': exactly(0),
    },
    async run(fixture) {
      // Past the proxy, which would share a processor with the client.
      const service = await fixture.serve({ databaseUrl: fixture.database.url() });
      await most(fixture, service, 3_000); // while V8 compiles
      const most1 = await most(fixture, service, fixture.seconds(10, 4));
      const probes = fixture.probe(service);
      // As a front end does, which keeps its connections. Node accepts one at each turn of its loop: where each request
      // comes on a new one, most of the time that is measured is spent before the service has heard of it.
      const client = fixture.load({ service, rate: 3 * most1, request: page, connections: 256 });
      await sleep(6_000); // until it has them
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
        'ends of the process': service.exit ? 1 : 0,
        'calls answered, of what it can at most (%)': (100 * window.served.count) / ((to - from) / 1000) / most1,
        'failures that are no 503 problem with Retry-After': journal.botched.count,
        'calls turned away': window.turnedAway.count,
        'p99 of a call turned away (ms)': window.turnedAway.count > 0 ? window.turnedAway.percentile(99) : undefined,
        'p99 of a call answered (ms)': window.served.percentile(99),
        'liveness probes that failed': probes.live?.failed.count,
        'readiness probes that failed': probes.ready.failed.count,
        'p99 of a probe (ms)': slowestProbe(from, to),
        'failures a second after it is over': after.failed.count,
        'requests/s at most': most1,
        'requests/s sent': journal.count / ((to - from) / 1000 + 6),
        'time to end after the load (ms)': endedAt - to,
        'p99 of a probe while connections are opened (ms)': slowestProbe(0, from),
        outcomes: journal.summary,
      };
    },
  },
  {
    name: 'R15',
    title: 'Mixed requests at 100/s for long, with every session terminated now and then',
    limits: {
      'ends of the process': exactly(0),
      'failures that are no 503 problem with Retry-After': exactly(0),
      'growth of the heap, after a collection (MB)': atMost(3),
      'growth of open files and sockets': atMost(5),
      'sessions on the server, at most': atMost(11), // DATABASE_POOL_MAX, and the probes' own
      'acknowledged writes that are lost': exactly(0),
      'writes done twice': exactly(0),
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
      const [, first] = measured; // the service is warm by then
      const last = measured.at(-1);
      return {
        'ends of the process': service.exit ? 1 : 0,
        'failures that are no 503 problem with Retry-After': journal.botched.count,
        'growth of the heap, after a collection (MB)': (last.memory - first.memory) / 1024 ** 2,
        'growth of open files and sockets': last.files - first.files,
        'sessions on the server, at most': Math.max(...measured.map(({ sessions }) => sessions)),
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
    // Without those that belong to its clients, and to the sessions counted beside.
    files: service.openFiles - client.connections - sessions,
    sessions,
  };
}

/** @returns how many requests a second it answers to 32 clients that each wait for their answer */
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
