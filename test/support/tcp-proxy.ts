// Imports no other TypeScript file, so that test/container can run it with Node without a build.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A proxy in front of PostgreSQL that can fail. It forwards connections at first. */
export interface TcpProxy {
  /** The URL of the database through the proxy. */
  url: string;
  /** Stops forwarding, without closing a connection. Existing connections never recover, as behind a firewall. */
  silence(): void;
  /** Closes every connection, existing and new ones. */
  close(): void;
  /** Forwards new connections again. */
  open(): void;
  stop(): Promise<void>;
}

/** @param path the Unix socket to listen on; by default the proxy listens on a free port */
export async function startTcpProxy(target: string, path?: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let state: 'open' | 'silent' | 'closed' = 'open';
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    track(client);
    if (state === 'closed') client.destroy();
    if (state !== 'open') return;
    const upstream = connect(Number(port), hostname);
    track(upstream);
    client.pipe(upstream).pipe(client);
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => state !== 'silent' && client.destroy());
  });
  if (path) server.listen(path);
  else server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(target);
  if (!path) url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;

  const proxy: TcpProxy = {
    url: url.href,
    silence() {
      state = 'silent';
      for (const socket of sockets) socket.unpipe().resume();
    },
    close() {
      state = 'closed';
      for (const socket of sockets) socket.destroy();
    },
    open() {
      state = 'open';
    },
    async stop() {
      proxy.close();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
