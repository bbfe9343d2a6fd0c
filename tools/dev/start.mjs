// `npm start`, and with --watch `npm run dev`: builds, starts the embedded PostgreSQL unless DATABASE_URL is set,
// migrates it, runs the service, and stops everything in reverse order.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, watch as watchFolder } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildIfStale, listInputs, markMade, NEST } from '../build/build.mjs';
import { copyData, copyFile } from '../build/files.mjs';
import { runCommand, UsageError } from '../cli.mjs';
import { DEVELOPMENT, startPostgres } from './postgres.mjs';
import { listenError } from './preflight.mjs';

const USAGE = `Usage: npm start|npm run dev [-- NODE_OPTION…]

npm start builds and runs the service; npm run dev also restarts it on every change.
PORT, HOST, DATABASE_URL and the other variables of .env.example apply; a file .env is read.

  --inspect[=[HOST:]PORT]  and every other option that NODE_OPTIONS accepts go to the process of the service:
                           --inspect-brk, --inspect-wait, --cpu-prof, --heap-prof, --max-old-space-size=MB, …

Exit codes: 0 after Ctrl-C or SIGTERM, 1 if an option is wrong or the start fails, otherwise that of the service.`;

/** --watch is an option of Node, too. */
const isNodeOption = (arg) => arg.startsWith('--') && arg !== '--watch' && process.allowedNodeEnvironmentFlags.has(arg);
const args = process.argv.slice(2);
const nodeOptions = args.filter(isNodeOption);
/** Node options that npm took for its own because the -- is missing. No option of npm has the name of one. */
const taken = Object.keys(process.env)
  .filter((name) => name.startsWith('npm_config_'))
  .map((name) => `--${name.slice('npm_config_'.length).replaceAll('_', '-')}`)
  .filter(isNodeOption);

if (existsSync('.env')) process.loadEnvFile();
const port = Number(process.env.PORT || 8080);
const host = process.env.HOST || '0.0.0.0';
const origin = `http://${['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host}:${port}`;
const watching = args.includes('--watch');
/** --watch skips the bundle, so that a change takes effect sooner. */
const programs = watching ? 'build' : 'dist';
const embedded = !process.env.DATABASE_URL && process.env.NODE_ENV !== 'production';

// For code outside of the bundle: https://nodejs.org/api/module.html#module-compile-cache
process.env.NODE_COMPILE_CACHE ||= 'node_modules/.cache/node';

const children = new Set();
let stopping = false;
let announced = false;
let database;

const others = args.filter((arg) => arg !== '--watch' && !isNodeOption(arg));
await runCommand(USAGE, run, others);
process.exit();

async function run() {
  if (taken.length > 0) throw new UsageError(`Put -- before ${taken.join(' ')}`);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
  const caller = findCaller();
  setInterval(() => findCaller() !== caller && stop(), 250).unref();
  try {
    process.exitCode = await main();
  } finally {
    await database?.stop();
  }
}

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

/** Identifies the npm that started this process. Changes when npm was killed. Some shells stay between the two. */
function findCaller() {
  try {
    const [, npm] = /^\d+ \(sh\) . (\d+)/.exec(readFileSync(`/proc/${process.ppid}/stat`, 'utf8')) ?? [];
    return `${process.ppid} ${npm}`;
  } catch {
    return `${process.ppid}`;
  }
}

/** Waits for the service of a killed `npm start`, which may still be shutting down. */
async function isPortFree() {
  if (!(port > 0 && port < 65_536)) return true;
  for (const begin = Date.now(); Date.now() - begin < 2000; await sleep(100)) {
    if ((await listenError(port, host)) !== 'EADDRINUSE') return true;
  }
  return false;
}

/** Migrates the embedded database only. Resolves to the exit code. */
async function migrate() {
  if (!embedded || stopping) return 0;
  return exitOf(start([`${programs}/migrate.js`]));
}

async function runApp() {
  if (stopping) return 0;
  return exitOf(startApp());
}

function startApp() {
  const app = start([...nodeOptions, `${programs}/main.js`]);
  const key = embedded ? exitOf(start(['tools/dev/development-key.mjs'])) : undefined;
  void announce(app, key);
  return app;
}

/** Restarts the service after each successful compilation. After a failed one, the running service stays. */
async function watch() {
  // Requests in flight must not delay the restart.
  process.env.SHUTDOWN_TIMEOUT_MS ||= '500';
  const compiler = start([NEST, 'build', '--watch', '--preserveWatchOutput'], 'pipe');
  let app;
  let inputs;
  let migrated;
  const restart = async () => {
    await end(app);
    if (!stopping) app = startApp();
  };
  // The compiler ignores files that are not code.
  let timer;
  const watcher = watchFolder('src', { recursive: true }, (_event, file) => {
    if (!app || !file || !copyFile(file)) return;
    clearTimeout(timer);
    timer = setTimeout(() => void restart(), 100);
  });
  for await (const line of createInterface({ input: compiler.stdout })) {
    if (line.trim()) console.log(line);
    if (line.includes('Starting')) inputs = listInputs();
    if (!line.includes('Found 0 errors')) continue;
    copyData('src', 'build');
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
  watcher.close();
  await end(app);
  return stopping ? 0 : 1;
}

function start(programAndOptions, output = 'inherit') {
  // dist/ maps its stack traces itself.
  const sourceMaps = watching ? ['--enable-source-maps'] : [];
  const preload = ['--import', './tools/dev/exit-with-parent.mjs'];
  const child = spawn(process.execPath, [...preload, ...sourceMaps, ...programAndOptions], {
    stdio: ['inherit', output, 'inherit', 'ipc'],
  });
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
  // A debugger can hold the service forever.
  setTimeout(killAll, Number(process.env.SHUTDOWN_TIMEOUT_MS || 8000) + 2000).unref();
}

function killAll() {
  for (const child of children) child.kill('SIGKILL');
}

/** Ends the service before the next one, which needs the same port, starts. */
async function end(app) {
  if (!children.has(app)) return;
  const timer = setTimeout(() => app.kill('SIGKILL'), 2000);
  const exited = once(app, 'exit');
  if (app.connected) app.disconnect();
  await exited;
  clearTimeout(timer);
}

/** Prints the addresses once, when the service is ready. Until then the service itself logs its progress. */
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
            It has every scope and is stored in .data/api-key.

Next:
  curl -H 'x-api-key: ${key}' ${origin}/v1/me
  npx nest generate resource orders number:string:unique,amountCents:int
  ${watching ? 'npm test' : 'npm run dev'}
`;
}
