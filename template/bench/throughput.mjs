// Measures the requests per second of each route, and the memory before and after the load.
import { setTimeout as sleep } from 'node:timers/promises';
import { closedLoop, quietClosedLoop } from './load.mjs';
import { megabytes } from './machine.mjs';
import { REQUESTS, requestsOf } from './requests.mjs';
import { startService } from './services.mjs';

/** Delay before the memory is measured, to let V8 collect the garbage of the startup. */
const SETTLE_MS = 1_000;

/** Variants of this service: with the limits of production, and with all optional features off. */
const SETTINGS = {
  ours: { RATE_LIMIT_PER_MINUTE: '10000', CONCURRENCY_LIMIT: '100' },
  off: { LOG_LEVEL: 'silent' },
};

export async function measureThroughput(database, { names, rounds, warmUp, seconds }) {
  const cells = {};
  const record = (cell, name, value) => ((cells[cell] ??= {})[name] ??= []).push(value);
  const recordMemory = (cell, name, { pid }) => {
    const memory = megabytes(pid);
    if (memory !== undefined) record(cell, name, memory);
  };
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 ? names.toReversed() : names) {
      await database.seed();
      const service = await startService(name, { databaseUrl: database.url });
      await sleep(SETTLE_MS);
      recordMemory('memoryIdle', name, service);
      const [firstCell] = Object.keys(REQUESTS);
      for (const cell of Object.keys(REQUESTS)) {
        const requests = requestsOf(cell, database.keys);
        // The first cell warms up the code that all routes share.
        await closedLoop(service, requests, cell === firstCell ? warmUp : warmUp / 3);
        const { rate, cpu, others } = await quietClosedLoop(service, requests, seconds);
        record(cell, name, rate);
        record(`${cell} cpu`, name, cpu);
        record(`${cell} others`, name, others);
      }
      recordMemory('memoryLoaded', name, service);
      await service.stop();
    }
  }
  return cells;
}

export async function measureSettings(database, { rounds, warmUp, seconds }) {
  const values = { ours: [], off: [] };
  await database.seed();
  for (let round = 0; round < rounds; round++) {
    for (const setting of round % 2 ? ['off', 'ours'] : ['ours', 'off']) {
      const service = await startService('ours', { databaseUrl: database.url, env: SETTINGS[setting] });
      const requests = requestsOf('get', database.keys);
      await closedLoop(service, requests, warmUp);
      values[setting].push((await quietClosedLoop(service, requests, seconds)).rate);
      await service.stop();
    }
  }
  return { settings: values };
}
