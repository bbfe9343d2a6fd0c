// This machine: what `npm start` and `npm test` need.
import { existsSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseEnv } from 'node:util';
import { isInstalled, isNodeNewEnough, wantedNode } from '../dev/installed.mjs';
import { listenError } from '../dev/preflight.mjs';
import { execute, fail, ok, read, warn } from './check.mjs';

const DATABASE_TIMEOUT_MS = 3_000;

/** @type {import('./check.mjs').Checks} */
export const local = {
  'local.node': node,
  'local.npm': npm,
  'local.dependencies': dependencies,
  'local.env': dotenv,
  'local.port': port,
  'local.database': database,
  'local.migrations': migrations,
};

/** Returns a variable as `npm start` reads it: the environment overrides .env, and an empty value counts as unset. */
function setting(name) {
  return process.env[name] || dotenvValues()[name] || undefined;
}

const dotenvValues = () => (existsSync('.env') ? parseEnv(readFileSync('.env', 'utf8')) : {});

function node() {
  const version = process.versions.node;
  return isNodeNewEnough()
    ? ok(version)
    : warn(`${version} is older than ${wantedNode()}; npm ci adds a newer one for the npm scripts`, 'npm ci');
}

async function npm() {
  const { succeeded, output } = await execute('npm', ['--version']);
  if (!succeeded) return warn('npm does not run', 'Install Node with npm: https://nodejs.org');
  // npm passes its settings to the scripts that it runs. `npm config get` would create a folder in the home directory.
  const inEnvironment = process.env.npm_config_ignore_scripts === 'true';
  const inFile = ['.npmrc', join(homedir(), '.npmrc')].some((file) => /^ignore-scripts *= *true$/m.test(read(file)));
  return inEnvironment || inFile
    ? warn(
        'ignore-scripts is set, so npm start and npm test install and build nothing',
        'npm ci --ignore-scripts=false',
      )
    : ok(output);
}

function dependencies() {
  return isInstalled()
    ? ok('as in package-lock.json')
    : warn('other than in package-lock.json; npm start installs them', 'npm ci');
}

async function dotenv() {
  if (!existsSync('.env')) return ok('no .env, and none is needed');
  const values = dotenvValues();
  const declared = read('src/platform/config/env.ts').matchAll(/^ {2}([A-Z][A-Z\d_]*)[!?]?[: ]/gm);
  const known = new Set([...declared].map(([, name]) => name));
  const invalid = await invalidValues(values);
  if (invalid) return fail(`.env: ${invalid}`, 'Correct it in .env; .env.example explains each variable');
  const unknown = Object.keys(values).filter((name) => !known.has(name));
  return unknown.length > 0
    ? warn(`the service does not read ${unknown.join(', ')}`, 'Correct the name in .env; .env.example has all of them')
    : ok(`${Object.keys(values).length} variables`);
}

/** Validates the values with the last build of the service. The messages contain no values. */
async function invalidValues(values) {
  const built = 'build/platform/config/env.js';
  if (!existsSync(built) || !isInstalled()) return undefined;
  const { loadEnv } = await import(pathToFileURL(built).href);
  const set = Object.fromEntries(Object.entries(values).filter(([, value]) => value));
  try {
    // npm start provides a database by default.
    loadEnv({ DATABASE_URL: 'postgresql://localhost/app', ...set });
    return undefined;
  } catch (error) {
    return error.message.replace('Invalid configuration: ', '').replaceAll(/\n +/g, '; ');
  }
}

async function port() {
  const number = Number(setting('PORT') ?? 8080);
  if (!(number >= 0 && number < 65_536))
    return fail('PORT must be an integer from 0 to 65535', 'Correct PORT in .env, or remove it');
  const error = await listenError(number, setting('HOST') ?? '0.0.0.0');
  if (!error) return ok(`${number} is free`);
  if (await isThisService(number)) return ok(`the service listens on ${number}`);
  return warn(`cannot listen on ${number}: ${error}`, 'Set another PORT in .env, or stop the program that uses it');
}

