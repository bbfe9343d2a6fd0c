import pg from 'pg';

/** A ceiling: a statement with values in its text would otherwise fill the server's memory. */
const MAX_STATEMENT_NAMES = 200;

type ConnectCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (error?: unknown) => void,
) => void;

/**
 * pg as TypeORM's `driver`, with three additions. A client whose server does not respond leaves the pool
 * (https://github.com/brianc/node-postgres/issues/3399). Acquiring a client takes at most `acquireTimeoutMs`. With
 * `preparedStatements`, PostgreSQL parses and plans a statement once per connection.
 */
export function postgresDriver({
  acquireTimeoutMs,
  preparedStatements,
}: {
  acquireTimeoutMs: number;
  preparedStatements: boolean;
}) {
  const names = new Map<string, string>();
  /** The time of the last query timeout. A connection that has not responded since may be dead too. */
  let unresponsiveAt = -Infinity;

  function statementName(text: string): string | undefined {
    if (preparedStatements && names.size < MAX_STATEMENT_NAMES && !names.has(text)) names.set(text, `s${names.size}`);
    return names.get(text);
  }

  class Client extends pg.Client {
    private respondedAt = performance.now();

    get isSuspect(): boolean {
      return this.respondedAt < unresponsiveAt;
    }

    // pg declares many overloads; the result is passed on.
    override query(...[text, values, ...rest]: unknown[]): never {
      const name = typeof text === 'string' && Array.isArray(values) ? statementName(text) : undefined;
      const args = name ? [{ name, text, values }, ...rest] : [text, values, ...rest];
      const result: unknown = super.query(...(args as [string]));
      return (result instanceof Promise ? this.watch(result) : result) as never;
    }

    private async watch<T>(result: Promise<T>): Promise<T> {
      try {
        return await result;
      } catch (error) {
        if (isTimeout(error)) unresponsiveAt = performance.now();
        // An ended client is not reused, and the server rolls back.
        if (isTimeout(error) || isStale(error)) void this.end();
        throw error;
      } finally {
        this.respondedAt = performance.now();
      }
    }
  }

  class Pool extends pg.Pool {
    constructor(options: pg.PoolConfig) {
      super({ ...options, Client });
    }

    override connect(...args: [ConnectCallback?]): never {
      const [callback] = args;
      if (!callback) return super.connect(...(args as [])) as never;
      let expired = false;
      const expire = () => {
        expired = true;
        const isExhausted = this.totalCount >= this.options.max;
        const message = isExhausted ? 'Connection pool exhausted' : 'timeout exceeded when trying to connect';
        callback(new Error(message), undefined, () => undefined);
      };
      // Without a connection yet, connectionTimeoutMillis applies.
      const timer = this.idleCount > 0 || this.totalCount === 0 ? undefined : setTimeout(expire, acquireTimeoutMs);
      return super.connect((error, client, release) => {
        clearTimeout(timer);
        const isSuspect = client instanceof Client && client.isSuspect;
        if (client && (expired || isSuspect)) release(isSuspect);
        if (expired) return;
        if (isSuspect) this.connect(callback);
        else callback(error, client, release);
      }) as never;
    }
  }

  return { Pool };
}

/** The server did not respond within query_timeout. */
const isTimeout = (error: unknown) => error instanceof Error && error.message === 'Query read timeout';

/** The server has no such prepared statement, or a migration has changed its result type. */
const isStale = (error: unknown) =>
  error instanceof pg.DatabaseError && (error.code === '26000' || error.code === '0A000');
