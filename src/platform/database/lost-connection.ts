import { QueryFailedError } from 'typeorm';

/** Returns whether the server or an administrator closed the connection, or postgresDriver did because of a stale prepared statement. */
export function isLostConnection(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  const { message, code } = error.driverError as Error & { code?: string };
  // https://www.postgresql.org/docs/current/errcodes-appendix.html
  return (
    /^(57P0[123]|08\d\d\d|26000|0A000|ECONNRESET|EPIPE)$/.test(code ?? '') ||
    message.startsWith('Connection terminated')
  );
}
