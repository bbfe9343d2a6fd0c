// Starts each measured service in a separate process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../tools/dev/postgres.mjs';
import { NEST } from './baselines/build.mjs';
import { pinnedNode } from './machine.mjs';

const baseline = (file) => fileURLToPath(new URL(`baselines/${file}`, import.meta.url));

export const SERVICES = {
  ours: { title: 'this service', entry: 'dist/main.js' },
  http: { title: 'node:http', entry: baseline('http.mjs') },
  express: { title: 'Express 5', entry: baseline('express.mjs') },
  fastify: { title: 'Fastify 5', entry: baseline('fastify.mjs') },
  stock: { title: 'stock Nest 12', entry: NEST.stock },
  usual: { title: 'Nest, usual packages', entry: NEST.usual },
};

/** A port of this machine on which nothing listens. */
const UNREACHABLE = 'http://127.0.0.1:1';

/** Exports full batches only. The timer of a batch would export between the measurements. */
const FULL_BATCHES = { OTEL_BSP_SCHEDULE_DELAY: '60000' };

/** Variants of this service, with the settings that differ. The argument is the URL of an OTLP collector. */
export const VARIANTS = {
  off: { title: 'everything off', env: () => ({ LOG_LEVEL: 'silent' }) },
  limited: { title: 'rate limit on', env: () => ({ RATE_LIMIT_PER_MINUTE: '10000' }) },
  unsampled: {
    title: 'tracing, not sampled',
    env: (collectorUrl) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl, OTEL_TRACES_SAMPLER: 'always_off' }),
  },
  sampled: {
    title: 'tracing, sampled',
    env: (collectorUrl) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl, ...FULL_BATCHES }),
  },
  unreachable: {
    title: 'tracing, collector unreachable',
    env: () => ({ OTEL_EXPORTER_OTLP_ENDPOINT: UNREACHABLE, ...FULL_BATCHES }),
  },
  mcp: { title: 'MCP tool call', env: () => ({ MCP_ENABLED: 'true' }) },
};

/** Returns the title of a service or variant. */
export const titleOf = (name) => (SERVICES[name] ?? VARIANTS[name]).title;

/** Those of the deployed service, because they determine the memory of every Node process. */
const [, NODE_OPTIONS] = /^NODE_OPTIONS +all +plain +(.*)$/m.exec(readFileSync('deploy/settings.txt', 'utf8'));

/** Environment of all services. The limits of this service are off, because the baselines have none. */
const SETTINGS = {
  NODE_ENV: 'production',
  NODE_OPTIONS,
  HOST: '127.0.0.1',
  DATABASE_POOL_MAX: '10',
  LOG_LEVEL: 'info',
  RATE_LIMIT_PER_MINUTE: '0',
  CONCURRENCY_LIMIT: '10000',
};

const READY_WITHIN_MS = 60_000;
const running = new Set();

/**
 * Starts a service and waits for the first 200 of its /health/ready.
 * @param {string} name one of SERVICES or VARIANTS
 * @param {{ databaseUrl: string, collectorUrl?: string, preload?: string }} options preload: a module that replies to messages
 */
export async function startService(name, { databaseUrl, collectorUrl, preload }) {
  const { entry } = SERVICES[name] ?? SERVICES.ours;
  const env = VARIANTS[name]?.env(collectorUrl);
  const port = await freePort();
  const [command, ...args] = [...pinnedNode, ...(preload ? ['--import', preload] : []), entry];
  const startedAt = performance.now();
  const child = spawn(command, args, {
    env: { ...process.env, ...SETTINGS, ...env, DATABASE_URL: databaseUrl, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit', ...(preload ? ['ipc'] : [])],
  });
  const exited = once(child, 'exit').then(() => running.delete(child));
  running.add(child);
  const url = `http://127.0.0.1:${port}`;
  const agent = new Agent({ keepAlive: true });
  const patience = AbortSignal.timeout(READY_WITHIN_MS);
  while (!(await isReady(`${url}/health/ready`, { agent, signal: patience }))) {
    if (!running.has(child)) throw new Error(`${titleOf(name)} exited before it was ready.`);
    if (patience.aborted) throw new Error(`${titleOf(name)} did not become ready.`);
    await sleep(1);
  }
  const readyMs = performance.now() - startedAt;
  agent.destroy();
  return {
    name,
    child,
    pid: child.pid,
    url,
    readyMs,
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Kills all services. Pending operations fail. */
export function killServices() {
  for (const child of running) child.kill('SIGKILL');
}

function isReady(url, options) {
  return new Promise((resolve) => {
    get(url, options, (response) => {
      response.resume().once('end', () => resolve(response.statusCode === 200));
    }).once('error', () => resolve(false));
  });
}
