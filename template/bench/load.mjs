import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';
import { coreSeconds, cpuSeconds } from './machine.mjs';
import { median, quantile } from './statistics.mjs';

const CONNECTIONS = 32;

const ATTEMPTS = 3;
/** As a part of the core. */
const DISTURBED = 0.03;

/** Of the open loop: its connections are opened meanwhile, and what they take does not count. */
const RAMP_UP_SECONDS = 1;

/** A service that sheds load says so, and then the rate is more than it can bear as well. */
const TURNED_AWAY = 503;

/** More requests under way than this, and the rate is more than the service can bear. */
const OVERLOADED = 2_000;

/**
 * As many requests as the service answers: each connection sends the next one when it has the answer.
 * @returns requests a second, and where it is known the parts of its core that the service has used, and others
 */
export async function closedLoop({ url, pid }, requests, seconds) {
  const [cpuBefore, coreBefore] = [cpuSeconds(pid), coreSeconds()];
  let connection = 0;
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
    // Each begins elsewhere: in step they would wait for each other at the same rows.
    setupClient: (client) => client.setRequests(beginningAt(requests, connection++ / CONNECTIONS)),
  });
  if (non2xx + errors > 0) throw new Error(`${non2xx + errors} of ${answered.total} requests have failed.`);
  const cpu = (cpuSeconds(pid) - cpuBefore) / duration;
  return { rate: answered.total / duration, cpu, others: (coreSeconds() - coreBefore) / duration - cpu };
}

/** autocannon keeps the bytes of a request in the request itself. */
const copy = (request) => ({ ...request });

function beginningAt(requests, part) {
  const first = Math.floor(requests.length * part);
  return requests.slice(first).concat(requests.slice(0, first)).map(copy);
}

/** Measures again, twice at most, when something else has used the service's core, and takes the quietest. */
export async function quietClosedLoop(...args) {
  let quietest = await closedLoop(...args);
  for (let attempt = 1; attempt < ATTEMPTS && quietest.others > DISTURBED; attempt++) {
    const next = await closedLoop(...args);
    if (next.others < quietest.others) quietest = next;
  }
  return quietest;
}

/**
 * A request at each moment of a steady rate, however long the answers to those before take: clients do not wait for
 * each other. A latency counts from the moment at which the request was due, also when it was sent late. autocannon
 * cannot do it: its rates are bursts at the beginning of each second.
 * @param seconds a whole number
 * @returns in milliseconds the p99 of a usual second, which a hiccup of the machine does not change, and the p99.9 of
 *   all; undefined when the service does not keep up
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
      const second = Math.floor((due - startedAt) / 1000);
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

function send(url, { path, ...options }, agent) {
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
      .end(options.body);
  });
}
