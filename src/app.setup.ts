import type { NestApplicationOptions } from '@nestjs/common';
import { VersioningType } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';
import { Logger } from 'nestjs-pino';
import { Env } from './config/env.js';
import { answerMalformedHttp } from './errors/malformed-http.js';
import { ProblemFilter } from './errors/problem.filter.js';
import { requestId } from './logging/request-id.js';
import { serveDocs } from './openapi/openapi.js';
import { RequestValidationPipe } from './validation/request-validation.pipe.js';

/** For NestFactory.create, with configureApp: main, the tests and the OpenAPI export make the same application. */
export const appOptions: NestApplicationOptions = {
  bufferLogs: true,
  abortOnError: false, // main reports the failure in the log's own shape
  bodyParser: false, // AppModule reads bodies after the logger, so that a bad one has a request id
};

export function configureApp(app: NestExpressApplication): void {
  app.use(requestId);
  app.useLogger(app.get(Logger));
  app.enableVersioning({ type: VersioningType.URI });
  app.useGlobalPipes(new RequestValidationPipe());
  app.useGlobalFilters(new ProblemFilter());
  app.set('etag', false); // only what has a version has an ETag

  const policy = {
    defaultSrc: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  };
  app.use(helmet({ contentSecurityPolicy: { useDefaults: false, directives: policy } }));
  if (app.get(Env).DOCS_ENABLED) {
    // Swagger UI: its own files, inline styles, and requests to this service.
    const swagger = {
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
    };
    app.use('/docs', helmet({ contentSecurityPolicy: { useDefaults: false, directives: { ...policy, ...swagger } } }));
    serveDocs(app);
  }
  answerMalformedHttp(app.getHttpServer());
}
