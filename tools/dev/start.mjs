// `npm start`, and with --watch `npm run dev`: builds, starts the embedded PostgreSQL unless DATABASE_URL is set,
// migrates, runs the app, and takes all of it down again in the opposite order.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildIfStale, listInputs, markMade, NEST } from '../build/build.mjs';
import { DEVELOPMENT, startPostgres } from './postgres.mjs';

if (existsSync('.env')) process.loadEnvFile();
const port = Number(process.env.PORT || 8080);
const host = process.env.HOST || '0.0.0.0';
const origin = `http://${['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host}:${port}`;
const watching = process.argv.includes('--watch');
/** What is watched is not bundled: a change should be seen at once. */
const programs = watching ? 'build' : 'dist';
const embedded = !process.env.DATABASE_URL && process.env.NODE_ENV !== 'production';

// For what is not bundled: https://nodejs.org/api/module.html#module-compile-cache
process.env.NODE_COMPILE_CACHE ||= 'node_modules/.cache/node';

const children = new Set();
let stopping = false;
let announced = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
const caller = findCaller();
setInterval(() => findCaller() !== caller && stop(), 250).unref();

let database;
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await database?.stop();
}
process.exit();

async function main() {
  if (!(await isPortFree())) {
    const command = watching ? 'npm run dev' : 'npm start';
    throw new Error(`Port ${port} is in use. Set PORT to another one: PORT=${port + 1} ${command}`);
  }
  if (!watching) buildIfStale();
  if (embedded) {
    database = await startPostgres(DEVELOPMENT);
    process.env.DATABASE_URL = database.url;
    process.env.RATE_LIMIT_PER_MINUTE ||= '0';
  }
  const code = watching ? await watch() : (await migrate()) || (await runApp());
  return stopping && code > 128 ? 0 : code;
}

/** Who is to end this process; changes when npm was killed and can pass on no signal. Some shells stay in between. */
function findCaller() {
  try {
    const [, npm] = /^\d+ \(sh\) . (\d+)/.exec(readFileSync(`/proc/${process.ppid}/stat`, 'utf8')) ?? [];
    return `${process.ppid} ${npm}`;
  } catch {
    return `${process.ppid}`;
  }
}

/** The app of a `npm start` that was killed a moment ago may still be draining. */
async function isPortFree() {
  if (!(port > 0 && port < 65_536)) return true;
  for (const begin = Date.now(); Date.now() - begin < 2000; await sleep(100)) {
    const server = createServer().listen(port, host);
    const error = await once(server, 'listening').then(
      () => undefined,
      (reason) => reason,
    );
    server.close();
    if (error?.code !== 'EADDRINUSE') return true;
  }
  return false;
}

/** Only the embedded database is migrated at the start. Resolves to the exit code. */
async function migrate() {
  if (!embedded || stopping) return 0;
  return exitOf(start([`${programs}/migrate.js`]));
}

async function runApp() {
  if (stopping) return 0;
  return exitOf(startApp());
}

function startApp() {
  const app = start([`${programs}/main.js`]);
  const key = embedded ? exitOf(start(['tools/dev/development-key.mjs'])) : undefined;
  void announce(app, key);
  return app;
}

/** Restarts the app after each successful compilation; after one with errors the running app stays. */
async function watch() {
  // A request in flight should not hold up the restart.
  process.env.SHUTDOWN_TIMEOUT_MS ||= '500';
  const compiler = start([NEST, 'build', '--watch', '--preserveWatchOutput'], 'pipe');
  let app;
  let inputs;
  let migrated;
  for await (const line of createInterface({ input: compiler.stdout })) {
    if (line.trim()) console.log(line);
    if (line.includes('Starting')) inputs = listInputs();
    if (!line.includes('Found 0 errors')) continue;
    if (inputs === listInputs()) markMade('build', inputs);
    await end(app);
    const migrations = inputs
      .split('\n')
      .filter((input) => input.includes('migration'))
      .join();
    if (migrations !== migrated && (await migrate()) === 0) migrated = migrations;
    if (stopping) break;
    app = startApp();
  }
  await end(app);
  return stopping ? 0 : 1;
}

function start(args, output = 'inherit') {
  const child = spawn(
    process.execPath,
    ['--import', './tools/dev/exit-with-parent.mjs', '--enable-source-maps', ...args],
    {
      stdio: ['inherit', output, 'inherit', 'ipc'],
    },
  );
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function exitOf(child) {
  const [code, signal] = await once(child, 'exit');
  return code ?? 128 + constants.signals[signal];
}

function stop() {
  stopping = true;
  for (const child of children) if (child.connected) child.disconnect();
}

/** Ends the app before its successor, which needs its port, starts. */
async function end(app) {
  if (!children.has(app)) return;
  const timer = setTimeout(() => app.kill('SIGKILL'), 2000);
  const exited = once(app, 'exit');
  if (app.connected) app.disconnect();
  await exited;
  clearTimeout(timer);
}

/** Prints the addresses, once, as soon as the app is ready. Until then the app itself logs what it waits for. */
async function announce(app, key) {
  while (children.has(app) && !announced) {
    const response = await fetch(`${origin}/health/ready`).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) break;
    await sleep(100);
  }
  const hasKey = (await key) === 0;
  if (!children.has(app) || announced) return;
  announced = true;
  console.log(`
  Service   ${origin}
  API docs  ${origin}/docs
  Health    ${origin}/health/ready
  Database  ${embedded ? `embedded, in ${DEVELOPMENT}: ${database.url}` : 'the one in DATABASE_URL'}
${hasKey ? greeting(readFileSync('.data/api-key', 'utf8').trim()) : ''}`);
}

function greeting(key) {
  return `  API key   ${key}
            It has every scope, and is kept in .data/api-key. Try:

  curl -H 'x-api-key: ${key}' ${origin}/v1/me
`;
}
