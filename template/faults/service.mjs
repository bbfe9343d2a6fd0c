import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { freePort } from '../../tools/dev/postgres.mjs';
import { timeUntil, until } from './until.mjs';
import { pinnedNode } from '../bench/machine.mjs';

const INSIDE = new URL('inside.mjs', import.meta.url).href;

/** The built service, or its baseline, in a process of its own. */
export class Service {
  /** What it has logged, a parsed line each. */
  lines = [];

  /** Resolves when it listens, or has ended. */
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
    child.on('error', () => undefined); // a message to a process that has just ended
    service.ended = once(child, 'close').then(([code, signal]) => {
      service.exit = { code, signal, at: performance.now() };
      return service.exit;
    });
    const waitedMs = await timeUntil(async () => service.exit || (await listens(port)), listensWithinMs);
    /** How long that took; Infinity when it does not listen. */
    service.listensMs = service.exit ? Infinity : waitedMs;
    return service;
  }

  #note(line) {
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

  /** @returns its exit, and how long that took; it is killed when it has not ended after half a minute */
  async stop(name = 'SIGTERM') {
    const sentAt = performance.now();
    this.signal(name);
    const timer = setTimeout(() => this.signal('SIGKILL'), 30_000);
    const { code, signal } = await this.ended;
    clearTimeout(timer);
    return { code, signal, ms: performance.now() - sentAt };
  }

  /** Has inside.mjs do something in its process. */
  async tell(what, value) {
    const { promise, resolve } = Promise.withResolvers();
    this.child.once('message', resolve);
    this.child.send({ what, value });
    return promise;
  }

  /** Its open files and sockets, where the system shows them. */
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
    if (this.exit) throw new Error(`it has ended: ${JSON.stringify(this.lines.at(-1))}`);
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
