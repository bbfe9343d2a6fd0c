import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import { throwError } from 'rxjs';
import { packageInfo } from '../config/package-info.js';
import type { Problem } from './problem.js';
import { toProblem } from './to-problem.js';

/** Headers that a status requires (RFC 9110). Those of the exception and of the handler take precedence. */
const DEFAULT_HEADERS: Record<number, [name: string, value: string]> = {
  401: ['WWW-Authenticate', `Bearer realm="${packageInfo.name}"`],
  429: ['Retry-After', '1'],
  503: ['Retry-After', '1'],
};

/** Headers of the representation that failed, such as a file. */
const REPRESENTATION_HEADERS = [
  ...['Accept-Ranges', 'Content-Disposition', 'Content-Encoding', 'Content-Language', 'ETag', 'Last-Modified'],
];

/**
 * Returns a problem for every failure, and logs server errors. A filter that adds an effect, such as an error report, extends
 * it: `super.catch(error, host)` sends the response.
 */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger(ProblemFilter.name);

  catch(error: unknown, host: ArgumentsHost): unknown {
    const http = host.switchToHttp();
    const type = host.getType<string>();
    if (type === 'http') return this.respond(error, http.getRequest<Request>(), http.getResponse<Response>());
    this.logger.error(error);
    if (type === 'rpc') return throwError(() => error); // https://docs.nestjs.com/microservices/exception-filters
    throw error; // GraphQL formats it
  }

  private respond(error: unknown, request: Request, response: Response): void {
    const problem = reportProblem(error, response, this.logger);
    const { status } = problem.details;
    if (response.headersSent) {
      // An aborted connection marks the response as incomplete.
      if (!response.writableEnded) response.destroy();
      return;
    }
    for (const name of REPRESENTATION_HEADERS) response.removeHeader(name);
    const [name, value] = DEFAULT_HEADERS[status] ?? [];
    if (name && !response.hasHeader(name)) response.set(name, value);
    response
      .status(status)
      .set({ 'Cache-Control': 'no-store', ...problem.headers })
      .type('application/problem+json')
      .send(
        JSON.stringify({
          ...problem.details,
          requestId: problem.details.requestId ?? request.id,
          traceId: request.trace?.traceId,
        }),
      );
  }
}

/** Maps a failure to a problem, logs a server error, and notes the problem for the request log. */
export function reportProblem(error: unknown, response: Response, logger: Logger): Problem {
  const problem = toProblem(error);
  const { status, code } = problem.details;
  response.locals.problem = problem.details;
  if (status === 500) logger.error(error);
  else if (status > 500) logger.warn([code, ...chainOf(problem.cause)].map(String).join(': '));
  return problem;
}

/** Returns the error and its causes. */
function chainOf(error: unknown, seen: unknown[] = []): unknown[] {
  if (error === undefined || seen.includes(error)) return [];
  return [error, ...chainOf(error instanceof Error ? error.cause : undefined, [...seen, error])];
}
