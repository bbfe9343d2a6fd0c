import { defineProblem } from './problem.js';

// What any route can answer. A feature defines its own beside its code, in a *.problems.ts.
export const malformedRequest = defineProblem('malformed_request', 400, 'The request cannot be read');
export const invalidRequest = defineProblem('invalid_request', 400, 'A part of the request is not valid');
export const routeNotFound = defineProblem('route_not_found', 404, 'There is nothing at this address');
export const methodNotAllowed = defineProblem('method_not_allowed', 405, 'This address does not know the method');
export const requestTimeout = defineProblem('request_timeout', 408, 'The request took too long to arrive');
export const preconditionFailed = defineProblem(
  'precondition_failed',
  412,
  'The resource has changed since it was read',
);
export const contentTooLarge = defineProblem('content_too_large', 413, 'The body is too large');
export const unsupportedMediaType = defineProblem(
  'unsupported_media_type',
  415,
  'The body must be JSON in UTF-8 (Content-Type: application/json)',
);
export const headersTooLarge = defineProblem('headers_too_large', 431, 'The headers are too large');
// With the status of the exception, which a route or a library threw without a problem of its own.
export const httpError = defineProblem('http_error', 400, 'The request was refused');
export const internalError = defineProblem('internal_error', 500, 'Something went wrong on our side');
export const databaseUnavailable = defineProblem(
  'database_unavailable',
  503,
  'The database cannot be reached at the moment',
);
export const databaseTimeout = defineProblem('database_timeout', 503, 'The database could not do this in time');
export const handlerTimeout = defineProblem('handler_timeout', 503, 'The service could not do this in time');
export const overloaded = defineProblem('overloaded', 503, 'The service has as much to do as it can');
