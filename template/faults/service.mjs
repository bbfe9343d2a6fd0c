import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { freePort } from '../../tools/dev/postgres.mjs';
import { timeUntil, until } from './until.mjs';
import { pinnedNode } from '../bench/machine.mjs';

const INSIDE = new URL('inside.mjs', import.meta.url).href;

/** The built service or its baseline, in a separate process. */
export class Service {
  /** The parsed lines of its log. */
  lines = [];
  /** In bytes. */
  longestLine = 0;

  /** Resolves when the service listens or has exited. */
  static async start(target, { databaseUrl, env = {}, nodeOptions = [], listensWithinMs = 30_000 }) {
    const port = await freePort();
    const service = new Service();
    service.url = `http://127.0.0.1:${port}`;
    const [command, ...prefix] = pinnedNode;
    const child = spawn(command, [...prefix, ...nodeOptions, '--import', INSIDE, target.program], {
      env: {
        PATH: process.env.PATH,
        NODE_ENV: 'production',
        PORT: port,
        DATABASE_URL: databaseUrl,
        ...target.env,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    service.child = child;
    service.pid = child.pid;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => service.#note(line));
    }
    child.on('error', () => undefined); // a message to a process that has just exited
    service.ended = once(child, 'close').then(([code, signal]) => {
      service.exit = { code, signal, at: performance.now() };
      return service.exit;
    });
    const waitedMs = await timeUntil(async () => service.exit || (await listens(port)), listensWithinMs);
    /** Time until the service listens; Infinity if it does not listen. */
    service.listensMs = service.exit ? Infinity : waitedMs;
    return service;
  }

  #note(line) {
    this.longestLine = Math.max(this.longestLine, Buffer.byteLength(line));
    try {
      this.lines.push(JSON.parse(line));
    } catch {
      this.lines.push({ message: line });
    }
  }

  hasLogged(words) {
    return this.lines.some(({ message }) => message?.includes(words));
  }

  signal(name) {
    this.child.kill(name);
  }

  /** Stops the service, with SIGKILL after 30 seconds. @returns its exit, and the duration */
  async stop(name = 'SIGTERM') {
    const sentAt = performance.now();
    this.signal(name);
    const timer = setTimeout(() => this.signal('SIGKILL'), 30_000);
    const { code, signal } = await this.ended;
    clearTimeout(timer);
    return { code, signal, ms: performance.now() - sentAt };
  }

  /** Runs an action of inside.mjs in the service's process. */
  async tell(what, value) {
    const { promise, resolve } = Promise.withResolvers();
    this.child.once('message', resolve);
    this.child.send({ what, value });
    return promise;
  }

  /** The number of open files and sockets, on Linux only. */
  get openFiles() {
    return process.platform === 'linux' ? readdirSync(`/proc/${this.pid}/fd`).length : undefined;
  }

  async isReady() {
    const response = await fetch(`${this.url}/health/ready`, { signal: AbortSignal.timeout(2_000) }).catch(
      () => undefined,
    );
    await response?.body?.cancel();
    return response?.ok ?? false;
  }

  async ready() {
    await until(() => this.exit || this.isReady());
    if (this.exit) throw new Error(`the service has exited: ${JSON.stringify(this.lines.at(-1))}`);
    return this;
  }
}

async function listens(port) {
  const socket = connect(port, '127.0.0.1');
  const listening = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return listening;
}
