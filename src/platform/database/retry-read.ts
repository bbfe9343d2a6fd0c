import { retry, throwError, timer } from 'rxjs';
import { QueryFailedError } from 'typeorm';

const RETRY_DELAY_MS = 20;

/** Retries a read once after a lost connection: a failover leaves only dead connections in the pool. */
export const retryRead = retry<unknown>({
  count: 1,
  delay: (error: unknown) => (isLostConnection(error) ? timer(RETRY_DELAY_MS) : throwError(() => error)),
});

/** The server or an administrator closed the connection, or postgresDriver did because of a stale prepared statement. */
function isLostConnection(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { message, code } = error.driverError as Error & { code?: string };
  // https://www.postgresql.org/docs/current/errcodes-appendix.html
  return (
    /^(57P0[123]|08\d\d\d|26000|0A000|ECONNRESET|EPIPE)$/.test(code ?? '') ||
    message.startsWith('Connection terminated')
  );
}
