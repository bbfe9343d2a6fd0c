import pg from 'pg';

/** No more statements get a name: a text with values written into it would fill the server's memory. */
const MOST_NAMES = 200;

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (error?: unknown) => void,
) => void;

/**
 * pg as TypeORM's `driver`, with what the two leave out together: a client whose server has gone silent leaves the pool
 * (https://github.com/brianc/node-postgres/issues/3399), nobody waits longer than `poolTimeoutMs` for one, and with
 * `namedStatements` PostgreSQL parses and plans a statement once for each connection.
 */
export function postgresDriver({
  poolTimeoutMs,
  namedStatements,
}: {
  poolTimeoutMs: number;
  namedStatements: boolean;
}) {
  const names = new Map<string, string>();

  function nameOf(text: string): string | undefined {
    if (namedStatements && names.size < MOST_NAMES && !names.has(text)) names.set(text, `s${names.size}`);
    return names.get(text);
  }

  class Client extends pg.Client {
    // pg declares many forms; what one returns is passed on.
    override query(...[text, values, ...rest]: unknown[]): never {
      const name = typeof text === 'string' && Array.isArray(values) ? nameOf(text) : undefined;
      const form = name ? [{ name, text, values }, ...rest] : [text, values, ...rest];
      const result: unknown = super.query(...(form as [string]));
      return (result instanceof Promise ? result.catch((error: unknown) => this.fail(error)) : result) as never;
    }

    /** Ended, it is not given out again, and the server rolls back. */
    private fail(error: unknown): never {
      if (isSpoilt(error)) void this.end();
      throw error;
    }
  }

  class Pool extends pg.Pool {
    constructor(options: pg.PoolConfig) {
      super({ ...options, Client });
    }

    override connect(...form: [Connected?]): never {
      const [connected] = form;
      // The first connection is opened by no request, and may take connectionTimeoutMillis.
      if (!connected || this.idleCount > 0 || this.totalCount === 0) return super.connect(...(form as [])) as never;
      let expired = false;
      const timer = setTimeout(() => {
        expired = true;
        connected(new Error('timeout exceeded when trying to connect'), undefined, () => undefined);
      }, poolTimeoutMs);
      const inTime: Connected = (error, client, release) => {
        clearTimeout(timer);
        if (!expired) return connected(error, client, release);
        if (client) release();
      };
      return super.connect(inTime) as never;
    }
  }

  return { Pool };
}

/** The server is silent, or has forgotten a named statement, or a migration has changed what one returns. */
function isSpoilt(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return error.code === '26000' || error.code === '0A000';
  return error instanceof Error && error.message === 'Query read timeout';
}
