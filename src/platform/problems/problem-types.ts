import { defineProblem } from './problem.js';

// The problems that any route can return. A feature defines its own in a *.problems.ts next to its code.
export const malformedRequest = defineProblem('malformed_request', 400, 'Malformed request');
export const invalidRequest = defineProblem('invalid_request', 400, 'Invalid request');
export const routeNotFound = defineProblem('route_not_found', 404, 'Route not found');
export const methodNotAllowed = defineProblem('method_not_allowed', 405, 'Method not allowed');
export const requestTimeout = defineProblem('request_timeout', 408, 'Request timeout');
export const preconditionFailed = defineProblem('precondition_failed', 412, 'Precondition failed');
export const contentTooLarge = defineProblem('content_too_large', 413, 'Content too large');
export const unsupportedMediaType = defineProblem('unsupported_media_type', 415, 'Unsupported media type');
export const tooManyRequests = defineProblem('too_many_requests', 429, 'Rate limit exceeded');
export const headersTooLarge = defineProblem('headers_too_large', 431, 'Request headers too large');
// Has the status of the exception that a route or a library threw.
export const httpError = defineProblem('http_error', 400, 'Request rejected');
export const internalError = defineProblem('internal_error', 500, 'Internal server error');
export const databaseUnavailable = defineProblem('database_unavailable', 503, 'Database unavailable');
export const databaseTimeout = defineProblem('database_timeout', 503, 'Database timeout');
export const handlerTimeout = defineProblem('handler_timeout', 503, 'Handler timeout');
export const overloaded = defineProblem('overloaded', 503, 'Service overloaded');
