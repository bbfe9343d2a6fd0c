import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../tools/dev/postgres.mjs';

const INSTANCE = 'project:region:instance';

/** A PostgreSQL whose databases a container reaches as Cloud SQL's: through a socket in /cloudsql. */
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
    /** Without a table. */
    createEmpty: () => create('template0'),
    /** Like the given one, to which nobody may be connected. */
    copy: (database) => create(database.name),
    async stop() {
      await client.end();
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

class Database {
  /** Each connection that goes through the socket at this moment. */
  #sockets = new Set();
  #way = 'open';
  #door = createServer((socket) => this.#letIn(socket));

  constructor(name, url, directory) {
    this.name = name;
    /** On the host, for the harness itself. */
    this.hostUrl = url;
    this.directory = directory;
    mkdirSync(join(directory, INSTANCE), { recursive: true });
    const socket = join(directory, INSTANCE, '.s.PGSQL.5432');
    this.#door.listen(socket, () => chmodSync(socket, 0o777));
  }

  /** In the container. */
  get url() {
    return `postgresql://${this.hostUrl.username}:${this.hostUrl.password}@/${this.name}?host=/cloudsql/${INSTANCE}`;
  }

  open() {
    this.#way = 'open';
  }

  /** As when it restarts: throws everyone out, and turns away who comes. */
  close() {
    this.#turn('closed');
  }

  /** As when it hangs: takes connections, and says nothing on them. */
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

  /** Runs SQL in a transaction that stays open, with its locks, until it is released. */
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
