import { defineProblem } from './problem.js';

// The common problem types. A feature defines its own in a *.problems.ts next to its code.
export const malformedRequest = defineProblem('malformed_request', 400, 'Malformed request');
export const invalidRequest = defineProblem('invalid_request', 400, 'Invalid request');
export const routeNotFound = defineProblem('route_not_found', 404, 'Route not found');
export const methodNotAllowed = defineProblem('method_not_allowed', 405, 'Method not allowed');
export const requestTimeout = defineProblem('request_timeout', 408, 'Request timeout');
export const preconditionFailed = defineProblem('precondition_failed', 412, 'Precondition failed');
export const contentTooLarge = defineProblem('content_too_large', 413, 'Content too large');
export const unsupportedMediaType = defineProblem('unsupported_media_type', 415, 'Unsupported media type');
export const expectationFailed = defineProblem('expectation_failed', 417, 'Expectation failed');
export const queryTooBroad = defineProblem('query_too_broad', 422, 'Query too broad');
export const tooManyRequests = defineProblem('too_many_requests', 429, 'Rate limit exceeded');
export const headersTooLarge = defineProblem('headers_too_large', 431, 'Request headers too large');
export const internalError = defineProblem('internal_error', 500, 'Internal server error');
export const databaseUnavailable = defineProblem('database_unavailable', 503, 'Database unavailable');
export const databaseTimeout = defineProblem('database_timeout', 503, 'Database timeout');
export const handlerTimeout = defineProblem('handler_timeout', 503, 'Handler timeout');
export const partnerUnavailable = defineProblem('partner_unavailable', 503, 'Partner unavailable');
export const overloaded = defineProblem('overloaded', 503, 'Service overloaded');

// The problems of other exceptions, such as Nest's NotFoundException, by status.
export const badRequest = defineProblem('bad_request', 400, 'Bad request');
export const unauthorized = defineProblem('unauthorized', 401, 'Unauthorized');
export const paymentRequired = defineProblem('payment_required', 402, 'Payment required');
export const forbidden = defineProblem('forbidden', 403, 'Forbidden');
export const notFound = defineProblem('not_found', 404, 'Not found');
export const notAcceptable = defineProblem('not_acceptable', 406, 'Not acceptable');
export const conflict = defineProblem('conflict', 409, 'Conflict');
export const gone = defineProblem('gone', 410, 'Gone');
export const rangeNotSatisfiable = defineProblem('range_not_satisfiable', 416, 'Range not satisfiable');
export const unprocessableContent = defineProblem('unprocessable_content', 422, 'Unprocessable content');
export const locked = defineProblem('locked', 423, 'Locked');
export const preconditionRequired = defineProblem('precondition_required', 428, 'Precondition required');
export const notImplemented = defineProblem('not_implemented', 501, 'Not implemented');
export const badGateway = defineProblem('bad_gateway', 502, 'Bad gateway');
export const serviceUnavailable = defineProblem('service_unavailable', 503, 'Service unavailable');
export const gatewayTimeout = defineProblem('gateway_timeout', 504, 'Gateway timeout');
// Has the status and the title of an exception with any other status.
export const httpError = defineProblem('http_error', 400, 'Request rejected');
