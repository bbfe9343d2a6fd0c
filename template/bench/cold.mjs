// From the start of a process to the first 200 of /health/ready.
import pg from 'pg';
import { canDropCaches, dropCaches } from './machine.mjs';
import { startService } from './services.mjs';
import { median } from './statistics.mjs';

/** @returns for each service and round the median of the round's starts: a single one says little */
export async function measureCold(database, { names, rounds, starts }) {
  const cells = { coldWarm: {}, ...(canDropCaches && { coldDropped: {} }) };
  for (const [cell, values] of Object.entries(cells)) {
    for (const name of names) values[name] = [];
    await coldStart(names[0], database); // the first start of all fills the caches
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

/** The first connection after the caches were dropped is the database's own cold start. */
async function wake(url) {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('SELECT count(*) FROM vouchers');
  await client.end();
}
