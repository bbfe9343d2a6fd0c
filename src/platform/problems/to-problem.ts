import { STATUS_CODES } from 'node:http';
import { HttpException } from '@nestjs/common';
import {
  EntityMetadataNotFoundError,
  QueryFailedError,
  QueryRunnerAlreadyReleasedError,
  QueryRunnerProviderAlreadyReleasedError,
  TypeORMError,
} from 'typeorm';
import { Problem, problemCatalog, type ProblemType } from './problem.js';
import {
  contentTooLarge,
  databaseTimeout,
  databaseUnavailable,
  httpError,
  internalError,
  invalidRequest,
  malformedRequest,
  routeNotFound,
  unsupportedMediaType,
} from './problem-types.js';

/** Maps any failure to a problem. An unknown failure is an internal error without details; its cause is logged. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return databaseProblem(error) ?? httpProblem(error) ?? internal(error);
}

const internal = (cause: unknown) => new Problem(internalError, { cause });

const retrySoon = { 'Retry-After': '1' };

/** Maps PostgreSQL errors by SQLSTATE; a FATAL error has ended the connection. https://www.postgresql.org/docs/current/errcodes-appendix.html */
function databaseProblem(error: unknown): Problem | undefined {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  const code = property(cause, 'code');
  const severity = property(cause, 'severity'); // set for errors reported by PostgreSQL
  if (isPoolExhausted(cause)) return new Problem(databaseTimeout, { cause: error, headers: retrySoon });
  if (severity === 'FATAL' || isUnreachable(cause, code)) {
    return new Problem(databaseUnavailable, { cause: error, headers: retrySoon });
  }
  if (!severity) return undefined;
  switch (code) {
    case '23505': // unique_violation
    case '23503': // foreign_key_violation
    case '23514': // check_violation
    case '23P01': // exclusion_violation
      return constraintProblem(error, property(cause, 'constraint'));
    case '57014': // query_canceled, by statement_timeout
    case '55P03': // lock_not_available, by lock_timeout
    case '40001': // serialization_failure
    case '40P01': // deadlock_detected
      return new Problem(databaseTimeout, { cause: error, headers: retrySoon });
    default:
      // Data exceptions: a value that passed validation and that the column type rejects.
      return code?.startsWith('22') ? new Problem(invalidRequest, { cause: error }) : undefined;
  }
}

function constraintProblem(error: unknown, constraint: string | undefined): Problem {
  const type = [...problemCatalog.values()].find((each) => each.constraint?.name === constraint);
  if (!type?.constraint) return internal(error);
  const { field } = type.constraint;
  return new Problem(type, {
    errors: [{ in: 'body', pointer: `#/${field}`, detail: type.title }],
    cause: error,
  });
}

/** Every connection of the pool was in use for DATABASE_POOL_ACQUIRE_TIMEOUT_MS: the message is that of postgresDriver. */
const isPoolExhausted = (error: unknown) => error instanceof Error && error.message === 'Connection pool exhausted';

/** Connection failures (Node's error codes, pg's messages), and states in which PostgreSQL accepts no requests. */
function isUnreachable(error: unknown, code: string | undefined): boolean {
  if (/^(ECONN|EHOST|ENET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)/.test(code ?? '')) return true;
  if (/^(EMFILE|ENFILE|EADDRNOTAVAIL)$/.test(code ?? '')) return true; // out of sockets
  // 08: connection exception; 53: insufficient resources; 57P0x: shutting down or starting up; 25006: a read-only replica
  if (/^(08|53|57P0[1-5]|25006)/.test(code ?? '')) return true;
  if (error instanceof EntityMetadataNotFoundError) return true; // TypeORM before its first connection
  // A connection that breaks between two statements of a transaction: the next statement fails like this.
  if (error instanceof QueryRunnerAlreadyReleasedError || error instanceof QueryRunnerProviderAlreadyReleasedError)
    return true;
  if (error instanceof TypeORMError) return error.message === 'Driver not Connected';
  return (
    error instanceof Error &&
    /^(Connection terminated|timeout exceeded when|Query read timeout|Client )/.test(error.message)
  );
}

const BY_STATUS = new Map<number, ProblemType>([
  [400, malformedRequest],
  [404, routeNotFound],
  [413, contentTooLarge],
  [415, unsupportedMediaType],
]);

/** Maps exceptions of Nest, Express and libraries by status. Their messages may be internal. */
function httpProblem(error: unknown): Problem | undefined {
  if (!(error instanceof HttpException)) return undefined;
  const status = error.getStatus();
  const other = { ...httpError, status, title: STATUS_CODES[status] ?? httpError.title };
  return new Problem(BY_STATUS.get(status) ?? other, { cause: error });
}

function property(value: unknown, name: string): string | undefined {
  const found: unknown = typeof value === 'object' && value !== null && Reflect.get(value, name);
  return typeof found === 'string' || typeof found === 'number' ? String(found) : undefined;
}
