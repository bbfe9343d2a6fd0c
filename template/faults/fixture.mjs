import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { check, settle } from './checker.mjs';
import { Client, Journal, send } from './client.mjs';
import { Proxy } from './proxy.mjs';
import { Service } from './service.mjs';
import { mixed, seed } from './workload.mjs';

/** Interval of the probes. */
const PROBE_MS = 100;

/** The database, proxy and services of one drill. Closed when the drill ends. */
export class Fixture {
  #stack = new AsyncDisposableStack();
  #services = [];
  /** Keep-alive connections, for requests that do not require a new one. */
  agent = new Agent({ keepAlive: true });

  static async open({ target, postgres, isLong, isSoak, name }) {
    const fixture = new Fixture();
    Object.assign(fixture, { target, postgres, isLong, isSoak });
    fixture.database = await postgres.create(`drill_${name.toLowerCase().replace('-', '_')}`);
    fixture.proxy = await Proxy.start(postgres.port);
    fixture.#stack.defer(() => fixture.proxy.stop());
    fixture.#stack.defer(() => fixture.agent.destroy());
    return fixture;
  }

  async close() {
    await this.#stack.disposeAsync();
  }

  /** Returns a duration in milliseconds: the first value with `isLong`, otherwise the second. */
  seconds(long, short) {
    return (this.isLong ? long : short) * 1000;
  }

  /** Registers a cleanup, which runs even if the drill fails. */
  defer(undo) {
    this.#stack.defer(undo);
  }

  /** Creates the schema, the vouchers of the workload, and the API key of the target. */
  async migrate() {
    const { code, output } = await this.runProgram('dist/migrate.js').ended;
    if (code !== 0) throw new Error(`the migrations fail: ${output}`);
    await seed(this.database);
    if (!this.target.key) return;
    const { id, hash, name, scopes } = this.target.key;
    await this.database.query('INSERT INTO api_keys (id, hash, name, scopes) VALUES ($1, $2, $3, $4)', [
      id,
      hash,
      name,
      scopes,
    ]);
  }

  /** Runs another program of dist/ through the proxy. */
  runProgram(program) {
    const child = spawn(process.execPath, [program], {
      env: { PATH: process.env.PATH, NODE_ENV: 'production', DATABASE_URL: this.database.url(this.proxy.port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#stack.defer(() => child.kill('SIGKILL'));
    const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
      ([[code, signal], ...output]) => ({ code, signal, output: output.join('') }),
    );
    return { child, ended };
  }

  /** Starts the service on the drill's database through the proxy. Resolves when it listens. */
  async listen(options = {}) {
    const service = await Service.start(this.target, {
      databaseUrl: this.database.url(this.proxy.port, options.databaseHost),
      ...options,
    });
    this.#services.push(service);
    this.#stack.defer(async () => {
      service.signal('SIGKILL');
      await service.ended;
    });
    return service;
  }

  /** The distinct error messages that the services logged. */
  get errors() {
    const errors = this.#services.flatMap(({ lines }) => lines).filter(({ severity }) => severity === 'ERROR');
    return [...new Set(errors.map(({ message }) => message))];
  }

  /** Migrates the database and starts the service. Resolves when it is ready. */
  async serve(options) {
    await this.migrate();
    return (await this.listen(options)).ready();
  }

  /** Sends requests at a constant rate until the drill ends or stops the client. */
  load({ service, rate = 100, request = mixed, to = () => service.url, ...rest }) {
    const client = new Client({ rate, to, request: (number) => this.as(request(number)), ...rest });
    this.#stack.defer(() => client.stop());
    return client;
  }

  /** Adds the credential of the target to the request. */
  as(request) {
    return { ...request, headers: { ...request.headers, ...this.target.headers } };
  }

  send(service, request) {
    return send(service.url, this.as(request));
  }

  /** Probes readiness, and liveness if the target has it, until the drill ends. @returns the results */
  probe(service) {
    const probes = { ready: new Journal(), ...(this.target.hasLiveness && { live: new Journal() }) };
    const stop = new AbortController();
    const ask = async (name) => {
      while (!stop.signal.aborted) {
        probes[name].add(await send(service.url, { path: `/health/${name}`, timeoutMs: 5_000 }));
        await sleep(PROBE_MS);
      }
    };
    const asking = Promise.all(Object.keys(probes).map(ask));
    probes.stop = async () => {
      stop.abort();
      await asking;
    };
    this.#stack.defer(probes.stop);
    return probes;
  }

  /** Stops the traffic, retries unacknowledged writes, and compares the acknowledged writes with the database. */
  async check(service, ...clients) {
    const journal = new Journal(
      (await Promise.all(clients.map((client) => client.stop()))).flatMap(({ entries }) => entries),
    );
    await settle(this.target, service.url, journal);
    return check(this.database, journal);
  }
}
