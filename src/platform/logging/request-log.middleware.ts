import type { RequestHandler } from 'express';
import type { Logger } from 'pino';
import type { Env } from '../config/env.js';
import { isHealthPath } from '../http/health-path.js';
import { type RequestContext, requestContext } from '../http/request-context.js';
import type { ProblemDto } from '../problems/problem.dto.js';
import { DatabaseUsage } from '../telemetry/database-usage.js';
import { routeOf } from '../telemetry/route-of.js';
import { parseTrace, traceFields } from './trace.js';

/** Enough to find the mistake; the response has all of them. */
const MAX_POINTERS = 10;

/** The `route` of requests without a route, so that clients cannot invent values: unknown paths and early rejections. */
const UNMATCHED = 'unmatched';

const roundMs = (ms: number) => Math.round(ms * 10) / 10;

/**
 * Adds the id and the trace of the request to its log lines, and logs one line per request. pino-http would create three
 * loggers per request.
 */
export function requestLog(
  logger: Logger,
  { GOOGLE_CLOUD_PROJECT }: Pick<Env, 'GOOGLE_CLOUD_PROJECT'>,
): RequestHandler {
  // No field of the line is an error or a header. Other credentials are redacted in the finished line.
  const lines = logger.child({}, { redact: [], formatters: { log: (fields) => fields } });
  return (request, response, next) => {
    const startedAt = performance.now();
    const { headers } = request;
    const usage = new DatabaseUsage();
    const trace = request.trace ?? parseTrace(headers);
    const logFields = { requestId: request.id, ...traceFields(trace, GOOGLE_CLOUD_PROJECT) };
    const context: RequestContext = { headers, logFields, databaseUsage: usage, deadline: Infinity };
    const summarize = () => {
      const { method, principal } = request;
      // Cloud Run writes the full request log. The query is omitted, because clients put secrets there.
      const [path] = request.originalUrl.split('?', 1);
      const status = response.writableFinished ? response.statusCode : undefined;
      const problem = response.locals.problem as ProblemDto | undefined;
      lines[(status ?? problem?.status ?? 0) >= 500 ? 'warn' : 'info'](
        {
          method,
          path,
          principal: principal?.id,
          status,
          code: problem?.code,
          pointers: problem?.errors?.slice(0, MAX_POINTERS).map(({ pointer }) => pointer),
          route: routeOf(request) ?? UNMATCHED,
          durationMs: Math.round(performance.now() - startedAt),
          dbMs: roundMs(usage.dbMs),
          dbQueries: usage.dbQueries,
          poolWaitMs: roundMs(usage.poolWaitMs),
        },
        [method, path, status ?? 'aborted', problem?.code].filter(Boolean).join(' '),
      );
    };
    if (!isHealthPath(request.path)) response.once('close', () => requestContext.run(context, summarize));
    requestContext.run(context, next);
  };
}
