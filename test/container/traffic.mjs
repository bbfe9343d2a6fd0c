import { setTimeout as sleep } from 'node:timers/promises';
import { workload } from './workload.mjs';

/** Sends the requests of the workload at a fixed rate to the given instances in turn. */
export class Traffic {
  /** The status or error code of each request, and when it was sent. */
  results = [];
  /** The requests with the expected status. */
  answered = [];
  #open = new Set();
  #stopping = false;

  constructor({ rate, headers, route }) {
    this.headers = headers;
    /** The instances for new requests. */
    this.route = route;
    this.running = this.#run(1000 / rate);
  }

  async #run(intervalMs) {
    const beganAt = performance.now();
    const waiting = [];
    for (let count = 0; !this.#stopping; await sleep(intervalMs)) {
      for (const due = (performance.now() - beganAt) / intervalMs; count < due; count++) waiting.push(count);
      while (waiting.length > 0 && this.#send(waiting[0])) waiting.shift();
    }
    await Promise.all(this.#open);
  }

  /** @returns false while containerConcurrency is reached everywhere, so that Cloud Run would queue the request */
  #send(number) {
    const instances = this.route.filter(({ ready }) => ready);
    if (instances.length === 0) {
      this.results.push({ status: 'no instance', sentAt: performance.now() });
      return true;
    }
    const first = number % instances.length;
    const instance = [...instances.slice(first), ...instances.slice(0, first)].find(({ hasRoom }) => hasRoom);
    if (!instance) return false;
    const pending = this.#measure(instance, workload.request(number));
    this.#open.add(pending);
    void pending.finally(() => this.#open.delete(pending));
    return true;
  }

  async #measure(instance, request) {
    const sentAt = performance.now();
    const { status } = await instance
      .send({ ...request, headers: this.headers })
      .catch(({ code, name }) => ({ status: code ?? name }));
    this.results.push({ status, sentAt });
    if (status === workload.status) this.answered.push(request);
  }

  /** Stops sending and waits for the requests in flight. */
  async stop() {
    this.#stopping = true;
    await this.running;
  }

  get failures() {
    return this.results.filter(({ status }) => status !== workload.status);
  }

  /** "1000 requests: 990 x 201, 10 x 503" */
  get summary() {
    const counts = Object.entries(Object.groupBy(this.results, ({ status }) => String(status)));
    return `${this.results.length} requests: ${counts.map(([status, { length }]) => `${length} x ${status}`).join(', ')}`;
  }
}
