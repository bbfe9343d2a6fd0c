import { AsyncResource } from 'node:async_hooks';
import pg from 'pg';
import { type DatabaseOperation, recordPoolWait, recordStatement } from '../telemetry/database-usage.js';

/** Upper bound: statements with values in their text would otherwise exhaust the server's memory. */
const MAX_STATEMENT_NAMES = 200;

type ConnectCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (error?: unknown) => void,
) => void;

/** Timeouts that PostgreSQL enforces. They are sent when a connection opens. */
const SERVER_TIMEOUTS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'] as const;

/** Startup parameters that a pooler such as PgBouncer accepts, and restores for each client. */
const SESSION_SETTINGS = { DateStyle: 'ISO', TimeZone: 'UTC' };

/** TypeORM needs a second statement to set the level. The default of the role or the database may be another one. */
const START_TRANSACTION = 'START TRANSACTION ISOLATION LEVEL READ COMMITTED';

const { DATE, TIMESTAMP, TIMESTAMPTZ } = pg.types.builtins;

const PARSERS = new Map<number, (text: string) => unknown>([
  // A calendar date has no time zone. pg would return a Date: midnight in the zone of the process.
  [DATE, (text) => text],
  [TIMESTAMP, strictParser(TIMESTAMP)],
  [TIMESTAMPTZ, strictParser(TIMESTAMPTZ)],
]);

/** pg's parser of a type, which throws for an unreadable date. pg would return null, as for "no expiry". */
function strictParser(type: number) {
  const parse = pg.types.getTypeParser(type) as (text: string) => Date | null;
  return (text: string) => {
    const date = parse(text);
    if (date === null) throw new Error('The database returned a date that is not in the format of DateStyle ISO');
    return date;
  };
}

const getTypeParser = (type: number, format?: 'text' | 'binary') =>
  PARSERS.get(type) ?? pg.types.getTypeParser(type, format);

/**
 * pg as TypeORM's `driver`, with these additions. A client whose server does not respond is removed from the pool
 * (https://github.com/brianc/node-postgres/issues/3399). Acquiring a client takes at most `acquireTimeoutMs`. With
 * `preparedStatements`, PostgreSQL parses and plans a statement once per connection. DateStyle, time zone and isolation
 * level are the same for every role and database. Behind a connection pooler such as PgBouncer, it omits prepared
 * statements and the timeouts that the pooler rejects.
 */
