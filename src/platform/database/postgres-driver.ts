import pg from 'pg';

/** No more statements get a name: a text with values written into it would fill the server's memory. */
const MAX_STATEMENT_NAMES = 200;

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (error?: unknown) => void,
) => void;

/**
 * pg as TypeORM's `driver`, with what the two leave out together: a client whose server has gone silent leaves the pool
 * (https://github.com/brianc/node-postgres/issues/3399), nobody waits longer than `acquireTimeoutMs` for one, and with
 * `preparedStatements` PostgreSQL parses and plans a statement once for each connection.
 */
export function postgresDriver({
  acquireTimeoutMs,
  preparedStatements,
}: {
  acquireTimeoutMs: number;
  preparedStatements: boolean;
}) {
  const names = new Map<string, string>();
  /** When the server was last found silent. What was connected then and has not answered since may be dead, too. */
  let silentAt = -Infinity;

  function statementName(text: string): string | undefined {
    if (preparedStatements && names.size < MAX_STATEMENT_NAMES && !names.has(text)) names.set(text, `s${names.size}`);
    return names.get(text);
  }

  class Client extends pg.Client {
    private answeredAt = performance.now();

    get isSuspect(): boolean {
      return this.answeredAt < silentAt;
    }

    // pg declares many forms; what one returns is passed on.
    override query(...[text, values, ...rest]: unknown[]): never {
      const name = typeof text === 'string' && Array.isArray(values) ? statementName(text) : undefined;
      const form = name ? [{ name, text, values }, ...rest] : [text, values, ...rest];
      const result: unknown = super.query(...(form as [string]));
      return (result instanceof Promise ? this.watch(result) : result) as never;
    }

    private async watch<T>(result: Promise<T>): Promise<T> {
      try {
        return await result;
      } catch (error) {
        if (isTimeout(error)) silentAt = performance.now();
        // Ended, it is not given out again, and the server rolls back.
        if (isTimeout(error) || isStale(error)) void this.end();
        throw error;
      } finally {
        this.answeredAt = performance.now();
      }
    }
  }

  class Pool extends pg.Pool {
    constructor(options: pg.PoolConfig) {
      super({ ...options, Client });
    }

    override connect(...form: [Connected?]): never {
      const [connected] = form;
      if (!connected) return super.connect(...(form as [])) as never;
      let expired = false;
      const expire = () => {
        expired = true;
        const isExhausted = this.totalCount >= this.options.max;
        const message = isExhausted ? 'Connection pool exhausted' : 'timeout exceeded when trying to connect';
        connected(new Error(message), undefined, () => undefined);
      };
      // The first connection is opened by no request, and may take connectionTimeoutMillis.
      const timer = this.idleCount > 0 || this.totalCount === 0 ? undefined : setTimeout(expire, acquireTimeoutMs);
      return super.connect((error, client, release) => {
        clearTimeout(timer);
        const isSuspect = client instanceof Client && client.isSuspect;
        if (client && (expired || isSuspect)) release(isSuspect);
        if (expired) return;
        if (isSuspect) this.connect(connected);
        else connected(error, client, release);
      }) as never;
    }
  }

  return { Pool };
}

/** The server has been silent for query_timeout. */
const isTimeout = (error: unknown) => error instanceof Error && error.message === 'Query read timeout';

/** The server has forgotten a named statement, or a migration has changed what one returns. */
const isStale = (error: unknown) =>
  error instanceof pg.DatabaseError && (error.code === '26000' || error.code === '0A000');
