// Measures the time from process start to the first 200 of /health/ready.
import pg from 'pg';
import { canDropCaches, dropCaches } from './machine.mjs';
import { startService } from './services.mjs';
import { median } from './statistics.mjs';

/** @returns the median of each round for each service, because the durations of single starts vary */
export async function measureCold(database, { names, rounds, starts }) {
  const cells = { coldWarm: {}, ...(canDropCaches && { coldDropped: {} }) };
  for (const [cell, values] of Object.entries(cells)) {
    for (const name of names) values[name] = [];
    await coldStart(names[0], database); // fills the caches
    for (let round = 0; round < rounds; round++) {
      const times = Object.fromEntries(names.map((name) => [name, []]));
      for (let start = 0; start < starts; start++) {
        for (const name of start % 2 ? names.toReversed() : names) {
          if (cell === 'coldDropped') dropCaches();
          times[name].push(await coldStart(name, database));
        }
      }
      for (const name of names) values[name].push(median(times[name]));
    }
  }
  return cells;
}

async function coldStart(name, { url }) {
  await wake(url);
  const service = await startService(name, { databaseUrl: url });
  await service.stop();
  return service.readyMs;
}

/** Warms up the database after the caches were dropped, so that its own cold start is not measured. */
async function wake(url) {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('SELECT count(*) FROM vouchers');
  await client.end();
}
