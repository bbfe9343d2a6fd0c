import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** ReadyForQuery, the last message of every answer; the transaction's state follows as one more byte. */
const READY_FOR_QUERY = Buffer.from([0x5a, 0, 0, 0, 5]);

/**
 * Stands between a service and its PostgreSQL, and counts connections and round trips: the times that the server has
 * answered and waits for more, those of signing in apart. https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export async function startProxy(databaseUrl) {
  const { hostname, port } = new URL(databaseUrl);
  const count = { connections: 0, roundTrips: 0 };
  const server = createServer((client) => {
    const upstream = connect({ host: hostname, port, noDelay: true });
    client.setNoDelay();
    let signedIn = false;
    upstream.on('data', (chunk) => {
      if (!chunk.subarray(-6, -1).equals(READY_FOR_QUERY)) return;
      if (signedIn) count.roundTrips += 1;
      signedIn = true;
    });
    client.pipe(upstream).pipe(client);
    // The killed service and its connections have no more to say.
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.once('close', () => upstream.destroy());
    count.connections += 1;
  }).listen(0, hostname);
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.port = server.address().port;
  return { url: url.href, count, stop: () => server.close() };
}
