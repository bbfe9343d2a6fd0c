import type { IncomingMessage, ServerResponse } from 'node:http';
import { Module } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import type { Options } from 'pino-http';
import type { Request } from 'express';
import { Env } from '../config/env.js';
import { createLogger } from './logger.js';
import { traceFields } from './trace.js';

/** Every line written while a request is handled bears its id and trace, and one line sums the request up. */
@Module({
  imports: [
    LoggerModule.forRootAsync({
      inject: [Env],
      useFactory: async (env: Env) => ({
        pinoHttp: { ...requestLogging(env), logger: await createLogger(env) },
        // nestjs-pino's default is a pattern, and matching one fails on a malformed URL before anything is logged.
        forRoutes: ['/'],
      }),
    }),
  ],
})
export class LoggingModule {}

function requestLogging(env: Env): Options {
  return {
    customProps: (request) => ({
      requestId: request.id,
      ...traceFields(request.headers, env.GOOGLE_CLOUD_PROJECT),
    }),
    // pino-http would repeat the request, headers included, on every line.
    serializers: { req: () => undefined, res: () => undefined },
    autoLogging: { ignore: ({ url }) => url?.startsWith('/health/') ?? false },
    customLogLevel: (_request, response) => (response.statusCode >= 500 ? 'warn' : 'info'),
    customSuccessMessage: summary,
    customErrorMessage: (request, response, _error) => summary(request, response, 0),
    customSuccessObject: summaryFields,
    customErrorObject: (request, response, _error, fields) => summaryFields(request, response, fields),
  };
}

type HttpRequest = IncomingMessage & Partial<Pick<Request, 'originalUrl' | 'principal'>>;

// Cloud Run writes the full request log; this line names what it needs to be found beside it. The query is left out,
// because clients put secrets there.
const pathOf = (request: HttpRequest) => (request.originalUrl ?? request.url ?? '').split('?', 1)[0];

function summary(request: IncomingMessage, response: ServerResponse, _durationMs?: number): string {
  return `${request.method} ${pathOf(request)} ${response.writableFinished ? response.statusCode : 'aborted'}`;
}

function summaryFields(request: HttpRequest, response: ServerResponse, { responseTime }: { responseTime: number }) {
  return {
    method: request.method,
    path: pathOf(request),
    ...(request.principal && { principal: request.principal.id }),
    ...(response.writableFinished && { status: response.statusCode }),
    durationMs: responseTime,
  };
}
