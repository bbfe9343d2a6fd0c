import { STATUS_CODES } from 'node:http';
import { HttpException } from '@nestjs/common';
import {
  EntityMetadataNotFoundError,
  QueryFailedError,
  QueryRunnerAlreadyReleasedError,
  QueryRunnerProviderAlreadyReleasedError,
  TypeORMError,
} from 'typeorm';
import { escapePointer } from '../http/json-pointer.js';
import { Problem, problemCatalog, type ProblemType } from './problem.js';
import * as types from './problem-types.js';

/** Maps any failure to a problem. An unknown failure is an internal error without details; its cause is logged. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return httpProblem(error) ?? databaseProblem(error) ?? internal(error);
}

const internal = (cause: unknown) => new Problem(types.internalError, { cause });

const retrySoon = { 'Retry-After': '1' };

/** Maps PostgreSQL errors by SQLSTATE; a FATAL error has ended the connection. https://www.postgresql.org/docs/current/errcodes-appendix.html */
function databaseProblem(error: unknown): Problem | undefined {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  const code = property(cause, 'code');
  const severity = property(cause, 'severity'); // set for errors reported by PostgreSQL
  if (isPoolExhausted(cause)) return new Problem(types.databaseTimeout, { cause: error, headers: retrySoon });
  if (severity === 'FATAL' || isUnreachable(cause, code)) {
    return new Problem(types.databaseUnavailable, { cause: error, headers: retrySoon });
  }
  if (!severity) return undefined;
  switch (code) {
    case '23001': // restrict_violation
    case '23505': // unique_violation
    case '23503': // foreign_key_violation
    case '23514': // check_violation
    case '23P01': // exclusion_violation
      return constraintProblem(error, cause);
    case '57014': // query_canceled, by statement_timeout
    case '55P03': // lock_not_available, by lock_timeout
    case '40001': // serialization_failure
    case '40P01': // deadlock_detected
      return new Problem(types.databaseTimeout, { cause: error, headers: retrySoon });
    default:
      // Data exceptions: a value that passed validation and that the column type rejects.
      return code?.startsWith('22') ? new Problem(types.invalidRequest, { cause: error }) : undefined;
  }
}

function constraintProblem(error: unknown, cause: unknown): Problem {
  const name = property(cause, 'constraint');
  const type = [...problemCatalog.values()].find((each) => each.constraint?.name === name);
  if (!type?.constraint) return internal(error);
  const { field, inUse } = type.constraint;
  if (isStillReferenced(cause)) return inUse ? new Problem(inUse, { cause: error }) : internal(error);
  return new Problem(type, {
    errors: [{ in: 'body', pointer: `#/${field}`, detail: type.title }],
    cause: error,
  });
}

/**
 * Whether a foreign key rejected the deletion of the referenced row; otherwise the referencing row is invalid. RESTRICT has its
 * own SQLSTATE since PostgreSQL 18. Without it, only the text differs:
 * https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/ri_triggers.c
 */
const isStillReferenced = (cause: unknown) =>
  property(cause, 'code') === '23001' || /referenced from table/.test(property(cause, 'detail') ?? '');

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

/** The problem type of an exception that is not a Problem, by its status. */
export const exceptionTypes = new Map(
  [
    types.badRequest,
    types.unauthorized,
    types.paymentRequired,
    types.forbidden,
    types.notFound,
    types.methodNotAllowed,
    types.notAcceptable,
    types.requestTimeout,
    types.conflict,
    types.gone,
    types.preconditionFailed,
    types.contentTooLarge,
    types.unsupportedMediaType,
    types.rangeNotSatisfiable,
    types.unprocessableContent,
    types.locked,
    types.preconditionRequired,
    types.tooManyRequests,
    types.internalError,
    types.notImplemented,
    types.badGateway,
    types.serviceUnavailable,
    types.gatewayTimeout,
  ].map((type): [number, ProblemType] => [type.status, type]),
);

/**
 * Maps exceptions of Nest, Express and libraries by status. The message of a 4xx is the detail; that of a 5xx is logged.
 * An upload error of `multer` names the field. https://github.com/expressjs/multer#error-handling
 */
function httpProblem(error: unknown): Problem | undefined {
  const exception = error instanceof HttpException ? error : undefined;
  const library = libraryError(exception ? exception.cause : error);
  const status = exception?.getStatus() ?? library?.status;
  if (status === undefined) return undefined;
  if (status === 400 && library?.isParserError) return new Problem(types.malformedRequest, { cause: error });
  const phrase = STATUS_CODES[status];
  const type = exceptionTypes.get(status) ?? { ...types.httpError, status, title: phrase ?? types.httpError.title };
  const message = exception ? messageOf(exception.getResponse()) : library?.message;
  const field = property(exception?.cause, 'field');
  if (field && status < 500) {
    const errors = [{ in: 'body' as const, pointer: `#/${escapePointer(field)}`, detail: String(message) }];
    return new Problem(status === 400 ? types.invalidRequest : type, { detail: message, errors, cause: error });
  }
  return new Problem(
    { ...type, code: exception?.errorCode ?? type.code },
    { detail: status >= 500 || message === phrase ? undefined : message, headers: library?.headers, cause: error },
  );
}

/** Returns the message that Nest would send: a text or texts, also as `message` of an object. */
function messageOf(response: string | object): string | undefined {
  if (response instanceof Error) return undefined; // Nest does not send it either
  const isObject = typeof response === 'object' && !Array.isArray(response);
  const message: unknown = isObject ? Reflect.get(response, 'message') : response;
  const texts = [message].flat().filter((text) => typeof text === 'string');
  return texts.join('; ') || undefined;
}

/**
 * Reads an error in the format of http-errors, which Express, body parsers and other middleware use. `expose` distinguishes
 * it from the error of an HTTP client, whose status is that of another service. https://github.com/jshttp/http-errors
 */
function libraryError(error: unknown) {
  if (!(error instanceof Error)) return undefined;
  const { status, statusCode = status, expose, headers, type } = error as Error & Record<string, unknown>;
  // Express' router sets a status only: https://github.com/pillarjs/router/blob/v2.2.0/lib/layer.js
  const isDecodingError = error instanceof URIError && status === 400;
  if (typeof expose !== 'boolean' && !isDecodingError) return undefined;
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 599) return undefined;
  return {
    status: statusCode,
    message: expose ? error.message : undefined,
    headers: headers as Record<string, string> | undefined,
    isParserError: isDecodingError || typeof type === 'string', // https://github.com/expressjs/body-parser#errors
  };
}

function property(value: unknown, name: string): string | undefined {
  const found: unknown = typeof value === 'object' && value !== null && Reflect.get(value, name);
  return typeof found === 'string' || typeof found === 'number' ? String(found) : undefined;
}
