// Measures the latency of a GET by id in an open loop, at 70 % of the service's saturation.
import { closedLoop, openLoop, quietClosedLoop } from './load.mjs';
import { requestsOf } from './requests.mjs';
import { startService } from './services.mjs';

const LOAD = 0.7;
const CALIBRATION_SECONDS = 2;
/** Services that are also measured at 70 % of Express' saturation. */
const COMPARED = new Set(['ours', 'express']);

export async function measureLatency(database, { names, rounds, warmUp, seconds }) {
  await database.seed();
  const requests = requestsOf('get', database.keys);
  const warm = async (name) => {
    const service = await startService(name, { databaseUrl: database.url });
    await closedLoop(service, requests, { duration: warmUp });
    return service;
  };
  const rates = {};
  for (const name of names) {
    const service = await warm(name);
    rates[name] = LOAD * (await quietClosedLoop(service, requests, { duration: CALIBRATION_SECONDS })).rate;
    await service.stop();
  }
  const cells = {};
  const record = (cell, name, value) => ((cells[cell] ??= {})[name] ??= []).push(value);
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 ? names.toReversed() : names) {
      const service = await warm(name);
      const own = await openLoop(service, requests, rates[name], seconds);
      record('p99', name, own?.p99);
      record('p999', name, own?.p999);
      if (COMPARED.has(name)) {
        const same = name === 'express' ? own : await openLoop(service, requests, rates.express, seconds);
        record('p99Same', name, same?.p99);
        record('p999Same', name, same?.p999);
      }
      await service.stop();
    }
  }
  return cells;
}
