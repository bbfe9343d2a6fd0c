import type { RequestHandler } from 'express';
import type { Logger } from 'pino';
import type { Env } from '../config/env.js';
import { isHealthPath } from '../http/health-path.js';
import type { ProblemDto } from '../problems/problem.dto.js';
import { traceFields } from './trace.js';

/** Enough to find the mistake; the response has all of them. */
const MAX_POINTERS = 10;

/**
 * Gives each request a logger with its id and trace, and logs one line per request. pino-http would create three loggers
 * per request, a sixth of the cost of a request.
 */
export function requestLog(
  logger: Logger,
  { GOOGLE_CLOUD_PROJECT }: Pick<Env, 'GOOGLE_CLOUD_PROJECT'>,
): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    request.log = logger.child({ requestId: request.id, ...traceFields(request.headers, GOOGLE_CLOUD_PROJECT) });
    const summarize = () => {
      const { method, principal } = request;
      // Cloud Run writes the full request log. The query is omitted, because clients put secrets there.
      const [path] = request.originalUrl.split('?', 1);
      const status = response.writableFinished ? response.statusCode : undefined;
      const durationMs = Math.round(performance.now() - startedAt);
      const problem = response.locals.problem as ProblemDto | undefined;
      const level = status && status >= 500 ? 'warn' : 'info';
      request.log[level](
        {
          method,
          path,
          ...(principal && { principal: principal.id }),
          ...(status && { status }),
          ...(problem && { code: problem.code }),
          ...(problem?.errors && { pointers: problem.errors.slice(0, MAX_POINTERS).map(({ pointer }) => pointer) }),
          durationMs,
        },
        [method, path, status ?? 'aborted', problem?.code].filter(Boolean).join(' '),
      );
    };
    if (!isHealthPath(request.path)) response.once('close', summarize);
    next();
  };
}
