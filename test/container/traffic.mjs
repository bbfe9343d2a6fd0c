import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Sends requests at a fixed rate, whatever becomes of them, to the instances that are given to it, in turn. Every
 * second request makes a voucher, every other one redeems the same one.
 */
export class Traffic {
  /** Of each request: status (0 when there was no answer), milliseconds, and the time of day it was sent at. */
  results = [];
  /** Codes whose creation was answered with 201. */
  acknowledged = [];
  /** How many redemptions were. */
  redemptions = 0;
  #open = new Set();
  #count = 0;
  #stopping = false;

  constructor({ rate, headers, route }) {
    this.headers = headers;
    /** The instances that new requests go to; an empty list is Cloud Run's own 503. */
    this.route = route;
    this.running = this.#run(1000 / rate);
  }

  async #run(intervalMs) {
    const beganAt = performance.now();
    while (!this.#stopping) {
      const due = Math.floor((performance.now() - beganAt) / intervalMs);
      while (this.#count < due) this.#send(++this.#count);
      await sleep(intervalMs);
    }
    await Promise.all(this.#open);
  }

  #send(number) {
    const instances = this.route.filter(({ ready }) => ready);
    if (instances.length === 0) {
      this.results.push({ status: 'no instance' });
      return;
    }
    const instance = instances[number % instances.length];
    // Not the remainder by two, which would send all of a kind to one of two instances.
    const pending = number % 4 < 2 ? this.#create(instance, `LOAD-${number}`) : this.#redeem(instance);
    this.#open.add(pending);
    void pending.finally(() => this.#open.delete(pending));
  }

  async #create(instance, code) {
    const status = await this.#measure(instance, '/v1/vouchers', { code, maxRedemptions: 1 });
    if (status === 201) this.acknowledged.push(code);
  }

  async #redeem(instance) {
    const status = await this.#measure(instance, '/v1/vouchers/SHARED/redemptions');
    if (status === 201) this.redemptions++;
  }

  async #measure(instance, path, body) {
    const sentAt = performance.now();
    const { status } = await instance
      .send({ method: 'POST', path, body, headers: this.headers })
      .catch(({ code, name }) => ({ status: code ?? name }));
    this.results.push({ status, sentAt, ms: performance.now() - sentAt });
    return status;
  }

  /** Sends no more, and waits for what is under way. */
  async stop() {
    this.#stopping = true;
    await this.running;
  }

  get failures() {
    return this.results.filter(({ status }) => status !== 201);
  }

  /** "1000 requests: 990 x 201, 10 x 503" */
  get summary() {
    const counts = Object.entries(Object.groupBy(this.results, ({ status }) => String(status)));
    return `${this.results.length} requests: ${counts.map(([status, { length }]) => `${length} x ${status}`).join(', ')}`;
  }
}