async function isThisService(number) {
  const signal = AbortSignal.timeout(DATABASE_TIMEOUT_MS);
  const response = await fetch(`http://127.0.0.1:${number}/`, { signal }).catch(() => undefined);
  const body = await response?.json().catch(() => undefined);
  return body?.name === JSON.parse(read('package.json')).name;
}

async function database() {
  const url = setting('DATABASE_URL');
  if (!url) {
    return setting('NODE_ENV') === 'production'
      ? fail('NODE_ENV is production, but DATABASE_URL is not set', 'Set DATABASE_URL, or unset NODE_ENV')
      : ok(`the embedded PostgreSQL, ${(await embeddedUrl()) ? 'which runs' : 'which npm start starts'}`);
  }
  try {
    if (!isInstalled()) return ok(`${await reach(url)} accepts connections; after npm ci the doctor also signs in`);
    const [{ version }] = await query(url, `SELECT current_setting('server_version') AS version`);
    return ok(`PostgreSQL ${version}, from DATABASE_URL`);
  } catch (error) {
    return fail(
      `cannot connect to the database of DATABASE_URL: ${reasonOf(error)}`,
      'Start it, or correct DATABASE_URL; without it npm start provides a database',
    );
  }
}

async function migrations() {
  const url = setting('DATABASE_URL') ?? (await embeddedUrl());
  if (!url) return ok('npm start applies them to the embedded PostgreSQL');
  if (!isInstalled()) return warn('unknown: dependencies are missing', 'npm ci');
  const all = [...read('src/migrations/index.ts').matchAll(/^import \{ (\w+) \}/gm)].map(([, name]) => name);
  try {
    const [{ exists }] = await query(url, `SELECT to_regclass('migrations') IS NOT NULL AS exists`);
    const applied = exists ? (await query(url, 'SELECT name FROM migrations')).map(({ name }) => name) : [];
    const pending = all.filter((name) => !applied.includes(name));
    return pending.length > 0
      ? warn(`pending: ${pending.join(', ')}`, 'npm run db:migrate')
      : ok(`all ${all.length} are applied`);
  } catch (error) {
    return warn(`unknown: ${reasonOf(error)}`, 'See local.database');
  }
}

/** Returns the URL of this clone's embedded PostgreSQL, if it runs. */
async function embeddedUrl() {
  if (!isInstalled()) return undefined;
  const { DEVELOPMENT, runningUrl } = await import('../dev/postgres.mjs');
  const url = runningUrl(DEVELOPMENT);
  // A killed server leaves its files behind.
  const isRunning = url && (await query(url, 'SELECT').catch(() => undefined));
  return isRunning ? url : undefined;
}

async function query(url, sql) {
  const { default: pg } = await import('pg');
  const timeouts = { connectionTimeoutMillis: DATABASE_TIMEOUT_MS, query_timeout: DATABASE_TIMEOUT_MS };
  const client = new pg.Client({ connectionString: url, ...timeouts });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SET default_transaction_read_only = on');
    const { rows } = await client.query(sql);
    return rows;
  } finally {
    client.end().catch(() => {});
  }
}

/** Connects without the driver. @returns {Promise<string>} host and port */
async function reach(url) {
  const { hostname, port: number } = new URL(url);
  const options = { host: hostname || 'localhost', port: Number(number) || 5432, timeout: DATABASE_TIMEOUT_MS };
  const socket = connect(options);
  socket.once('timeout', () => socket.destroy(new Error('timeout')));
  try {
    await once(socket, 'connect');
    return `${options.host}:${options.port}`;
  } finally {
    socket.destroy();
  }
}

/** A host name with several addresses fails with one error for each. */
const reasonOf = (error) => (error instanceof AggregateError ? error.errors.map(reasonOf).join(', ') : error.message);
