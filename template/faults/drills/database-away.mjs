import { setTimeout as sleep } from 'node:timers/promises';
import { Journal } from '../client.mjs';
import { atMost, exactly } from '../limits.mjs';
import { timeUntil } from '../until.mjs';
import { read } from '../workload.mjs';

const POOL_MAX = 10; // DATABASE_POOL_MAX's default
const PROBE_CONNECTIONS = 1;

const written = { 'acknowledged writes that are lost': exactly(0), 'writes done twice': exactly(0) };

/** A drill in which the database is away for a while. `take` takes it away and returns how it comes back. */
function away({ name, title, recoversWithinMs, take }) {
  return {
    name,
    title,
    limits: {
      'ends of the process': exactly(0),
      'liveness probes that failed': exactly(0),
      // A verdict may be a second old, and the next takes a second to give up; the rest is a busy machine's.
      'not ready after (ms)': atMost(2_200),
      'failures that are no 503 problem with Retry-After': exactly(0),
      'p99 of a failing call that held no connection (ms)': atMost(1_000),
      'slowest call (ms)': atMost(10_000),
      'ready again after (ms)': atMost(2_000),
      'last failure, after it was back (ms)': atMost(recoversWithinMs),
      'calls of 20 at once that fail then': exactly(0),
      'sessions on the server afterwards': atMost(POOL_MAX + PROBE_CONNECTIONS),
      ...written,
    },
    async run(fixture) {
      const service = await fixture.serve();
      const probes = fixture.probe(service);
      const client = fixture.load({ service, rate: 100 });
      await sleep(fixture.seconds(3, 1));

      const goneAt = performance.now();
      const bringBack = await take(fixture);
      await sleep(fixture.seconds(30, 4));
      await bringBack();
      const backAt = performance.now();
      const readyAfter = await timeUntil(() => probes.ready.between(backAt).served.count > 0);
      await sleep(Math.max(0, fixture.seconds(recoversWithinMs / 1000 + 5, recoversWithinMs / 1000 + 1) - readyAfter));

      // The traffic may never come to the connections at the pool's bottom.
      const burst = await Promise.all(Array.from({ length: 20 }, (_, number) => fixture.send(service, read(number))));
      const journal = await client.stop();
      const failed = journal.between(goneAt).failed;
      const failedLate = journal.between(backAt).failed.entries.map(({ at }) => at - backAt);
      return {
        'ends of the process': service.exit ? 1 : 0,
        'liveness probes that failed': probes.live?.failed.count,
        'not ready after (ms)': firstAt(probes.ready.between(goneAt).failed) - goneAt,
        'failures that are no 503 problem with Retry-After': failed.botched.count,
        'p99 of a failing call that held no connection (ms)': withoutConnection(failed).percentile(99),
        'slowest call (ms)': journal.percentile(100),
        'ready again after (ms)': readyAfter,
        'last failure, after it was back (ms)': Math.max(0, ...failedLate),
        'calls of 20 at once that fail then': new Journal(burst).failed.count,
        'sessions on the server afterwards': (await fixture.database.sessions()).length,
        ...(await fixture.check(service, client)),
        outcomes: journal.summary,
      };
    },
  };
}

const firstAt = (journal) => Math.min(Infinity, ...journal.entries.map(({ at, ms }) => at + ms));

export const databaseAway = [
  away({
    name: 'R3',
    title: 'PostgreSQL crashes and comes back, at 100 requests/s',
    recoversWithinMs: 2_000,
    async take({ postgres, proxy }) {
      proxy.down();
      await postgres.crash();
      return async () => {
        await postgres.start();
        proxy.target = postgres.port;
        await proxy.up();
      };
    },
  }),
  away({
    name: 'R4',
    title: 'The network swallows everything between service and PostgreSQL, at 100 requests/s',
    recoversWithinMs: 5_000,
    async take({ proxy }) {
      proxy.blackHole();
      return () => proxy.up();
    },
  }),
  away({
    name: 'X1',
    title: 'PostgreSQL stands still with its connections open (SIGSTOP), at 100 requests/s',
    recoversWithinMs: 5_000,
    async take(fixture) {
      const thaw = await fixture.postgres.freeze();
      fixture.defer(thaw);
      return thaw;
    },
  }),
  {
    name: 'R5',
    title: 'Every session of the service is terminated once a second, at 100 requests/s',
    limits: {
      'ends of the process': exactly(0),
      'failures that are no 503 problem with Retry-After': exactly(0),
      'failed reads (%)': atMost(0.1),
      'failed calls (%)': atMost(5),
      ...written,
    },
    async run(fixture) {
      const service = await fixture.serve();
      const client = fixture.load({ service, rate: 100 });
      for (let second = 0; second < fixture.seconds(60, 5) / 1000; second++) {
        await sleep(1_000);
        await fixture.database.terminateSessions();
      }
      const journal = await client.stop();
      return {
        'ends of the process': service.exit ? 1 : 0,
        'failures that are no 503 problem with Retry-After': journal.botched.count,
        'failed reads (%)': (100 * journal.of('read').failed.count) / journal.of('read').count,
        'failed calls (%)': (100 * journal.failed.count) / journal.count,
        ...(await fixture.check(service, client)),
        outcomes: journal.summary,
      };
    },
  },
  {
    name: 'R6',
    title: 'PostgreSQL comes up after the service',
    limits: {
      'ends of the process': exactly(0),
      'listens after (ms)': atMost(1_000),
      'failures that are no 503 problem with Retry-After': exactly(0),
      'ready after the database (ms)': atMost(2_000),
    },
    async run(fixture) {
      await fixture.migrate();
      fixture.proxy.down();
      const service = await fixture.listen({ listensWithinMs: 5_000 });
      const probes = fixture.probe(service);
      const client = fixture.load({ service, rate: 10 });
      await sleep(fixture.seconds(45, 4));
      await fixture.proxy.up();
      const backAt = performance.now();
      const readyAfter = await timeUntil(() => service.exit || probes.ready.between(backAt).served.count > 0);
      const journal = await client.stop();
      return {
        'ends of the process': service.exit ? 1 : 0,
        'listens after (ms)': service.listensMs,
        'failures that are no 503 problem with Retry-After': journal.between(0, backAt).botched.count,
        'ready after the database (ms)': service.exit ? Infinity : readyAfter,
        outcomes: journal.summary,
      };
    },
  },
];

/**
 * Without those that held a connection when the fault began, and wait for its query_timeout: at most as many as the pool
 * has. Nothing tells them sooner that nobody is there.
 */
function withoutConnection(failed) {
  return new Journal(failed.entries.toSorted((one, other) => other.ms - one.ms).slice(POOL_MAX));
}
