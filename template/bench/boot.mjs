// Counts loaded files and database round trips at startup, and the round trips of one request.
import { once } from 'node:events';
import { startProxy } from './postgres-proxy.mjs';
import { requestsOf } from './requests.mjs';
import { startService } from './services.mjs';

const COUNT_FILES = new URL('count-files.mjs', import.meta.url).href;
const WARM_REQUESTS = 20;

export async function measureBoot(names, database) {
  await database.seed();
  const cells = { files: {}, connections: {}, bootTrips: {}, requestTrips: {} };
  for (const name of names) {
    cells.files[name] = [await countFiles(name, database)];
    const { connections, bootTrips, requestTrips } = await countTrips(name, database);
    cells.connections[name] = [connections];
    cells.bootTrips[name] = [bootTrips];
    cells.requestTrips[name] = [requestTrips];
  }
  return cells;
}

async function countFiles(name, { url }) {
  const service = await startService(name, { databaseUrl: url, preload: COUNT_FILES });
  service.child.send('how many?');
  const [files] = await once(service.child, 'message');
  await service.stop();
  return files;
}

async function countTrips(name, { url, keys }) {
  const proxy = await startProxy(url);
  const service = await startService(name, { databaseUrl: proxy.url });
  const { connections, roundTrips } = proxy.count;
  const [{ path, headers }] = requestsOf('get', keys);
  const get = async () => (await fetch(service.url + path, { headers })).arrayBuffer();
  await get(); // the first request also reads the API key
  const before = proxy.count.roundTrips;
  for (let request = 0; request < WARM_REQUESTS; request++) await get();
  const requestTrips = (proxy.count.roundTrips - before) / WARM_REQUESTS;
  await service.stop();
  proxy.stop();
  return { connections, bootTrips: roundTrips, requestTrips };
}
