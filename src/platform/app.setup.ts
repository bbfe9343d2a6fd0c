import type { NestApplicationOptions } from '@nestjs/common';
import { VersioningType } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';
import { Logger } from 'nestjs-pino';
import { Env } from './config/env.js';
import { answerMalformedHttp } from './http/malformed-http.js';
import { ProblemFilter } from './problems/problem.filter.js';
import { requestLog } from './logging/request-log.middleware.js';
import { ROOT_LOGGER } from './logging/logging.module.js';
import { requestId } from './http/request-id.middleware.js';
import { serveDocs } from './openapi/openapi.js';
import { shedLoad } from './limits/shed-load.middleware.js';
import { RequestValidationPipe } from './http/request-validation.pipe.js';

/** For NestFactory.create, with configureApp: main, the tests and the OpenAPI export make the same application. */
export const appOptions: NestApplicationOptions = {
  bufferLogs: true,
  abortOnError: false, // main reports the failure in the log's own shape
  bodyParser: false, // AppModule reads bodies, after what can refuse them unread
};

export function configureApp(app: NestExpressApplication): void {
  const env = app.get(Env);
  app.set('trust proxy', env.TRUST_PROXY_HOPS); // request.ip is the address that the first trusted proxy saw
  app.use(requestId, shedLoad(env.CONCURRENCY_LIMIT), requestLog(app.get(ROOT_LOGGER), env));
  app.useLogger(app.get(Logger));
  app.enableVersioning({ type: VersioningType.URI });
  app.useGlobalPipes(new RequestValidationPipe());
  app.useGlobalFilters(new ProblemFilter());
  app.set('etag', false); // only what has a version has an ETag

  if (env.CORS_ORIGINS.length > 0) {
    const exposedHeaders = [
      ...['ETag', 'Location', 'Retry-After', 'WWW-Authenticate', 'X-Request-Id'],
      ...['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'],
    ];
    app.enableCors({ origin: env.CORS_ORIGINS, exposedHeaders, maxAge: 600 });
  }
  const policy = {
    defaultSrc: ["'none'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  };
  app.use(helmet({ contentSecurityPolicy: { useDefaults: false, directives: policy } }));
  if (env.DOCS_ENABLED) {
    const [issuer] = env.OIDC_ISSUERS;
    const signIn = issuer && env.OIDC_CLIENT_ID ? { issuer, clientId: env.OIDC_CLIENT_ID } : undefined;
    // Swagger UI: its own files, inline styles, requests to this service, and to the issuer's where it can sign in.
    const swagger = {
      scriptSrc: ["'self'"],
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'", ...(signIn ? ['https:', new URL(signIn.issuer).origin] : [])],
    };
    app.use(
      '/docs',
      helmet({
        contentSecurityPolicy: { useDefaults: false, directives: { ...policy, ...swagger } },
        // The window that comes back from the issuer reports to the one that has opened it.
        crossOriginOpenerPolicy: { policy: signIn ? 'unsafe-none' : 'same-origin' },
      }),
    );
    serveDocs(app, signIn);
  }
  const server = app.getHttpServer();
  answerMalformedHttp(server);
  server.headersTimeout = 15_000;
  server.requestTimeout = 30_000; // to receive a request whole
  // Longer than Google's load balancer keeps a connection, which would send a request into one that closes just then.
  // https://cloud.google.com/load-balancing/docs/https#timeout-keepalive-backends
  server.keepAliveTimeout = 620_000;
  // Without a byte in either direction: by then every handler has answered, and the client does not read.
  server.timeout = 2 * env.HANDLER_TIMEOUT_MS;
}
