// The events in the life of an instance on Cloud Run. Each scenario has a migrated database, throws if the service fails it, and
// returns a line for the report.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until as poll } from '../support/until.ts';
import { service } from './manifest.mjs';
import { workload } from './workload.mjs';

const RATE = 200;

export const scenarios = {
  'normal start': async ({ start, commit, headers }) => {
    const instance = await start();
    assert.ok(await instance.started, instance.verdict);
    const info = await instance.get('/', { headers });
    assert.equal(info.body.commit, commit);
    assert.deepEqual(instance.noise, []);
    for (const line of instance.lines) {
      assert.ok(line.severity && line.message && line.time, JSON.stringify(line));
      assert.equal(line.commit ?? null, commit);
    }
    await workload.prepare(instance, headers);
    const { code, ms } = await instance.stop();
    assert.equal(code, 0);
    return `${connectLine(instance)}; SIGTERM: exit 0 after ${seconds(ms)}`;
  },

  'database 20 s late': async ({ start, database, headers }) => {
    database.close();
    const instance = await start();
    await sleep(20_000);
    assert.equal(instance.verdict, 'starting');
    assert.equal((await instance.get(service.liveness.path)).status, 200);
    assert.equal((await instance.get(workload.ask, { headers })).status, 503);
    database.open();
    assert.ok(await instance.started, instance.verdict);
    assert.ok(instance.startMs < 23_000, `served only after ${seconds(instance.startMs)}`);
    const { body } = await instance.get(service.startup.path);
    assert.ok(body.details.database.connectMs > 15_000); // the first attempt was at the start
    await workload.prepare(instance, headers);
    return connectLine(instance);
  },

  'database never': async ({ start, database }) => {
    database.silence();
    const instance = await start();
    assert.equal(await instance.started, false);
    assert.equal(instance.verdict, 'killed by the startup probe');
    const late = instance.killedAfterMs - service.startup.windowMs;
    assert.ok(Math.abs(late) < 2_000, `killed after ${seconds(instance.killedAfterMs)}`);
    const { severity, message } = instance.lines.at(-1);
    assert.equal(severity, 'ERROR');
    assert.match(message, new RegExp(`^Waiting for database ${database.name} at /cloudsql/.* for \\d+ s, past`));
    return `killed after ${seconds(instance.killedAfterMs)}; last line: ${message}`;
  },

  'migrations pending': async ({ start, createEmpty, migrate }) => {
    const database = await createEmpty();
    const instance = await start({ database });
    await until(() => instance.probes.startup.length >= 5);
    assert.equal(instance.verdict, 'starting');
    const { status, body } = await instance.get(service.startup.path);
    assert.equal(status, 503);
    assert.match(body.error.migrations.message, /^\d+ pending/);
    const { code, output } = await migrate(database);
    assert.equal(code, 0, output);
    assert.ok(await instance.started, instance.verdict);
    return `red: "${body.error.migrations.message}"; green after the job`;
  },

  'database lost for 30 s': async ({ start, sendTraffic, database, headers }) => {
    const instance = await start();
    assert.ok(await instance.started, instance.verdict);
    await workload.prepare(instance, headers);
    const traffic = sendTraffic(RATE / 4, [instance]);
    await sleep(3_000);
    assert.deepEqual(traffic.failures, []);

    database.close();
    await until(async () => (await instance.get(service.readiness.path)).status === 503);
    await sleep(30_000);
    assert.equal((await instance.get(service.readiness.path)).status, 503);
    const during = instance.ready ? 'kept its traffic' : 'was taken out';
    database.open();
    const backAt = performance.now();
    await until(async () => (await instance.get(service.readiness.path)).status === 200);
    const backMs = performance.now() - backAt;
    await until(() => instance.ready, service.readiness.periodMs * service.readiness.successThreshold + 2_000);
    const readyAt = performance.now();
    await sleep(2_000);
    await traffic.stop();

    const afterwards = traffic.results.filter(({ sentAt }) => sentAt > readyAt);
    assert.ok(afterwards.length > 0 && afterwards.every(({ status }) => status === workload.status));
    // A rejected request, or a lost connection: never a wrong response.
    const unexpected = traffic.failures.filter(({ status }) => ![503, 'no instance'].includes(status));
    assert.deepEqual(unexpected, []);
    assert.equal(instance.verdict, 'serving');
    assert.ok(instance.probes.liveness.every(({ passed }) => passed));
    await workload.assertNothingLost(database, traffic);
    return `${traffic.summary}; liveness green, instance ${during}, ready again after ${seconds(backMs)}, no write lost`;
  },

  'event loop blocked': async ({ start }) => {
    const instance = await start({
      env: { NODE_OPTIONS: '--import=file:///harness/freeze.mjs' },
      mounts: [`${resolve('test/container/freeze.mjs')}:/harness/freeze.mjs:ro`],
    });
    assert.ok(await instance.started, instance.verdict);
    await until(() => instance.probes.liveness.length > 0);
    const blockedAt = performance.now();
    await instance.signal('USR2');
    assert.equal(await instance.ended, 137);
    assert.equal(instance.verdict, 'killed by the liveness probe');
    const killed = seconds(performance.now() - blockedAt);
    const successor = await start();
    assert.ok(await successor.started, successor.verdict);
    return `SIGKILL ${killed} after it was blocked; the next instance served after ${seconds(successor.startMs)}`;
  },

  [`SIGTERM under ${RATE} requests/s`]: async ({ start, sendTraffic, database, headers }) => {
    const [leaving, staying] = await Promise.all([start(), start()]);
    for (const instance of [leaving, staying]) assert.ok(await instance.started, instance.verdict);
    await workload.prepare(staying, headers);
    const traffic = sendTraffic(RATE, [leaving]);
    await sleep(5_000);
    const lock = await database.hold(workload.hold);
    const slow = Array.from({ length: 5 }, () => leaving.send({ headers, ...workload.slow() }));
    await until(async () => (await database.countLockWaits()) >= slow.length);

    traffic.route = [staying];
    const stopped = leaving.stop();
    await until(() => leaving.hasLogged('SIGTERM: '));
    const inFlight = leaving.lines.find(({ message }) => message.startsWith('SIGTERM: ')).message;
    await sleep(1_000);
    await lock.release();
    const { code, ms } = await stopped;
    await sleep(1_000);
    await traffic.stop();

    assert.deepEqual(traffic.failures, []);
    assert.deepEqual(
      (await Promise.all(slow)).map(({ status }) => status),
      Array.from(slow, () => workload.slowStatus),
    );
    assert.equal(code, 0);
    assert.ok(ms < 9_000, `ended only after ${seconds(ms)}`);
    await workload.assertNothingLost(database, traffic);
    assert.deepEqual(leaving.noise, []);
    return `${traffic.summary}; ${inFlight}; exit 0 after ${seconds(ms)}`;
  },

  'body larger than the memory': async ({ start, headers }) => {
    const instance = await start();
    assert.ok(await instance.started, instance.verdict);
    const size = 640 * 1024 ** 2;
    const answers = await Promise.all([
      sendBody(instance, { ...headers, 'Content-Length': size }, size),
      sendBody(instance, headers, size),
    ]);
    for (const answer of answers) assert.ok(workload.large.answers.includes(answer), String(answer));
    assert.equal((await instance.get(service.readiness.path)).status, 200);
    assert.equal(instance.verdict, 'serving');
    return `2 bodies of 640 MiB, one announced and one in chunks: ${answers.join(', ')}; still ready`;
  },

  'two revisions on one schema': async ({ start, sendTraffic, database, headers }) => {
    const old = await start({ revision: 'api-00001-old' });
    assert.ok(await old.started, old.verdict);
    await workload.prepare(old, headers);
    const traffic = sendTraffic(RATE, [old]);
    await sleep(2_000);
    // The migration of the new revision is additive: the old revision keeps working.
    await database.query(`ALTER TABLE api_keys ADD COLUMN colour text;
      INSERT INTO migrations (timestamp, name) VALUES (9999999999999, 'AddColour9999999999999')`);
    const candidate = await start({ revision: 'api-00002-new' });
    // The old revision may still scale out, and is the target of a rollback.
    const another = await start({ revision: 'api-00001-old' });
    for (const instance of [candidate, another]) assert.ok(await instance.started, instance.verdict);
    traffic.route = [old, candidate];
    await sleep(3_000);
    traffic.route = [candidate];
    const { code } = await old.stop();
    await sleep(1_000);
    await traffic.stop();
    assert.deepEqual(traffic.failures, []);
    assert.equal(code, 0);
    await workload.assertNothingLost(database, traffic);
    return `${traffic.summary}; old on the new schema served after ${seconds(another.startMs)}`;
  },
};

const until = (condition, timeoutMs = 30_000) => poll(condition, timeoutMs);

export const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** The line that the service logs about its start. */
const connectLine = ({ lines }) => lines.find(({ connectMs }) => connectMs !== undefined)?.message;

/** Sends one long string until the service responds. @returns the status, or the error code */
async function sendBody({ port }, headers, size) {
  const sent = request({
    ...{ host: '127.0.0.1', port, method: 'POST', path: workload.large.path, agent: false },
    headers: { 'Content-Type': 'application/json', ...headers },
    signal: AbortSignal.timeout(60_000),
  });
  let answered = false;
  const status = once(sent, 'response').then(
    ([response]) => response.statusCode,
    ({ code }) => code,
  );
  void status.then(() => (answered = true));
  const chunk = Buffer.alloc(64 * 1024, 'x');
  for (let bytes = 0; bytes < size && !answered; bytes += chunk.length) {
    const data = bytes === 0 ? Buffer.concat([Buffer.from('{"code":"'), chunk.subarray(9)]) : chunk;
    if (!sent.write(data)) await Promise.race([once(sent, 'drain').catch(() => undefined), status]);
  }
  sent.end();
  return status;
}
