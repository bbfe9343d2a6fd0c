// Measures the CPU time of the service process per request, and its memory before and after the load.
import { setTimeout as sleep } from 'node:timers/promises';
import { startCollector } from './collector.mjs';
import { cpuMeter } from './load.mjs';
import { hasCpuTimes, megabytes } from './machine.mjs';
import { checkTool, REQUESTS, requestsOf } from './requests.mjs';
import { startService, VARIANTS } from './services.mjs';

/** As many as the connection pool has, so that no request waits for a database connection. */
const CONNECTIONS = 10;
/** Delay before the memory is measured, to let V8 collect the garbage of the startup. */
const SETTLE_MS = 1_000;
const FIRST_REQUESTS = 1_000;
const WARM_UP_TURN = 1_000;

/**
 * Each round starts all services, which remain alive, and measures them in turn, in short windows. A disturbance of the
 * machine affects a window, or the windows of all services.
 * @param pace `rounds`; `windows` per round and route; `requests` per window; `warmUp` in requests per route
 * @returns microseconds per request: an array of the windows for each round. `first` has the first window of a process, and
 *   `variants` the GET by id of each variant of this service
 */
export async function measureCpu(database, { names, rounds, ...pace }) {
  if (!hasCpuTimes) {
    console.log('The CPU time is not measured: it requires Linux.');
    return {};
  }
  const cells = {};
  const record = (cell, name, value) => ((cells[cell] ??= {})[name] ??= []).push(value);
  for (let round = 0; round < rounds; round++) {
    await measureRoutes(database, [...names, 'limited'], pace, record);
    await measureVariants(database, ['ours', ...Object.keys(VARIANTS)], pace, record);
  }
  return cells;
}

async function measureRoutes(database, names, pace, record) {
  const services = await startAll(database, names);
  await sleep(SETTLE_MS);
  for (const { name, pid } of services) record('memoryIdle', name, megabytes(pid));
  const first = requestsOf('get', database.keys);
  for (const service of services) record('first', service.name, [await service.measure(first, FIRST_REQUESTS)]);
  for (const route of Object.keys(REQUESTS)) {
    const requests = requestsOf(route, database.keys);
    await measureInTurn(route, services, () => requests, pace, record);
  }
  for (const { name, pid } of services) record('memoryLoaded', name, megabytes(pid));
  for (const service of services) await service.stop();
}

async function measureVariants(database, names, pace, record) {
  const collector = await startCollector();
  const services = await startAll(database, names, collector.url);
  await checkTool(services[names.indexOf('mcp')], database.keys);
  const [get, tool] = ['get', 'tool'].map((cell) => requestsOf(cell, database.keys));
  await measureInTurn('variants', services, ({ name }) => (name === 'mcp' ? tool : get), pace, record);
  for (const service of services) await service.stop();
  collector.stop();
  if (collector.exports === 0) throw new Error('The collector received no spans.');
}

async function startAll(database, names, collectorUrl) {
  await database.seed();
  const services = [];
  for (const name of names) {
    const service = await startService(name, { databaseUrl: database.url, collectorUrl });
    services.push({ ...service, measure: cpuMeter(service, CONNECTIONS) });
  }
  return services;
}

async function measureInTurn(cell, services, requestsFor, { warmUp, windows, requests }, record) {
  const times = services.map(() => []);
  // In turns: a service that waited while all others were warmed up needed up to 1.4 times as much CPU time afterwards.
  for (let sent = 0; sent < warmUp; sent += WARM_UP_TURN) {
    for (const service of services) await service.measure(requestsFor(service), WARM_UP_TURN);
  }
  for (let window = 0; window < windows; window++) {
    // In the same order, so that each service waits equally long.
    for (const [index, service] of services.entries()) {
      // The CPU caches contain the code of the other services.
      await service.measure(requestsFor(service), requests);
      times[index].push(await service.measure(requestsFor(service), requests));
    }
  }
  for (const [index, { name }] of services.entries()) record(cell, name, times[index]);
}
