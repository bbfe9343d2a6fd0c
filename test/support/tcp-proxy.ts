// Imports no other TypeScript file, so that test/container can run it with Node without a build.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A proxy in front of PostgreSQL that can fail. */
export interface TcpProxy {
  /** The URL of the database through the proxy. */
  url: string;
  /** Stops forwarding, without closing a connection. Existing connections never recover, as behind a firewall. */
  silence(): void;
  /** Forwards new connections again. */
  restore(): void;
  stop(): Promise<void>;
}

export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let silent = false;
  const server = createServer((client) => {
    const upstream = silent ? undefined : connect(Number(port), hostname);
    if (upstream) client.pipe(upstream).pipe(client);
    for (const socket of upstream ? [client, upstream] : [client]) {
      sockets.add(socket);
      socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: Object.assign(new URL(target), { host: `127.0.0.1:${(server.address() as AddressInfo).port}` }).href,
    silence() {
      silent = true;
      for (const socket of sockets) socket.unpipe().resume();
    },
    restore() {
      silent = false;
    },
    async stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
