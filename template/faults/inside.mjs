// Preloaded into the service. Runs the actions that a drill sends as messages.
import dns from 'node:dns';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const lookup = dns.lookup;
const now = Date.now;
const RealDate = Date;
const loopDelay = monitorEventLoopDelay({ resolution: 1 });
let resolves = true;

// Controls the resolution of the database's hostname in the DNS drill. Other names are resolved as usual.
dns.lookup = (name, options, callback) => {
  if (name !== 'database.drill') return lookup(name, options, callback);
  if (resolves) return lookup('127.0.0.1', options, callback);
  return callback(
    Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND', syscall: 'getaddrinfo' }),
  );
};

const actions = {
  memory() {
    globalThis.gc();
    return process.memoryUsage().heapUsed;
  },
  /** Returns the longest event loop delay since the previous call, in milliseconds. */
  loop() {
    loopDelay.enable();
    const longest = loopDelay.max / 1e6;
    loopDelay.reset();
    return longest;
  },
  dns(works) {
    resolves = works;
  },
  clock(shiftMs) {
    Date.now = () => now() + shiftMs;
    globalThis.Date = class extends RealDate {
      constructor(...values) {
        if (values.length > 0) super(...values);
        else super(Date.now());
      }
    };
    globalThis.Date.now = () => now() + shiftMs;
  },
  exception() {
    setImmediate(() => {
      throw new Error('a drill');
    });
  },
  rejection() {
    void Promise.reject(new Error('a drill'));
  },
  /** Allocates memory until V8 reaches its heap limit and ends the process. */
  exhaust() {
    const kept = [];
    setInterval(() => kept.push(Array.from({ length: 250_000 }, () => ({}))), 20);
  },
};

process.on('message', ({ what, value }) => process.send(actions[what](value) ?? 'done'));
process.channel.unref();
