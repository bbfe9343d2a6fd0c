import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Stands between the service and PostgreSQL, and breaks what is between them in one way at a time. */
export class Proxy {
  /** Where connections lead; it may change while the proxy is down, since a restarted server has another port. */
  target;
  /** How long each piece of data takes, in each direction. */
  latencyMs = 0;
  /** Pieces of data that the service has sent: its driver sends one for each round trip. */
  sent = 0;
  /** Told each piece that the service sends, once it has been passed on; true cuts that connection before the answer. */
  cutsAfter = () => false;
  #silent = false;
  #pairs = new Set();
  #server = createServer((client) => this.#accept(client));

  static async start(target) {
    const proxy = new Proxy();
    proxy.target = target;
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    proxy.port = proxy.#server.address().port;
    return proxy;
  }

  /** Connections are refused, and those that there are break. */
  down() {
    this.#server.close();
    this.reset();
  }

  /** What the service has let fall silent stays silent, as behind a firewall that has forgotten the connection. */
  async up() {
    this.#silent = false;
    this.latencyMs = 0;
    // What one side has closed meanwhile is told to the other now, as TCP does when it gets through again.
    for (const pair of this.#pairs) if (pair.client.destroyed || pair.server?.destroyed) close(pair);
    if (this.#server.listening) return;
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** Connections are accepted and stay open, and nothing passes in either direction. */
  blackHole() {
    this.#silent = true;
    for (const pair of this.#pairs) pair.silent = true;
  }

  reset() {
    this.#pairs.forEach(reset);
  }

  async stop() {
    this.#silent = false;
    this.down();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  #accept(client) {
    const pair = { client, silent: this.#silent, server: undefined };
    this.#pairs.add(pair);
    client.setNoDelay();
    if (pair.silent) {
      client.resume();
    } else {
      pair.server = connect(this.target, '127.0.0.1').setNoDelay();
      this.#pass(pair, client, pair.server, (data) => {
        this.sent++;
        if (this.cutsAfter(data)) reset(pair);
      });
      this.#pass(pair, pair.server, client);
    }
    for (const socket of [client, pair.server]) {
      socket
        ?.on('error', () => undefined)
        .on('close', () => {
          if (!this.#silent) close(pair);
          if (client.destroyed && pair.server?.destroyed !== false) this.#pairs.delete(pair);
        });
    }
  }

  #pass(pair, from, to, afterwards = () => undefined) {
    let last = Promise.resolve();
    const deliver = async (before, data, dueAt) => {
      await before;
      if (dueAt > performance.now()) await sleep(dueAt - performance.now());
      if (pair.silent || to.destroyed) return;
      to.write(data);
      afterwards(data);
    };
    from.on('data', (data) => {
      last = deliver(last, data, performance.now() + this.latencyMs);
    });
  }
}

function close(pair) {
  pair.server?.destroy();
  // Node leaks the handle of a socket that is closed in two ways at once.
  if (!pair.isReset) pair.client.destroy();
}

/** The server's side is closed when the client's is. */
function reset(pair) {
  if (pair.client.writableEnded) return close(pair);
  pair.isReset = true;
  pair.client.resetAndDestroy();
}
