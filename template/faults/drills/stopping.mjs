import { once } from 'node:events';
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Balancer } from '../balancer.mjs';
import { Journal, send } from '../client.mjs';
import { atLeast, atMost, exactly, inLongForm } from '../limits.mjs';
import { timeUntil, until } from '../until.mjs';
import { read, redeem, SHARED } from '../workload.mjs';

const RATE = 200;

export const stopping = [
  {
    name: 'R1',
    title: 'Rolling restart of two instances behind a load balancer, at 200 requests/s, with SIGTERM sent twice',
    limits: {
      restarts: atLeast(1),
      requests: atLeast(1_000),
      'failed requests': exactly(0),
      'exit codes other than 0': exactly(0),
      'slowest exit (ms)': atMost(9_000),
      'responses without a log line': exactly(0),
      'lost acknowledged writes': exactly(0),
      'duplicate writes': exactly(0),
    },
    async run(fixture) {
      await fixture.migrate();
      const balancer = new Balancer();
      const all = [];
      const start = async () => {
        const service = await fixture.listen({ env: { SHUTDOWN_DELAY_MS: '1000' } });
        await balancer.add(service);
        all.push(service);
        return service;
      };
      const running = [await start(), await start()];
      // Every other request uses a new connection. The others use keep-alive connections.
      const client = fixture.load({ rate: RATE, to: () => balancer.next(), fresh: true });
      const restarts = fixture.isLong ? 20 : 4;
      const perRestart = (RATE * fixture.seconds(6, 2)) / 1000;
      const exits = [];
      for (let count = 1; count <= restarts; count++) {
        await until(() => client.journal.count >= count * perRestart);
        const service = running.shift();
        const stopped = service.stop();
        await until(() => !balancer.has(service));
        service.signal('SIGTERM');
        exits.push(await stopped);
        running.push(await start());
      }
      const journal = await client.stop();
      const answers = journal.filter(({ status }) => status !== undefined).count;
      const lines = () => all.flatMap((service) => service.lines.filter(fixture.target.tellsOfAnswer)).length;
      await timeUntil(() => lines() === answers, 2_000);
      return {
        restarts: exits.length,
        requests: journal.count,
        'failed requests': journal.failed.count,
        'exit codes other than 0': exits.filter(({ code }) => code !== 0).length,
        'slowest exit (ms)': Math.max(...exits.map(({ ms }) => ms)),
        'responses without a log line': answers - lines(),
        ...(await fixture.check(running[0], client)),
        outcomes: journal.summary,
      };
    },
  },
  {
    name: 'R2',
    title: 'SIGTERM with a slow request in flight and idle connections',
    limits: {
      'lost requests in flight': exactly(0),
      'failed requests during connection draining': exactly(0),
      'responses that kept the connection open': exactly(0),
      'exit code': exactly(0),
      'exit after the last response (ms)': inLongForm(atMost(250)),
    },
    async run(fixture) {
      const service = await fixture.serve({
        env: { SHUTDOWN_DELAY_MS: '500', DATABASE_STATEMENT_TIMEOUT_MS: '15000' },
      });
      const agent = new Agent({ keepAlive: true });
      fixture.defer(() => agent.destroy());
      await Promise.all(Array.from({ length: 20 }, (_, number) => fixture.send(service, { ...read(number), agent })));
      await fixture.database.onUpdate(SHARED, `PERFORM pg_sleep(${fixture.seconds(5, 2) / 1000})`);
      const slow = fixture.send(service, redeem()).then((entry) => ({ ...entry, endedAt: performance.now() }));
      await until(async () => (await fixture.database.sessions(`wait_event = 'PgSleep'`)).length === 1);

      const stopped = service.stop();
      await until(async () => !(await service.isReady()));
      // Half of the requests use connections that were opened before the signal.
      const late = await Promise.all(
        Array.from({ length: 20 }, (_, number) =>
          fixture.send(service, { ...read(number), agent: number % 2 ? agent : false }),
        ),
      );
      const answer = await slow;
      const { code } = await stopped;
      const answers = [answer, ...late].filter(({ status }) => status !== undefined);
      return {
        'lost requests in flight': answer.status === 201 ? 0 : 1,
        'failed requests during connection draining': new Journal(late).failed.count,
        'responses that kept the connection open': answers.filter(
          ({ answerHeaders }) => answerHeaders.connection !== 'close',
        ).length,
        'exit code': code,
        'exit after the last response (ms)': service.exit.at - answer.endedAt,
      };
    },
  },
  {
    name: 'R16',
    title: 'A connection is reused after a long idle time',
    limits: {
      'keep-alive timeout (s)': atLeast(601),
      'lost idle connections': exactly(0),
    },
    async run(fixture) {
      const service = await fixture.serve();
      const agent = new Agent({ keepAlive: true });
      fixture.defer(() => agent.destroy());
      const first = await Promise.all(
        Array.from({ length: 5 }, () => send(service.url, { path: '/health/live', agent })),
      );
      const sockets = Object.values(agent.freeSockets).flat();
      // The default of Node is 5 s, or 65 s in version 26 and later.
      const idleMs = fixture.seconds(70, 7);
      await Promise.race([sleep(idleMs), ...sockets.map((socket) => once(socket, 'close'))]);
      const lost = sockets.filter(({ destroyed }) => destroyed).length;
      const [, seconds] = /timeout=(\d+)/.exec(first[0].answerHeaders['keep-alive'] ?? '') ?? [];
      return {
        'keep-alive timeout (s)': Number(seconds ?? 0),
        'lost idle connections': lost,
        'idle for (s)': idleMs / 1000,
      };
    },
  },
];

