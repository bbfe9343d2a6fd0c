import { setTimeout as sleep } from 'node:timers/promises';
import { Journal } from '../client.mjs';
import { atLeast, atMost, exactly, inLongForm } from '../limits.mjs';
import { timeUntil, until } from '../until.mjs';
import { create, patch, read, redeem, voucher } from '../workload.mjs';

const locked = voucher(0);
const change = (number) => patch(locked, { description: `change ${number}` });

/** Samples the maximum age of the service's statements and transactions on the server. */
function watchSessions(fixture) {
  const oldest = { active: 0, 'idle in transaction': 0 };
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      for (const { state, ms } of await fixture.database.sessions()) {
        if (state in oldest) oldest[state] = Math.max(oldest[state], Number(ms));
      }
      await sleep(100);
    }
  })();
  oldest.stop = async () => {
    stopped = true;
    await watching;
  };
  fixture.defer(oldest.stop);
  return oldest;
}

/** Errors of PostgreSQL during a failover or a lack of resources. Each has a start and an end. */
const flavours = {
  'read-only (25006)': {
    async begin({ database }) {
      await database.set('default_transaction_read_only', 'on');
      await database.terminateSessions();
    },
    async end({ database }) {
      await database.set('default_transaction_read_only');
      await database.terminateSessions();
    },
  },
  'too many connections (53300)': {
    async begin({ database }) {
      await database.limitConnections(0);
      await database.terminateSessions();
    },
    end: ({ database }) => database.limitConnections(-1),
  },
  'the name does not resolve (ENOTFOUND)': {
    async begin({ database }, service) {
      await service.tell('dns', false);
      await database.terminateSessions();
    },
    end: (_, service) => service.tell('dns', true),
  },
  'the disk is full (53100)': raising('53100', 1),
  'serialization failure (40001), one in five': raising('40001', 0.2),
  'deadlock (40P01), one in five': raising('40P01', 0.2),
};

function raising(code, share) {
  return {
    begin: ({ database }) =>
      database.onUpdate(
        'SEED-%',
        `IF random() < ${share} THEN RAISE EXCEPTION 'a drill' USING ERRCODE = '${code}'; END IF`,
      ),
    end: ({ database }) => database.offUpdate(),
  };
}

