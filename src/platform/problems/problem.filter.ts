import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import { toProblem } from './to-problem.js';

/** Returns a problem for every failure, and logs server errors. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger(ProblemFilter.name);

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    const problem = toProblem(error);
    const { status } = problem.details;
    response.locals.problem = problem.details; // for the request log
    if (status === 500) this.logger.error(error);
    else if (status > 500)
      this.logger.warn([problem.details.code, problem.cause].filter(Boolean).map(String).join(': '));

    if (response.headersSent) {
      response.destroy(); // an aborted connection marks the response as incomplete
      return;
    }
    response
      .status(status)
      .set({ 'Cache-Control': 'no-store', ...problem.headers })
      .type('application/problem+json')
      .send(JSON.stringify({ ...problem.details, requestId: problem.details.requestId ?? request.id }));
  }
}
