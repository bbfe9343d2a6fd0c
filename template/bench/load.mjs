import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';
import { coreSeconds, cpuSeconds } from './machine.mjs';
import { median, quantile } from './statistics.mjs';

const CONNECTIONS = 32;

const ATTEMPTS = 3;
/** Fraction of the core that other processes used. Above it, the measurement is repeated. */
const DISTURBED = 0.03;

/** Start of the open loop, in which connections are opened. It is not measured. */
const RAMP_UP_SECONDS = 1;

/** Status of load shedding. A service that sheds load cannot sustain the rate. */
const TURNED_AWAY = 503;

/** Maximum number of requests in flight. A service with more requests in flight cannot sustain the rate. */
const OVERLOADED = 2_000;

/**
 * Returns a function that sends an amount of requests in a closed loop, on connections that remain open between its calls. It
 * returns the CPU time of the service in microseconds per request.
 */
export function cpuMeter({ url, pid }, connections) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let sent = 0;
  return async (requests, amount) => {
    const before = cpuSeconds(pid);
    const end = sent + amount;
    const sendInTurn = async () => {
      while (sent < end) await send(url, requests[sent++ % requests.length], agent);
    };
    await Promise.all(Array.from({ length: connections }, sendInTurn));
    return ((cpuSeconds(pid) - before) * 1e6) / amount;
  };
}

/**
 * Sends requests in a closed loop: each connection sends the next request after the previous response.
 * @param duration in seconds
 * @returns requests per second and, if available, the fraction of the service's core that other processes used
 */
export async function closedLoop({ url, pid }, requests, { duration: seconds }) {
  const [cpuBefore, coreBefore] = [cpuSeconds(pid), coreSeconds()];
  const {
    requests: answered,
    duration,
    non2xx,
    errors,
  } = await autocannon({
    url,
    connections: CONNECTIONS,
    duration: seconds,
    sampleInt: 100,
    requests,
  });
  if (non2xx + errors > 0) throw new Error(`${non2xx + errors} of ${answered.total} requests failed.`);
  const cpu = cpuSeconds(pid) - cpuBefore;
  return {
    rate: answered.total / duration,
    others: (coreSeconds() - coreBefore - cpu) / duration,
  };
}

/** Repeats the measurement up to twice if other processes used the core. Returns the least disturbed result. */
export async function quietClosedLoop(...args) {
  let quietest = await closedLoop(...args);
  for (let attempt = 1; attempt < ATTEMPTS && quietest.others > DISTURBED; attempt++) {
    const next = await closedLoop(...args);
    if (next.others < quietest.others) quietest = next;
  }
  return quietest;
}

/**
 * Sends requests at a constant rate, independent of responses. Latency counts from the scheduled time of a request, even
 * if the request was sent late. autocannon sends bursts at the beginning of each second instead.
 * @param seconds an integer
 * @returns the median of the p99 of each second, which is robust against short disturbances, and the p99.9 of all
 *   requests, in milliseconds; undefined if the service cannot sustain the rate
 */
export async function openLoop({ url }, requests, rate, seconds) {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const latencies = Array.from({ length: RAMP_UP_SECONDS + seconds }, () => []);
  const failures = [];
  let turnedAway = 0;
  const underWay = new Set();
  const total = Math.floor(rate * latencies.length);
  const startedAt = performance.now();
  const dueAt = (index) => startedAt + (index * 1000) / rate;
  for (let sent = 0; sent < total && underWay.size < OVERLOADED; await sleep(1)) {
    for (; sent < total && dueAt(sent) <= performance.now(); sent++) {
      const due = dueAt(sent);
      const second = Math.floor(sent / rate); // the difference of two times would have a rounding error
      const answer = send(url, requests[sent % requests.length], agent)
        .then(() => latencies[second].push(performance.now() - due))
        .catch((error) => {
          if (error.status !== TURNED_AWAY) failures.push(error);
          else if (second >= RAMP_UP_SECONDS) turnedAway++;
        })
        .finally(() => underWay.delete(answer));
      underWay.add(answer);
    }
  }
  const isFull = underWay.size >= OVERLOADED;
  await Promise.all(underWay);
  agent.destroy();
  if (failures.length > 0) throw failures[0];
  if (isFull || turnedAway > 0) return undefined;
  const measured = latencies.slice(RAMP_UP_SECONDS);
  return { p99: median(measured.map((second) => quantile(second, 0.99))), p999: quantile(measured.flat(), 0.999) };
}

function send(url, { path, body, ...options }, agent) {
  return new Promise((resolve, reject) => {
    httpRequest(url + path, { agent, ...options }, (response) => {
      response.resume().once('end', () => {
        if (response.statusCode < 300) resolve();
        else
          reject(
            Object.assign(new Error(`${path} was answered with ${response.statusCode}.`), {
              status: response.statusCode,
            }),
          );
      });
    })
      .once('error', reject)
      .end(typeof body === 'function' ? body() : body);
  });
}
