import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../tools/dev/postgres.mjs';
import { docker, LABEL } from './docker.mjs';
import { job, service } from './manifest.mjs';

/** https://cloud.google.com/run/docs/container-contract#instance-shutdown */
const KILL_AFTER_MS = 10_000;

/** Variables that a platform may set, and that the image must not depend on. */
const HOSTILE = { HOME: '/nowhere', TMPDIR: '/nowhere', TZ: 'Pacific/Chatham', LANG: 'xx_XX' };

/** The scenarios exceed the rate limit of one client. */
const UNLIMITED = { RATE_LIMIT_PER_MINUTE: '0' };

/** A container that is started, probed and killed as Cloud Run does it by deploy/service.yaml. */
export class Instance {
  /** The parsed log, and output that is not JSON. */
  lines = [];
  noise = [];
  /** The state, with the reason for a kill. */
  verdict = 'starting';
  /** The time until the startup probe succeeded. */
  startMs = undefined;
  /** Whether Cloud Run would route requests to it. */
  ready = false;
  probes = { startup: [], liveness: [], readiness: [] };
  #inFlight = 0;

  /** Starts a container that listens on a random PORT. Resolves when the container runs. */
  static async start({ image, network, database, revision = 'api-00001-abc', env = {}, mounts = [] }) {
    const port = await freePort();
    const instance = new Instance(port);
    const cloudRun = { PORT: port, K_SERVICE: 'api', K_REVISION: revision, K_CONFIGURATION: 'api' };
    await docker(
      ...['create', '--name', instance.name, '--network', network, '--publish', `127.0.0.1:${port}:${port}`],
      ...(service.user === undefined ? [] : ['--user', String(service.user)]),
      ...confinement(service, database, mounts),
      ...variables({
        ...{ ...HOSTILE, ...UNLIMITED, ...Object.fromEntries(service.environment(database.url)) },
        ...{ ...cloudRun, ...env },
      }),
      ...[image, ...service.args],
    );
    instance.#run();
    return instance;
  }

  constructor(port) {
    this.port = port;
    this.name = `container-test-${randomBytes(4).toString('hex')}`;
    this.agent = new Agent({ keepAlive: true });
  }

  #run() {
    const child = spawn('docker', ['start', '--attach', this.name], { stdio: ['ignore', 'pipe', 'pipe'] });
    createInterface({ input: child.stdout }).on('line', (line) => {
      try {
        this.lines.push(JSON.parse(line));
      } catch {
        this.noise.push(line);
      }
    });
    createInterface({ input: child.stderr }).on('line', (line) => this.noise.push(line));
    this.startedAt = performance.now();
    /** Resolves with the exit code. */
    this.ended = once(child, 'close').then(([code]) => {
      this.exitCode = code;
      this.ready = false;
      this.agent.destroy();
      return code;
    });
    /** Resolves with whether the startup probe succeeded. */
    this.started = this.#watch();
  }

  async #watch() {
    const { failureThreshold } = service.startup;
    const began = await this.#probe('startup', (passed, inARow) => passed || inARow >= failureThreshold);
    if (this.exitCode !== undefined) return false;
    if (!began) {
      await this.#kill('killed by the startup probe');
      return false;
    }
    this.startMs = performance.now() - this.startedAt;
    this.verdict = 'serving';
    this.ready = true; // Cloud Run sends requests before the first readiness probe
    void this.#watchLiveness();
    void this.#watchReadiness();
    return true;
  }

  async #watchLiveness() {
    const { failureThreshold } = service.liveness;
    await this.#probe('liveness', (passed, inARow) => !passed && inARow >= failureThreshold);
    if (this.exitCode === undefined) await this.#kill('killed by the liveness probe');
  }

  #watchReadiness() {
    const { failureThreshold, successThreshold } = service.readiness;
    return this.#probe('readiness', (passed, inARow) => {
      if (inARow >= (passed ? successThreshold : failureThreshold)) this.ready = passed;
      return false;
    });
  }

  /** Probes periodically until `isDecided(passed, inARow)`. @returns the last result */
  async #probe(kind, isDecided) {
    const { path, delayMs, periodMs, timeoutMs } = service[kind];
    const beganAt = performance.now() + delayMs;
    let passed = false;
    let inARow = 0;
    for (let count = 0; ; count++) {
      await sleep(Math.max(0, beganAt + count * periodMs - performance.now()), undefined, { ref: false });
      if (this.exitCode !== undefined) return false;
      const status = await this.get(path, { timeoutMs, agent: false }).then(
        (answer) => answer.status,
        () => 0,
      );
      const before = passed;
      passed = status >= 200 && status < 400;
      inARow = passed === before ? inARow + 1 : 1;
      this.probes[kind].push({ passed, atMs: performance.now() - this.startedAt });
      if (isDecided(passed, inARow)) return passed;
    }
  }

  async #kill(verdict) {
    this.verdict = verdict;
    this.killedAfterMs = performance.now() - this.startedAt;
    await this.signal('KILL');
    await this.ended;
  }

  get(path, options) {
    return this.send({ path, ...options });
  }

  /** Sends a request on a keep-alive connection. @returns status, headers and parsed body */
  async send({ method = 'GET', path, headers, body, timeoutMs = 15_000, agent = this.agent }) {
    const data = body === undefined ? undefined : JSON.stringify(body);
    const type = data === undefined ? {} : { 'Content-Type': 'application/json' };
    const sent = request({
      ...{ host: '127.0.0.1', port: this.port, agent, method, path },
      headers: { ...type, ...headers },
      signal: AbortSignal.timeout(timeoutMs),
    });
    this.#inFlight++;
    try {
      sent.end(data);
      const [response] = await once(sent, 'response');
      const answer = await text(response);
      return { status: response.statusCode, headers: response.headers, body: answer ? JSON.parse(answer) : undefined };
    } finally {
      this.#inFlight--;
    }
  }

  /** Whether containerConcurrency allows another request. */
  get hasRoom() {
    return this.#inFlight < service.concurrency;
  }

  hasLogged(words) {
    return this.lines.some(({ message }) => message.includes(words));
  }

  async signal(name) {
    await docker('kill', '--signal', name, this.name).catch(() => undefined); // it may have exited
  }

  /** Stops it as Cloud Run does: SIGTERM, and SIGKILL ten seconds later. */
  async stop() {
    const sentAt = performance.now();
    await this.signal('TERM');
    const timer = setTimeout(() => void this.signal('KILL'), KILL_AFTER_MS);
    const code = await this.ended;
    clearTimeout(timer);
    return { code, ms: performance.now() - sentAt };
  }
}

/** Runs a program of the image by deploy/migrate-job.yaml. @returns exit code and output */
export async function runJob({ image, database, args = job.args }) {
  const child = spawn('docker', [
    ...['run', '--rm', '--network', 'none', ...confinement(job, database)],
    ...variables({ ...HOSTILE, ...Object.fromEntries(job.environment(database.url)) }),
    ...[image, ...args],
  ]);
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return { code, output };
}

/** The limits of Cloud Run, or stricter ones. */
function confinement({ cpu, memory }, { directory }, mounts = []) {
  return [
    ...['--label', LABEL, '--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
    ...['--memory', memory, '--memory-swap', memory, '--cpus', cpu],
    ...[`${directory}:/cloudsql`, ...mounts].flatMap((mount) => ['--volume', mount]),
  ];
}

function variables(values) {
  return Object.entries(values).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
}
