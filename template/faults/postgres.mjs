import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../tools/dev/postgres.mjs';
import { until } from './until.mjs';

/** The database role of the service. It is no superuser, because connection limits do not apply to superusers. */
const ROLE = 'service';

/** The PostgreSQL server of the drills. It is durable as in production, because some drills crash it and check the data. */
export class Postgres {
  #directory;
  #server;

  static async start(directory) {
    const postgres = new Postgres();
    postgres.#directory = directory;
    await postgres.start();
    await postgres.query(
      `DO $$ BEGIN IF to_regrole('${ROLE}') IS NULL THEN CREATE ROLE ${ROLE} LOGIN PASSWORD '${ROLE}'; END IF; END $$`,
    );
    return postgres;
  }

  async start() {
    this.#server = await startPostgres(this.#directory);
  }

  async stop() {
    await this.#server.stop();
  }

  /** Simulates a power failure: no connection is closed in order. */
  async crash() {
    const pid = this.#pid;
    process.kill(pid, 'SIGQUIT'); // https://www.postgresql.org/docs/current/server-shutdown.html
    await until(() => !isAlive(pid));
    await this.#server.stop();
  }

  /** Stops every process of the server with SIGSTOP. The system still accepts connections, but they receive no response. */
  async freeze() {
    const backends = await this.query('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
    const frozen = [this.#pid, ...backends.map(({ pid }) => pid)].filter((pid) => signal(pid, 'SIGSTOP'));
    return () => frozen.forEach((pid) => signal(pid, 'SIGCONT'));
  }

  get port() {
    return Number(new URL(this.#server.url).port);
  }

  get #pid() {
    return Number(readFileSync(join(this.#directory, 'cluster', 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
  }

  /** Creates an empty database owned by the service's role, and replaces an existing one. */
  async create(name) {
    await this.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await this.query(`CREATE DATABASE ${name} OWNER ${ROLE}`);
    return new Database(this, name);
  }

  /** Runs a query as administrator on a dedicated connection that bypasses the proxy. */
  async query(sql, values, database = 'postgres') {
    const client = await this.connect(database);
    try {
      return (await client.query(sql, values)).rows;
    } finally {
      await client.end();
    }
  }

  async connect(database) {
    const url = new URL(this.#server.url);
    url.pathname = `/${database}`;
    const client = new pg.Client({ connectionString: url.href });
    client.on('error', () => undefined); // a drill may stop the server
    await client.connect();
    return client;
  }
}

/** The database of one drill. */
export class Database {
  constructor(postgres, name) {
    this.postgres = postgres;
    this.name = name;
  }

  url(port = this.postgres.port, host = '127.0.0.1') {
    return `postgresql://${ROLE}:${ROLE}@${host}:${port}/${this.name}`;
  }

  query(sql, values) {
    return this.postgres.query(sql, values, this.name);
  }

  /** Returns the sessions of the service on the server. */
  sessions(condition = 'true') {
    return this.postgres.query(
      `SELECT pid, state, query, wait_event_type, extract(epoch FROM clock_timestamp() - query_start) * 1000 AS ms
         FROM pg_stat_activity WHERE datname = $1 AND usename = '${ROLE}' AND ${condition}`,
      [this.name],
    );
  }

  async terminateSessions() {
    await this.postgres.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = '${ROLE}'`,
      [this.name],
    );
  }

  /** Applies to new sessions only. */
  async set(name, value) {
    await this.postgres.query(
      `ALTER DATABASE ${this.name} ${value === undefined ? 'RESET' : 'SET'} ${name}${value === undefined ? '' : ` = ${value}`}`,
    );
  }

  async limitConnections(count) {
    await this.postgres.query(`ALTER ROLE ${ROLE} CONNECTION LIMIT ${count}`);
  }

  /** Locks the row of a voucher. @returns a function that releases the lock */
  async lock(code) {
    const client = await this.postgres.connect(this.name);
    await client.query('BEGIN');
    await client.query('SELECT FROM vouchers WHERE code = $1 FOR UPDATE', [code]);
    return () => client.end();
  }

  /** Runs PL/pgSQL before each update of a voucher whose code matches the LIKE pattern. */
  async onUpdate(code, statement) {
    await this.query(`
      CREATE OR REPLACE FUNCTION drill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${statement}; RETURN NEW; END $$;
      CREATE OR REPLACE TRIGGER drill BEFORE UPDATE ON vouchers FOR EACH ROW WHEN (OLD.code LIKE '${code}') EXECUTE FUNCTION drill()`);
  }

  async offUpdate() {
    await this.query('DROP TRIGGER IF EXISTS drill ON vouchers');
  }
}

function isAlive(pid) {
  return signal(pid, 0);
}

function signal(pid, name) {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
    return false;
  }
}