export function postgresDriver({
  acquireTimeoutMs,
  preparedStatements,
}: {
  acquireTimeoutMs: number;
  preparedStatements: boolean;
}) {
  const names = new Map<string, string>();
  /** Whether a connection pooler is between the client and the server; undefined before the first connection. */
  let isPooled: boolean | undefined;
  /** The time of the last query timeout. A connection that has not responded since may also be broken. */
  let unresponsiveAt = -Infinity;

  function statementName(text: string): string | undefined {
    if (preparedStatements && isPooled === false && names.size < MAX_STATEMENT_NAMES && !names.has(text))
      names.set(text, `s${names.size}`);
    return names.get(text);
  }

  class Client extends pg.Client {
    private respondedAt = performance.now();

    /** The wait of the request that has acquired this client; the first statement reports it. */
    poolWaitMs = 0;

    get isSuspect(): boolean {
      return this.respondedAt < unresponsiveAt;
    }

    /** The parameters of the startup message. Missing in pg's types. */
    getStartupConf(): object {
      return {
        ...(Reflect.get(pg.Client.prototype, 'getStartupConf') as () => object).call(this),
        ...SESSION_SETTINGS,
      };
    }

    // Loosely typed, because pg declares many overloads.
    override query(...[given, values, ...rest]: unknown[]): never {
      const text = given === 'START TRANSACTION' ? START_TRANSACTION : given;
      const name = typeof text === 'string' && Array.isArray(values) ? statementName(text) : undefined;
      const args = [text, values, ...rest] as [string, unknown[]];
      const result: unknown = name && rest.length === 0 ? this.prepared(name, ...args) : super.query(...args);
      const sql = typeof text === 'string' ? text : String(Reflect.get(Object(text), 'text'));
      return (result instanceof Promise ? this.watch(result, sql) : result) as never;
    }

    /** pg would copy an object such as `{ name, text, values }` property by property. */
    private prepared(name: string, text: string, values: unknown[]): Promise<unknown> {
      return new Promise((resolve, reject) => {
        const query = new pg.Query(text, values, (error, result) => (error ? reject(error) : resolve(result)));
        super.query(Object.assign(query, { name }));
      });
    }

    private async watch<T>(result: Promise<T>, sql: string): Promise<T> {
      const operation: DatabaseOperation = { sql, startedAt: performance.now(), poolWaitMs: this.poolWaitMs };
      this.poolWaitMs = 0;
      try {
        return await result;
      } catch (error) {
        operation.error = error;
        if (isTimeout(error)) unresponsiveAt = performance.now();
        // An ended client is not reused, and the server rolls back.
        if (isTimeout(error) || isStale(error)) void this.end();
        throw error;
      } finally {
        this.respondedAt = performance.now();
        recordStatement(operation);
      }
    }
  }

  /** A pooler reports its own process ids. In transaction mode, each transaction may run in another session of the server. */
  function detectPooler(client: pg.PoolClient, done: (error?: Error) => void): void {
    if (isPooled !== undefined) return done();
    client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid', (error, result) => {
      if (!error) isPooled = result.rows[0]?.pid !== Reflect.get(client, 'processID');
      done(error);
    });
  }

  class Pool extends pg.Pool {
    constructor(options: pg.PoolConfig) {
      super({ ...options, Client, types: { getTypeParser }, verify: detectPooler });
    }

    override connect(...args: [ConnectCallback?]): never {
      const [callback] = args;
      if (!callback) return super.connect(...(args as [])) as never;
      const startedAt = performance.now();
      // pg runs the callback in the asynchronous context of the request that releases a client.
      const context = new AsyncResource('acquire');
      const done: ConnectCallback = (error, client, release) =>
        context.runInAsyncScope(() => {
          const poolWaitMs = performance.now() - startedAt;
          if (client instanceof Client) client.poolWaitMs = poolWaitMs;
          recordPoolWait({ startedAt, poolWaitMs, error });
          callback(error, client, release);
        });
      return this.acquire(done) as never;
    }

    private acquire(callback: ConnectCallback): void {
      let expired = false;
      const expire = () => {
        expired = true;
        const isExhausted = this.totalCount >= this.options.max;
        const message = isExhausted ? 'Connection pool exhausted' : 'timeout exceeded when trying to connect';
        callback(new Error(message), undefined, () => undefined);
      };
      // For an empty pool, connectionTimeoutMillis applies.
      const timer = this.idleCount > 0 || this.totalCount === 0 ? undefined : setTimeout(expire, acquireTimeoutMs);
      super.connect((error, client, release) => {
        clearTimeout(timer);
        const isSuspect = client instanceof Client && client.isSuspect;
        if (client && (expired || isSuspect)) release(isSuspect);
        if (expired) return;
        if (isSuspect || (isUnsupportedParameter(error) && this.omitServerTimeouts())) this.acquire(callback);
        else callback(error, client, release);
      });
    }

    /** @returns whether there were any */
    private omitServerTimeouts(): boolean {
      return SERVER_TIMEOUTS.filter((name) => this.options[name] && delete this.options[name]).length > 0;
    }
  }

  return { Pool };
}

/** The server did not respond within query_timeout. */
const isTimeout = (error: unknown) => error instanceof Error && error.message === 'Query read timeout';

/** The server has no such prepared statement, or a migration has changed its result type. */
const isStale = (error: unknown) =>
  error instanceof pg.DatabaseError && (error.code === '26000' || error.code === '0A000');

/** The error of PgBouncer, unless ignore_startup_parameters names the parameter. */
const isUnsupportedParameter = (error: unknown) =>
  error instanceof pg.DatabaseError && error.message.startsWith('unsupported startup parameter');
