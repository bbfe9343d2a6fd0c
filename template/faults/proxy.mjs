import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A TCP proxy between the service and PostgreSQL that simulates one network fault at a time. */
export class Proxy {
  /** Target port. It can change while the proxy is down, because a restarted server has another port. */
  target;
  /** Delay of each chunk of data in each direction. */
  latencyMs = 0;
  /** Number of chunks that the service sent. Its driver sends one per round trip. */
  sent = 0;
  /** Called with each chunk from the service after it was forwarded. Returns true to close the connection before the response. */
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

  /** Stops listening, and resets existing ones. */
  down() {
    this.#server.close();
    this.reset();
  }

  /** Resumes forwarding. Silent connections remain silent, as behind a firewall that has dropped their state. */
  async up() {
    this.#silent = false;
    this.latencyMs = 0;
    // Closes the other side of connections that were closed meanwhile, as TCP does after a network partition.
    for (const pair of this.#pairs) if (pair.client.destroyed || pair.server?.destroyed) close(pair);
    if (this.#server.listening) return;
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** Accepts connections and keeps them open, but forwards no data in either direction. */
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
  // Node leaks the handle of a socket that is both reset and destroyed.
  if (!pair.isReset) pair.client.destroy();
}

/** Resets the client's side. The server's side is closed with it. */
function reset(pair) {
  if (pair.client.writableEnded) return close(pair);
  pair.isReset = true;
  pair.client.resetAndDestroy();
}