const crash = (name, how, title) => ({
  name,
  title,
  limits: {
    'CRITICAL log lines': exactly(1),
    'lost requests in flight': exactly(0),
    'exit code': exactly(1),
    'time to exit (ms)': atMost(9_000),
  },
  async run(fixture) {
    const service = await fixture.serve();
    await fixture.database.onUpdate(SHARED, 'PERFORM pg_sleep(1)');
    const slow = fixture.send(service, redeem());
    await until(async () => (await fixture.database.sessions(`wait_event = 'PgSleep'`)).length === 1);
    await service.tell(how);
    const exitMs = await timeUntil(() => service.exit);
    return {
      'CRITICAL log lines': service.lines.filter(({ severity }) => severity === 'CRITICAL').length,
      'lost requests in flight': (await slow).status === 201 ? 0 : 1,
      'exit code': service.exit?.code,
      'time to exit (ms)': exitMs,
    };
  },
});

export const crashing = [
  crash('R14-rejection', 'rejection', 'An unhandled promise rejection with a request in flight'),
  crash('R14-exception', 'exception', 'An uncaught exception with a request in flight'),
  {
    name: 'R14-memory',
    title: 'The process runs out of memory, at 100 requests/s',
    limits: {
      'process exits': exactly(1),
      'lost acknowledged writes': exactly(0),
      'duplicate writes': exactly(0),
    },
    async run(fixture) {
      const service = await fixture.serve({ nodeOptions: ['--max-old-space-size=128'] });
      let current = service;
      const client = fixture.load({ to: () => current.url, rate: 100 });
      await sleep(1_000);
      await service.tell('exhaust');
      await timeUntil(() => service.exit);
      current = await (await fixture.listen()).ready();
      return {
        'process exits': service.exit ? 1 : 0,
        ...(await fixture.check(current, client)),
        outcomes: client.journal.summary,
      };
    },
  },
  {
    name: 'R14-clock',
    title: 'The clock jumps forward and back by one hour, at 100 requests/s',
    limits: {
      'process exits': exactly(0),
      'failed requests': exactly(0),
      'distinct responses to one Idempotency-Key': exactly(1),
      'lost acknowledged writes': exactly(0),
      'duplicate writes': exactly(0),
    },
    async run(fixture) {
      const service = await fixture.serve();
      const client = fixture.load({ service, rate: 100 });
      const request = redeem();
      const answers = new Set();
      for (const hours of [0, 1, -1, 0]) {
        await service.tell('clock', hours * 3_600_000);
        answers.add((await fixture.send(service, request)).answer);
        await sleep(fixture.seconds(10, 1));
      }
      const journal = await client.stop();
      return {
        'process exits': service.exit ? 1 : 0,
        'failed requests': journal.failed.count,
        'distinct responses to one Idempotency-Key': answers.size,
        ...(await fixture.check(service, client)),
        outcomes: journal.summary,
      };
    },
  },
];