export const databaseTimeout = [
  {
    name: 'R7',
    title: 'Every connection of the pool waits for a row lock, at 200 requests/s',
    limits: {
      'process exits': exactly(0),
      'sessions waiting for the lock': atLeast(5),
      'failed liveness probes': exactly(0),
      'failed readiness probes': exactly(0),
      'p99 of a probe (ms)': inLongForm(atMost(100)),
      'failures other than 503 with Retry-After': exactly(0),
      'p99 of a read that waits for the pool (ms)': atMost(1_100),
      'last failure after the lock was released (ms)': atMost(2_000),
    },
    async run(fixture) {
      const service = await fixture.serve();
      const probes = fixture.probe(service);
      const unlock = await fixture.database.lock(locked.code);
      fixture.defer(unlock);
      const client = fixture.load({
        service,
        rate: 200,
        request: (number) => (number % 2 ? change(number) : read(number)),
      });
      let waiting = 0;
      await timeUntil(
        async () => {
          waiting = Math.max(waiting, (await fixture.database.sessions(`wait_event_type = 'Lock'`)).length);
          return false;
        },
        fixture.seconds(30, 5),
      );
      await unlock();
      const freeAt = performance.now();
      await sleep(3_000);
      const journal = await client.stop();
      await probes.stop();
      return {
        'process exits': service.exit ? 1 : 0,
        'sessions waiting for the lock': waiting,
        'failed liveness probes': probes.live?.failed.count,
        'failed readiness probes': probes.ready.failed.count,
        'p99 of a probe (ms)': Math.max(probes.live?.typicalPercentile(99) ?? 0, probes.ready.typicalPercentile(99)),
        'failures other than 503 with Retry-After': journal.botched.count,
        'p99 of a read that waits for the pool (ms)': journal.of('read').percentile(99),
        'last failure after the lock was released (ms)': Math.max(
          0,
          ...journal.failed.between(freeAt).entries.map(({ at }) => at - freeAt),
        ),
        outcomes: journal.summary,
      };
    },
  },
  {
    name: 'R8',
    title:
      '2 s of latency, a held lock, client disconnects, slow statements and an idle transaction, with a timeout of 1 s',
    limits: {
      'process exits': exactly(0),
      'failures other than 503 with Retry-After': exactly(0),
      'sessions waiting for the lock': atLeast(1),
      'canceled slow statements': atLeast(1),
      'oldest statement on the server (ms)': atMost(1_500),
      'statements running 1.5 s after client disconnects': exactly(0),
      'oldest open transaction on the server (ms)': atMost(2_500),
      'failed reads after recovery': exactly(0),
    },
    async run(fixture) {
      const service = await fixture.serve({ env: { DATABASE_STATEMENT_TIMEOUT_MS: '1000' } });
      const oldest = watchSessions(fixture);
      const mix = fixture.load({ service, rate: 20 });
      fixture.proxy.latencyMs = 1_000; // in each direction
      await sleep(fixture.seconds(30, 4));
      fixture.proxy.latencyMs = 0;
      await until(async () => (await fixture.send(service, read())).status === 200);
      const slow = await mix.stop();

      const unlock = await fixture.database.lock(locked.code);
      fixture.defer(unlock);
      const changes = fixture.load({ service, rate: 20, request: change });
      let waited = 0;
      await timeUntil(
        async () => {
          waited = Math.max(waited, (await fixture.database.sessions(`wait_event_type = 'Lock'`)).length);
          return false;
        },
        fixture.seconds(60, 4),
      );
      const refused = await changes.stop();

      const hangUp = new AbortController();
      const abandoned = Array.from({ length: 5 }, () => fixture.send(service, { ...change(0), signal: hangUp.signal }));
      await until(async () => (await fixture.database.sessions(`wait_event_type = 'Lock'`)).length === 5);
      hangUp.abort();
      await Promise.all(abandoned);
      await timeUntil(async () => (await fixture.database.sessions(`wait_event_type = 'Lock'`)).length === 0, 1_500);
      const left = (await fixture.database.sessions(`wait_event_type = 'Lock'`)).length;
      await unlock();

      await fixture.database.onUpdate('SEED-%', 'PERFORM pg_sleep(3)');
      const sleepers = fixture.load({ service, rate: 5, request: (number) => redeem(voucher(number).code) });
      await sleep(fixture.seconds(10, 3));
      const ended = await sleepers.stop();
      await fixture.database.offUpdate();

      fixture.proxy.latencyMs = 100;
      const cut = fixture.send(service, redeem());
      await until(async () => (await fixture.database.sessions(`state = 'idle in transaction'`)).length > 0);
      fixture.proxy.blackHole();
      await timeUntil(
        async () => (await fixture.database.sessions(`state = 'idle in transaction'`)).length === 0,
        5_000,
      );
      await fixture.proxy.up();
      await cut;
      await oldest.stop();
      await until(() => service.isReady());
      const after = new Journal(
        await Promise.all(Array.from({ length: 20 }, (_, number) => fixture.send(service, read(number)))),
      );
      return {
        'process exits': service.exit ? 1 : 0,
        'failures other than 503 with Retry-After': slow.botched.count + refused.botched.count + ended.botched.count,
        'sessions waiting for the lock': waited,
        'canceled slow statements': ended.turnedAway.count,
        'oldest statement on the server (ms)': oldest.active,
        'statements running 1.5 s after client disconnects': left,
        'oldest open transaction on the server (ms)': oldest['idle in transaction'],
        'failed reads after recovery': after.failed.count,
        outcomes: `latency: ${slow.summary}; lock: ${refused.summary}; slow: ${ended.summary}; afterwards: ${after.summary}`,
      };
    },
  },
  {
    name: 'R9',
    title: 'PostgreSQL fails over, lacks a resource or rolls back a transaction, at 100 requests/s',
    limits: {
      'process exits': exactly(0),
      'faults without a failed request': exactly(0),
      'failures other than 503 with Retry-After': exactly(0),
      'slowest recovery (ms)': atMost(5_000),
      'lost acknowledged writes': exactly(0),
      'duplicate writes': exactly(0),
    },
    async run(fixture) {
      const service = await fixture.serve({ databaseHost: 'database.drill' });
      const client = fixture.load({ service, rate: 100 });
      const recoveries = [];
      const outcomes = {};
      for (const [name, fault] of Object.entries(flavours)) {
        const undo = () => fault.end(fixture, service);
        fixture.defer(() => (service.exit ? undefined : undo()));
        const beganAt = performance.now();
        await fault.begin(fixture, service);
        await sleep(fixture.seconds(10, 1));
        await undo();
        outcomes[name] = client.journal.between(beganAt);
        recoveries.push(await timeUntil(async () => (await recovered(fixture, service)) || service.exit, 10_000));
        outcomes[name] = client.journal.between(beganAt);
      }
      const journal = await client.stop();
      const unnoticed = [
        'read-only (25006)',
        'too many connections (53300)',
        'the name does not resolve (ENOTFOUND)',
        'the disk is full (53100)',
      ];
      return {
        'process exits': service.exit ? 1 : 0,
        'faults without a failed request': unnoticed.filter((name) => outcomes[name].failed.count === 0).length,
        'failures other than 503 with Retry-After': journal.botched.count,
        'slowest recovery (ms)': Math.max(...recoveries),
        ...(await fixture.check(service, client)),
        outcomes: Object.entries(outcomes)
          .map(([name, { summary }]) => `\n            ${name}: ${summary}`)
          .join(''),
      };
    },
  },
];

let attempts = 0;

async function recovered(fixture, service) {
  const answers = await Promise.all([
    fixture.send(service, read()),
    fixture.send(service, create(`AGAIN-${attempts++}`)),
  ]);
  return answers.every(({ status }) => status === 200 || status === 201);
}
