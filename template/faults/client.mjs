import { Agent, request as httpRequest } from 'node:http';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** @returns what was sent and became of it: `at` and `ms`, and `status`, `headers` and `body` or else `error` */
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

/** Sends requests at a fixed rate, whatever becomes of them, and keeps a journal. */
export class Client {
  journal = new Journal();
  #agent;
  #open = new Set();
  #stopping = false;

  /**
   * @param {(number: number) => object} request what to send
   * @param {() => string | undefined} to the address that it goes to at this moment
   * @param {number} connections how many it opens at most
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
    // Every other one on a connection of its own, where that is asked for.
    const agent = this.fresh && number % 2 ? false : this.#agent;
    const to = this.to();
    const pending = send(to, { agent, ...this.request(number) }).then((entry) => this.journal.add({ ...entry, to }));
    this.#open.add(pending);
    void pending.finally(() => this.#open.delete(pending));
  }

  /** Connections that it keeps, which the service keeps open as well. */
  get connections() {
    const { sockets, freeSockets } = this.#agent;
    return [sockets, freeSockets].flatMap((each) => Object.values(each)).flat().length;
  }

  /** Sends no more, and waits for what is under way. */
  async stop() {
    this.#stopping = true;
    await this.running;
    return this.journal;
  }
}

/** What was sent and became of it. */
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

  /** Answered as it should be. */
  get served() {
    return this.filter(({ status }) => status >= 200 && status < 300);
  }

  get failed() {
    return this.filter(({ status }) => !(status >= 200 && status < 300));
  }

  /** Refused in the way that a client can use: come again, in so many seconds. */
  get turnedAway() {
    return this.filter(({ status, answerHeaders }) => status === 503 && answerHeaders['retry-after'] !== undefined);
  }

  /** Failed in any other way. */
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

  /** The median of the seconds' percentiles, which a moment that the machine was busy otherwise does not decide. */
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
