import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../tools/dev/postgres.mjs';

const INSTANCE = 'project:region:instance';

/** A PostgreSQL server that a container reaches like Cloud SQL: through a socket in /cloudsql. */
export async function startServer() {
  const directory = mkdtempSync(join(tmpdir(), 'container-test-'));
  const server = await startPostgres(join(directory, 'postgres'), { durable: false });
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  let count = 0;
  const create = async (template) => {
    const name = `container_${++count}`;
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
    const url = Object.assign(new URL(server.url), { pathname: `/${name}` });
    return new Database(name, url, join(directory, name));
  };
  return {
    /** Creates an empty database. */
    createEmpty: () => create('template0'),
    /** Copies a database, which must have no connections. */
    copy: (database) => create(database.name),
    async stop() {
      await client.end();
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

class Database {
  /** The open connections through the socket. */
  #sockets = new Set();
  #way = 'open';
  #door = createServer((socket) => this.#letIn(socket));

  constructor(name, url, directory) {
    this.name = name;
    /** The URL for the harness, on the host. */
    this.hostUrl = url;
    this.directory = directory;
    mkdirSync(join(directory, INSTANCE), { recursive: true });
    const socket = join(directory, INSTANCE, '.s.PGSQL.5432');
    this.#door.listen(socket, () => chmodSync(socket, 0o777));
  }

  /** The URL for a container. */
  get url() {
    return `postgresql://${this.hostUrl.username}:${this.hostUrl.password}@/${this.name}?host=/cloudsql/${INSTANCE}`;
  }

  open() {
    this.#way = 'open';
  }

  /** Simulates a restart: closes all connections and rejects new ones. */
  close() {
    this.#turn('closed');
  }

  /** Simulates a hang: accepts connections and sends no data. */
  silence() {
    this.#turn('silent');
  }

  #turn(way) {
    this.#way = way;
    for (const socket of this.#sockets) socket.destroy();
  }

  #letIn(socket) {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    if (this.#way === 'closed') socket.destroy();
    if (this.#way !== 'open') return;
    const onward = connect(Number(this.hostUrl.port), this.hostUrl.hostname);
    onward.on('error', () => socket.destroy());
    onward.once('close', () => socket.destroy());
    socket.once('close', () => onward.destroy());
    socket.pipe(onward).pipe(socket);
  }

  async query(sql, parameters) {
    const client = new pg.Client({ connectionString: this.hostUrl.href });
    await client.connect();
    try {
      return (await client.query(sql, parameters)).rows;
    } finally {
      await client.end();
    }
  }

  /** Runs SQL in a transaction that stays open and keeps its locks until it is released. */
  async hold(sql) {
    const client = new pg.Client({ connectionString: this.hostUrl.href });
    await client.connect();
    await client.query(`BEGIN; ${sql}`);
    return { release: () => client.end() };
  }

  shut() {
    this.#turn('closed');
    this.#door.close();
  }
}
