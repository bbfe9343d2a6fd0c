// What this machine needs for `npm start` and `npm test`.
import { existsSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseEnv } from 'node:util';
import { isInstalled, isNodeNewEnough, wantedNode } from '../dev/installed.mjs';
import { ask, fail, ok, read, warn } from './check.mjs';

/** What a database may take to answer, in milliseconds. */
const PATIENCE_MS = 3_000;

/** What `npm start` goes by: a variable of the real environment wins over one of .env, as an empty one is none. */
function settings() {
  const file = existsSync('.env') ? parseEnv(readFileSync('.env', 'utf8')) : {};
  return (name) => process.env[name] || file[name] || undefined;
}

const node = {
  id: 'local.node',
  run() {
    const version = process.versions.node;
    return isNodeNewEnough()
      ? ok(version)
      : warn(`${version} is older than ${wantedNode()}; npm ci adds a newer one for the npm scripts`, 'npm ci');
  },
};

const npm = {
  id: 'local.npm',
  async run() {
    const { succeeded, output } = await ask('npm', ['--version']);
    if (!succeeded) return warn('npm does not run', 'Install Node with its npm: https://nodejs.org');
    // npm hands its settings on to the scripts that it runs. Asking it would make a folder in the home directory.
    const given = process.env.npm_config_ignore_scripts === 'true';
    const written = ['.npmrc', join(homedir(), '.npmrc')].some((file) => /^ignore-scripts *= *true$/m.test(read(file)));
    return given || written
      ? warn(
          'ignore-scripts is set, so nothing is installed or built before a start or test',
          'npm ci --ignore-scripts=false',
        )
      : ok(output);
  },
};

const dependencies = {
  id: 'local.dependencies',
  run: () =>
    isInstalled()
      ? ok('as package-lock.json says')
      : warn('not what package-lock.json says; npm start installs them', 'npm ci'),
};

const dotenv = {
  id: 'local.env',
  async run() {
    if (!existsSync('.env')) return ok('there is no .env, and none is needed');
    const values = parseEnv(readFileSync('.env', 'utf8'));
    const known = new Set(
      [...read('src/platform/config/env.ts').matchAll(/^ {2}([A-Z][A-Z\d_]*)[!?]?[: ]/gm)].map(([, name]) => name),
    );
    const wrong = await wrongValues(values);
    if (wrong) return fail(`.env: ${wrong}`, 'Correct it in .env; .env.example says what each is');
    const unknown = Object.keys(values).filter((name) => !known.has(name));
    return unknown.length > 0
      ? warn(`the service reads no ${unknown.join(', ')}`, 'Correct the name in .env; .env.example has all of them')
      : ok(`${Object.keys(values).length} variables`);
  },
};

/** What the service itself has against the values, as it was built last. It names no value. */
async function wrongValues(values) {
  const built = 'build/platform/config/env.js';
  if (!existsSync(built) || !isInstalled()) return undefined;
  const { loadEnv } = await import(pathToFileURL(built).href);
  try {
    // npm start brings a database where none is named.
    loadEnv({ DATABASE_URL: 'postgresql://localhost/app', ...dropEmpty(values) });
    return undefined;
  } catch (error) {
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim())
      .join('; ');
  }
}

const dropEmpty = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value));

const port = {
  id: 'local.port',
  async run() {
    const setting = settings();
    const number = Number(setting('PORT') ?? 8080);
    if (!(number >= 0 && number < 65_536)) return fail('PORT is no port', 'Set PORT in .env to a number, or remove it');
    const server = createServer().listen(number, setting('HOST') ?? '0.0.0.0');
    const error = await once(server, 'listening').then(
      () => undefined,
      (reason) => reason,
    );
    server.close();
    if (!error) return ok(`${number} is free`);
    if (await isOurs(number)) return ok(`the service listens on ${number}`);
    return warn(
      `${number} cannot be listened on: ${error.code}`,
      'Set another PORT in .env, or end the program that has it',
    );
  },
};

/** Whether the service answers there already. */
async function isOurs(number) {
  const response = await fetch(`http://127.0.0.1:${number}/`, { signal: AbortSignal.timeout(PATIENCE_MS) }).catch(
    () => undefined,
  );
  const body = await response?.json().catch(() => undefined);
  return body?.name === JSON.parse(read('package.json')).name;
}

const database = {
  id: 'local.database',
  async run() {
    const setting = settings();
    const url = setting('DATABASE_URL');
    if (!url) {
      return setting('NODE_ENV') === 'production'
        ? fail('NODE_ENV is production, and DATABASE_URL is not set', 'Set DATABASE_URL, or unset NODE_ENV')
        : ok(`the embedded PostgreSQL, ${(await embeddedUrl()) ? 'which runs' : 'which npm start starts'}`);
    }
    const fix = 'Start it, or correct DATABASE_URL; without it npm start brings a database of its own';
    try {
      if (!isInstalled()) return ok(`${await knock(url)} answers; after npm ci the doctor signs in, too`);
      const [{ version }] = await query(url, `SELECT current_setting('server_version') AS version`);
      return ok(`PostgreSQL ${version}, by DATABASE_URL`);
    } catch (error) {
      return fail(`the one of DATABASE_URL does not let us in: ${reasonOf(error)}`, fix);
    }
  },
};

const migrations = {
  id: 'local.migrations',
  async run() {
    const url = settings()('DATABASE_URL') ?? (await embeddedUrl());
    if (!url) return ok('npm start applies them to the embedded PostgreSQL');
    if (!isInstalled()) return warn('not compared, because dependencies are missing', 'npm ci');
    const all = [...read('src/migrations/index.ts').matchAll(/^import \{ (\w+) \}/gm)].map(([, name]) => name);
    try {
      const [{ exists }] = await query(url, `SELECT to_regclass('migrations') IS NOT NULL AS exists`);
      const applied = exists ? (await query(url, 'SELECT name FROM migrations')).map(({ name }) => name) : [];
      const pending = all.filter((name) => !applied.includes(name));
      return pending.length > 0
        ? warn(`pending: ${pending.join(', ')}`, 'npm run db:migrate')
        : ok(`all ${all.length} have been applied`);
    } catch (error) {
      return warn(`not compared: ${reasonOf(error)}`, 'See local.database');
    }
  },
};

/** The URL of this clone's own PostgreSQL, where it runs. */
async function embeddedUrl() {
  if (!isInstalled()) return undefined;
  const { DEVELOPMENT, runningUrl } = await import('../dev/postgres.mjs');
  const url = runningUrl(DEVELOPMENT);
  // One that was killed leaves its files as they were.
  return (
    url &&
    query(url, 'SELECT').then(
      () => url,
      () => undefined,
    )
  );
}

async function query(url, sql) {
  const { default: pg } = await import('pg');
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: PATIENCE_MS,
    query_timeout: PATIENCE_MS,
  });
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

/** Without the driver: whether anybody listens there. @returns {Promise<string>} where */
async function knock(url) {
  const { hostname, port: number } = new URL(url);
  const socket = connect({ host: hostname || 'localhost', port: Number(number) || 5432, timeout: PATIENCE_MS });
  socket.once('timeout', () => socket.destroy(new Error('timeout')));
  try {
    await once(socket, 'connect');
    return `${hostname}:${number || 5432}`;
  } finally {
    socket.destroy();
  }
}

/** A name with several addresses fails with an error for each. */
const reasonOf = (error) => (error instanceof AggregateError ? error.errors.map(reasonOf).join(', ') : error.message);

/** @type {import('./check.mjs').Check[]} */
export const local = [node, npm, dependencies, dotenv, port, database, migrations];
