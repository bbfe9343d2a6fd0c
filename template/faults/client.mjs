import { Agent, request as httpRequest } from 'node:http';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** @returns the request with `at` and `ms`, and either `status`, headers and body, or `error` */
export async function send(
  url,
  { method = 'GET', path, headers, body, agent = false, signal, timeoutMs = 20_000, ...rest },
) {
  const at = performance.now();
  const data = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
  const type = data === undefined ? {} : { 'Content-Type': 'application/json' };
  const entry = { method, path, headers, body, ...rest, at };
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    const sent = httpRequest(url + path, {
      ...{ method, agent, headers: { ...type, ...headers } },
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    });
    sent.end(data);
    const [response] = await once(sent, 'response');
    const answer = await text(response);
    return {
      ...entry,
      ms: performance.now() - at,
      status: response.statusCode,
      answerHeaders: response.headers,
      answer,
    };
  } catch (error) {
    return { ...entry, ms: performance.now() - at, error: error.code ?? error.name };
  }
}

/** Sends requests at a constant rate, independent of responses, and records the results in a journal. */
export class Client {
  journal = new Journal();
  #agent;
  #open = new Set();
  #stopping = false;

  /**
   * @param {(number: number) => object} request returns the request with this number
   * @param {() => string | undefined} to returns the current address
   * @param {number} connections maximum number of connections
   */
  constructor({ rate, request, to, fresh = false, connections = Infinity }) {
    Object.assign(this, { request, to, fresh });
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
    this.running = this.#run(1000 / rate);
  }

  async #run(intervalMs) {
    const beganAt = performance.now();
    for (let number = 0; !this.#stopping; await sleep(Math.min(intervalMs, 5))) {
      for (const due = (performance.now() - beganAt) / intervalMs; number < due; number++) this.#send(number);
    }
    await Promise.all(this.#open);
    this.#agent.destroy();
  }

  #send(number) {
    // With `fresh`, every other request opens a new connection.
    const agent = this.fresh && number % 2 ? false : this.#agent;
    const to = this.to();
    const pending = send(to, { agent, ...this.request(number) }).then((entry) => this.journal.add({ ...entry, to }));
    this.#open.add(pending);
    void pending.finally(() => this.#open.delete(pending));
  }

  /** The number of open connections. The service also keeps them open. */
  get connections() {
    const { sockets, freeSockets } = this.#agent;
    return [sockets, freeSockets].flatMap((each) => Object.values(each)).flat().length;
  }

  /** Stops sending, and waits for the requests in flight. */
  async stop() {
    this.#stopping = true;
    await this.running;
    return this.journal;
  }
}

/** The results of requests. */
export class Journal {
  constructor(entries = []) {
    this.entries = entries;
  }

  add(entry) {
    this.entries.push(entry);
  }

  get count() {
    return this.entries.length;
  }

  filter(condition) {
    return new Journal(this.entries.filter(condition));
  }

  between(from, to = Infinity) {
    return this.filter(({ at }) => at >= from && at < to);
  }

  of(...kinds) {
    return this.filter(({ kind }) => kinds.includes(kind));
  }

  /** Successful requests. */
  get served() {
    return this.filter(({ status }) => status >= 200 && status < 300);
  }

  get failed() {
    return this.filter(({ status }) => !(status >= 200 && status < 300));
  }

  /** Requests that were rejected with 503 and Retry-After. */
  get turnedAway() {
    return this.filter(({ status, answerHeaders }) => status === 503 && answerHeaders['retry-after'] !== undefined);
  }

  /** Failed requests without a usable rejection. */
  get botched() {
    return this.failed.filter(
      ({ status, answerHeaders }) =>
        status !== 503 ||
        answerHeaders['retry-after'] === undefined ||
        !answerHeaders['content-type']?.startsWith('application/problem+json'),
    );
  }

  percentile(percent) {
    return quantile(
      this.entries.map(({ ms }) => ms),
      percent / 100,
    );
  }

  /** The median of the percentiles of each second, which is robust against short disturbances. */
  typicalPercentile(percent) {
    const seconds = Map.groupBy(this.entries, ({ at }) => Math.floor(at / 1000)).values();
    return quantile(
      [...seconds].map((entries) => new Journal(entries).percentile(percent)),
      0.5,
    );
  }

  /** "200 x 990, 503 x 9, ECONNRESET x 1" */
  get summary() {
    const groups = Object.groupBy(this.entries, ({ status, error }) => String(status ?? error));
    return Object.entries(groups)
      .map(([outcome, { length }]) => `${outcome} x ${length}`)
      .join(', ');
  }
}

function quantile(values, part) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}
