import { setTimeout as sleep } from 'node:timers/promises';

const PROBE_MS = 100;

/** Sends new requests in turn to the instances whose readiness probe succeeds. */
export class Balancer {
  #ready = new Set();
  #turn = 0;

  /** Adds an instance and probes its readiness until it exits. Resolves when the instance is ready. */
  async add(service) {
    await service.ready();
    this.#ready.add(service);
    void this.#watch(service);
  }

  async #watch(service) {
    while (!service.exit) {
      await sleep(PROBE_MS);
      if (await service.isReady()) this.#ready.add(service);
      else this.#ready.delete(service);
    }
    this.#ready.delete(service);
  }

  has(service) {
    return this.#ready.has(service);
  }

  /** @returns the address for a new request, or an address that refuses connections if no instance is ready */
  next() {
    const ready = [...this.#ready];
    return ready[this.#turn++ % ready.length]?.url ?? 'http://127.0.0.1:1';
  }
}
