import { setTimeout as sleep } from 'node:timers/promises';
import { Journal } from '../client.mjs';
import { atMost, exactly } from '../limits.mjs';
import { timeUntil } from '../until.mjs';
import { read } from '../workload.mjs';

const POOL_MAX = 10; // DATABASE_POOL_MAX's default
const PROBE_CONNECTIONS = 1;

const written = { 'lost acknowledged writes': exactly(0), 'duplicate writes': exactly(0) };

/** A drill with a temporary database outage. `take` starts the outage and returns a function that ends it. */
function away({ name, title, recoversWithinMs, take }) {
  return {
    name,
    title,
    limits: {
      'process exits': exactly(0),
      'failed liveness probes': exactly(0),
      // A cached result is up to one second old, and the next query times out after another second.
      'time to not ready (ms)': atMost(2_200),
      'failures other than 503 with Retry-After': exactly(0),
      'p99 of failed requests without a connection (ms)': atMost(1_000),
      'slowest request (ms)': atMost(10_000),
      'time to ready after recovery (ms)': atMost(2_000),
      'last failure after recovery (ms)': atMost(recoversWithinMs),
      'failures of 20 concurrent requests after recovery': exactly(0),
      'database sessions after recovery': atMost(POOL_MAX + PROBE_CONNECTIONS),
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

      // The traffic does not use every connection of the pool.
      const burst = await Promise.all(Array.from({ length: 20 }, (_, number) => fixture.send(service, read(number))));
      const journal = await client.stop();
      const failed = journal.between(goneAt).failed;
      const failedLate = journal.between(backAt).failed.entries.map(({ at }) => at - backAt);
      return {
        'process exits': service.exit ? 1 : 0,
        'failed liveness probes': probes.live?.failed.count,
        'time to not ready (ms)': firstAt(probes.ready.between(goneAt).failed) - goneAt,
        'failures other than 503 with Retry-After': failed.botched.count,
        'p99 of failed requests without a connection (ms)': withoutConnection(failed).percentile(99),
        'slowest request (ms)': journal.percentile(100),
        'time to ready after recovery (ms)': readyAfter,
        'last failure after recovery (ms)': Math.max(0, ...failedLate),
        'failures of 20 concurrent requests after recovery': new Journal(burst).failed.count,
        'database sessions after recovery': (await fixture.database.sessions()).length,
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
    title: 'PostgreSQL crashes and recovers, at 100 requests/s',
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
    title: 'A network partition separates the service from PostgreSQL, at 100 requests/s',
    recoversWithinMs: 5_000,
    async take({ proxy }) {
      proxy.blackHole();
      return () => proxy.up();
    },
  }),
  away({
    name: 'X1',
    title: 'PostgreSQL hangs with open connections (SIGSTOP), at 100 requests/s',
    recoversWithinMs: 5_000,
    async take(fixture) {
      const thaw = await fixture.postgres.freeze();
      fixture.defer(thaw);
      return thaw;
    },
  }),
  {
    name: 'R5',
    title: 'All sessions of the service are terminated once per second, at 100 requests/s',
    limits: {
      'process exits': exactly(0),
      'failures other than 503 with Retry-After': exactly(0),
      'failed reads (%)': atMost(0.1),
      'failed requests (%)': atMost(5),
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
        'process exits': service.exit ? 1 : 0,
        'failures other than 503 with Retry-After': journal.botched.count,
        'failed reads (%)': (100 * journal.of('read').failed.count) / journal.of('read').count,
        'failed requests (%)': (100 * journal.failed.count) / journal.count,
        ...(await fixture.check(service, client)),
        outcomes: journal.summary,
      };
    },
  },
  {
    name: 'R6',
    title: 'PostgreSQL starts after the service',
    limits: {
      'process exits': exactly(0),
      'time to listen (ms)': atMost(1_000),
      'failures other than 503 with Retry-After': exactly(0),
      'time to ready after the database (ms)': atMost(2_000),
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
        'process exits': service.exit ? 1 : 0,
        'time to listen (ms)': service.listensMs,
        'failures other than 503 with Retry-After': journal.between(0, backAt).botched.count,
        'time to ready after the database (ms)': service.exit ? Infinity : readyAfter,
        outcomes: journal.summary,
      };
    },
  },
];

/**
 * Excludes the requests that held a connection at the start of the outage, at most the size of the pool. They fail after
 * their query_timeout, because a broken connection is not detected earlier.
 */
function withoutConnection(failed) {
  return new Journal(failed.entries.toSorted((one, other) => other.ms - one.ms).slice(POOL_MAX));
}
