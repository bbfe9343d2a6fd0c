// What a start costs, and a request then: files that are loaded, and round trips to the database.
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
  await get(); // asks for the API key as well
  const before = proxy.count.roundTrips;
  for (let request = 0; request < WARM_REQUESTS; request++) await get();
  const requestTrips = (proxy.count.roundTrips - before) / WARM_REQUESTS;
  await service.stop();
  proxy.stop();
  return { connections, bootTrips: roundTrips, requestTrips };
}
