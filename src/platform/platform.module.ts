import { type DynamicModule, Module, type NestApplicationOptions, VersioningType } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Logger } from 'nestjs-pino';
import { AuthGuard } from './auth/auth.guard.js';
import { AuthModule } from './auth/auth.module.js';
import { ConfigModule } from './config/config.module.js';
import { Env } from './config/env.js';
import type { MigrationClass } from './database/data-source.js';
import { DatabaseModule } from './database/database.module.js';
import { RetryReadsInterceptor } from './database/retry-reads.interceptor.js';
import { HealthModule } from './health/health.module.js';
import { handleParserErrors } from './http/parser-errors.js';
import { methodNotAllowed } from './http/method-not-allowed.middleware.js';
import { RequestBodyInterceptor } from './http/request-body.interceptor.js';
import { requestId } from './http/request-id.middleware.js';
import { RequestValidationPipe } from './http/request-validation.pipe.js';
import { enableCors, securityHeaders } from './http/security-headers.middleware.js';
import { ServiceInfoController } from './health/service-info.controller.js';
import { setServerTimeouts } from './http/server-timeouts.js';
import { IdempotencyModule } from './idempotency/idempotency.module.js';
import { LifecycleModule } from './lifecycle/lifecycle.module.js';
import { addressRateLimit } from './limits/address-rate-limit.middleware.js';
import { ConcurrencyLimit } from './limits/concurrency-limit.js';
import { HandlerTimeoutInterceptor } from './limits/handler-timeout.interceptor.js';
import { PrincipalRateLimitGuard } from './limits/principal-rate-limit.guard.js';
import { LoggingModule, ROOT_LOGGER } from './logging/logging.module.js';
import { requestLog } from './logging/request-log.middleware.js';
import { serveDocs } from './openapi/serve-docs.js';
import { ProblemFilter } from './problems/problem.filter.js';

/** The options of NestFactory.create() for an application that is passed to {@link configureApp}. */
export const appOptions: NestApplicationOptions = {
  bufferLogs: true,
  abortOnError: false, // main.ts logs the failure in the format of every other line
  bodyParser: false, // RequestBodyInterceptor reads bodies
};

/**
 * The request pipeline, first half: Express middleware, in this order, for every request.
 * main.ts, the tests and the OpenAPI export share it.
 */
export function configureApp(app: NestExpressApplication): void {
  const env = app.get(Env);
  app.useLogger(app.get(Logger));
  app.enableVersioning({ type: VersioningType.URI });
  app.set('trust proxy', env.TRUST_PROXY_HOPS); // request.ip is the address that the first trusted proxy saw
  app.set('etag', false); // only versioned resources have an ETag

  // 1. Request id, security headers, CORS: every response has them, rejections included.
  app.use(requestId, securityHeaders);
  enableCors(app, env);
  // 2. Load shedding, before anything expensive. The interceptor below counts running handlers.
  app.use(app.get(ConcurrencyLimit).middleware);
  // 3. Request log.
  app.use(requestLog(app.get(ROOT_LOGGER), env));
  // 4. Rate limit per client address. It counts unknown routes and wrong methods too.
  app.use(addressRateLimit(env.RATE_LIMIT_PER_MINUTE));
  // 5. Method known for the route: 405. An unknown route falls through to Nest's 404.
  app.use(methodNotAllowed(app));
  if (env.DOCS_ENABLED) serveDocs(app, env);

  handleParserErrors(app.getHttpServer());
  setServerTimeouts(app.getHttpServer(), env);
}

/** The second half of the request pipeline: guards, interceptors and pipes around the handler of a route. */
@Module({
  controllers: [ServiceInfoController],
  providers: [
    // 6. Authentication and scopes (deny by default), then the rate limit per principal.
    { provide: APP_GUARD, useClass: AuthGuard },
    { provide: APP_GUARD, useClass: PrincipalRateLimitGuard },
    // 7. Body, only where the route declares one.
    { provide: APP_INTERCEPTOR, useClass: RequestBodyInterceptor },
    // 8. Concurrency limit: counts running handlers, not bodies that are still arriving.
    ConcurrencyLimit,
    { provide: APP_INTERCEPTOR, useExisting: ConcurrencyLimit },
    // 9. Deadline, one retry of reads, validation; then the handler. Failures become problems.
    { provide: APP_INTERCEPTOR, useClass: HandlerTimeoutInterceptor },
    { provide: APP_INTERCEPTOR, useClass: RetryReadsInterceptor },
    { provide: APP_PIPE, useClass: RequestValidationPipe },
    { provide: APP_FILTER, useClass: ProblemFilter },
  ],
})
export class PlatformModule {
  /** @param migrations the classes of src/migrations, in the order in which they run */
  static forRoot({ migrations }: { migrations: MigrationClass[] }): DynamicModule {
    return {
      module: PlatformModule,
      imports: [
        ConfigModule,
        LoggingModule,
        LifecycleModule,
        DatabaseModule.forRoot(migrations),
        HealthModule,
        AuthModule,
        IdempotencyModule,
      ],
    };
  }
}
