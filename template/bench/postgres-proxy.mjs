import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** ReadyForQuery ends every response. Its last byte is the transaction status. */
const READY_FOR_QUERY = Buffer.from([0x5a, 0, 0, 0, 5]);

/**
 * Forwards connections to PostgreSQL, and counts connections and round trips. Each ReadyForQuery is one round trip,
 * except for authentication. https://www.postgresql.org/docs/current/protocol-message-formats.html
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
    // A killed service resets its connections.
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.once('close', () => upstream.destroy());
    count.connections += 1;
  }).listen(0, hostname);
  await once(server, 'listening');
  const url = new URL(databaseUrl);
  url.port = server.address().port;
  return { url: url.href, count, stop: () => server.close() };
}
