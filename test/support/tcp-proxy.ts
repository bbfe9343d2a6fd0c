import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Stands between the service and PostgreSQL. */
export interface TcpProxy {
  /** The given URL, through the proxy. */
  url: string;
  /** From now on nothing gets through, and nobody is told. Connections of this time stay dead, as behind a firewall. */
  fallSilent(): void;
  answerAgain(): void;
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
    fallSilent() {
      silent = true;
      for (const socket of sockets) socket.unpipe().resume();
    },
    answerAgain() {
      silent = false;
    },
    async stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
