import { once } from 'node:events';
import { createServer } from 'node:http';

/** Starts an OTLP collector that accepts and discards everything, and counts the exports. */
export async function startCollector() {
  const collector = { exports: 0 };
  const server = createServer((request, response) => {
    collector.exports++;
    request.resume().once('end', () => response.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref(); // after a failed measurement, nothing stops it
  return Object.assign(collector, {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: () => server.close().closeAllConnections(),
  });
}
