import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { idOf } from '../bench/database.mjs';
import { send } from '../faults/client.mjs';
import { until } from '../faults/until.mjs';

/** A new scenario starts at this rate, also while earlier ones wait. */
const SCENARIO_INTERVAL_MS = 1000;

/**
 * Reads, lists, creates and updates customers, orders and lines, and compares each response with the earlier writes. Each
 * request is valid for the previous release and for the next one, and can go to either.
 */
export class Traffic {
  requests = 0;
  created = 0;
  /** Of requests that failed or returned other values. */
  failures = [];
  /** The values of the rows that were written, by path. */
  written = new Map();
  /** The number of requests by address. */
  served = new Map();
  #scenarios = [];
  #paused = false;
  #stopped = false;
  #agent = new Agent({ keepAlive: true });

  /**
   * @param {() => string} to returns the address for the next request
   * @param {number} rows The first tenth of the rows of each table is updated.
   */
  constructor({ to, key, rows, lists }) {
    Object.assign(this, { to, rows, lists });
    this.headers = { 'x-api-key': key };
    this.running = this.#run();
  }

  async #run() {
    while (!this.#stopped) {
      const number = this.#scenarios.length;
      const scenario = () => this.#scenario(number).catch((error) => this.failures.push(error.message));
      if (!this.#paused) this.#scenarios.push(scenario());
      await sleep(SCENARIO_INTERVAL_MS);
    }
  }

  /** Resolves when this number of new scenarios has ended. */
  async complete(count) {
    const from = this.#scenarios.length;
    await until(() => this.#scenarios.length >= from + count, 600_000);
    await Promise.all(this.#scenarios);
  }

  async stop() {
    this.#stopped = true;
    await this.running;
    await Promise.all(this.#scenarios);
    this.#agent.destroy();
  }

  /** Sends a request whose response must have the status and contain the values. */
  async #expect(status, request, values = {}) {
    const url = this.to();
    const path = `/v1/${request.path}`;
    const response = await send(url, {
      ...request,
      path,
      headers: { ...this.headers, ...request.headers },
      agent: this.#agent,
    });
    this.requests++;
    this.served.set(url, (this.served.get(url) ?? 0) + 1);
    const where = `${request.method ?? 'GET'} ${path}: ${response.status ?? response.error} ${response.answer}`;
    assert.equal(response.status, status, where);
    const body = JSON.parse(response.answer);
    assert.partialDeepStrictEqual(body, values, where);
    return { body, etag: response.answerHeaders.etag };
  }

  async #create(path, values) {
    const { body } = await this.#expect(201, { method: 'POST', path, body: values }, values);
    this.created++;
    this.written.set(`${path}/${body.id}`, values);
    return body.id;
  }

  async #update(path, changes) {
    const { etag } = await this.read(path);
    await this.#expect(200, { method: 'PATCH', path, body: changes, headers: { 'If-Match': etag } }, changes);
    this.written.set(path, { ...this.written.get(path), ...changes });
    await this.read(path);
  }

  /** Returns the response of a row, which must have the values that were written. */
  read(path) {
    return this.#expect(200, { path }, this.written.get(path));
  }

  /** Waits for the requests in flight, and sends none until `resume()`. */
  async pause() {
    this.#paused = true;
    await Promise.all(this.#scenarios);
  }

  resume() {
    this.#paused = false;
  }

  /** Reads all rows that were written, while the traffic pauses. */
  async verify() {
    const paths = [...this.written.keys()];
    const readers = Array.from({ length: 4 }, async () => {
      for (let path = paths.pop(); path; path = paths.pop()) await this.read(path);
    });
    await Promise.all(readers);
  }

  /**
   * Has an odd number of requests, and an odd number between the creation of a row, its update and the next read. With two
   * instances in turn, one of them updates and reads what the other one has written.
   */
  async #scenario(number) {
    const name = `traffic-${number}`;
    const customer = { name, email: `${name}@example.com`, street: 'Main Street', city: 'Ulm' };
    const customerId = await this.#create('customers', customer);
    const order = { number: name, customerId, orderedOn: '2026-11-29', status: 'draft', note: `note ${name}` };
    const orderId = await this.#create('orders', order);
    const lineId = await this.#create('order-lines', { orderId, product: 'Tea', quantity: number, price: '12.50' });
    await this.#expect(
      200,
      { path: `orders?customerId=${customerId}` },
      { items: [{ id: orderId, note: order.note }] },
    );
    await this.#update(`customers/${customerId}`, { city: `Bonn ${number}` });
    await this.#update(`orders/${orderId}`, { status: 'sent', note: `sent ${number}` });
    await this.#update(`order-lines/${lineId}`, { quantity: number + 1 });
    await this.#expect(200, { path: `orders?q=${encodeURIComponent(`sent ${number}`)}` });
    await this.#expect(200, { path: Object.keys(this.lists)[number % Object.keys(this.lists).length] });

    const id = idOf(1 + (number % (this.rows / 10)));
    if (number % 3 === 0) await this.#update(`customers/${id}`, { city: `Rome ${number}` });
    if (number % 3 === 1) await this.#update(`orders/${id}`, { note: `changed ${number}` });
    if (number % 3 === 2) await this.#update(`order-lines/${id}`, { quantity: 1_000_000 + number });
  }
}
