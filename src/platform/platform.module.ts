import {
  type DynamicModule,
  Module,
  type NestApplicationOptions,
  type OnModuleInit,
  VersioningType,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Logger } from 'nestjs-pino';
import { AuthGuard } from './auth/auth.guard.js';
import { AuthModule } from './auth/auth.module.js';
import { ConfigModule } from './config/config.module.js';
import { Env } from './config/env.js';
import type { MigrationClass } from './database/data-source.js';
import { DatabaseModule } from './database/database.module.js';
import { HandlerInterceptor } from './handler.interceptor.js';
import { HealthModule } from './health/health.module.js';
import { EventStreams } from './http/event-streams.js';
import { handleParserErrors } from './http/parser-errors.js';
import { methodNotAllowed } from './http/method-not-allowed.middleware.js';
import { convertAbsoluteForm, protocolChecks } from './http/protocol-checks.middleware.js';
import { assertOnlyHttp } from './http/only-http.js';
import { checkRequiredRoutes } from './http/required-routes.js';
import { rejectUnknownRoutes } from './http/unknown-routes.js';
import { RequestBody } from './http/request-body.js';
import { requestId } from './http/request-id.middleware.js';
import { RequestValidationPipe } from './http/request-validation.pipe.js';
import { enableCors, securityHeaders } from './http/security-headers.middleware.js';
import { sendJsonFaster } from './http/send-json.js';
import { ServiceInfoController } from './health/service-info.controller.js';
import { setServerTimeouts } from './http/server-timeouts.js';
import { IdempotencyModule } from './idempotency/idempotency.module.js';
import { LifecycleModule } from './lifecycle/lifecycle.module.js';
import { addressRateLimit } from './limits/address-rate-limit.middleware.js';
import { ArrivingBodies } from './limits/arriving-bodies.js';
import { ConcurrencyLimit } from './limits/concurrency-limit.js';
import { LoggingModule, ROOT_LOGGER } from './logging/logging.module.js';
import { requestLog } from './logging/request-log.middleware.js';
import { TELEMETRY, type Telemetry, TelemetryModule } from './telemetry/telemetry.module.js';
import { serveDocs } from './openapi/serve-docs.js';
import { McpModule, serveMcp } from './mcp/mcp.module.js';
import { ProblemFilter } from './problems/problem.filter.js';

/** The options of NestFactory.create() for an application that is passed to {@link configureApp}. */
export const appOptions: NestApplicationOptions = {
  bufferLogs: true,
  // report-crashes.ts logs a failed start in the format of every other line. Nest would print its buffer as text.
  abortOnError: false,
  autoFlushLogs: false,
  bodyParser: false, // RequestBody reads bodies
};

/**
 * The request pipeline, first half: Express middleware, in this order, for every request.
 * main.ts, the tests and the OpenAPI export share it.
 */
export function configureApp(app: NestExpressApplication): void {
  const env = app.get(Env);
  app.useLogger(app.get(Logger));
  app.flushLogs();
  app.enableVersioning({ type: VersioningType.URI });
  app.set('trust proxy', env.TRUST_PROXY_HOPS); // request.ip is the address that the first trusted proxy saw
  app.set('etag', false); // only versioned resources have an ETag
  app.disable('x-powered-by');

  // 1. Request id, security headers, CORS: every response has them, rejections included.
  app.use(requestId, securityHeaders);
  enableCors(app, env);
  // Tracing and metrics, if they are on.
  const telemetry = app.get<Telemetry | undefined>(TELEMETRY);
  if (telemetry) app.use(telemetry.middleware);
  // 2. Load shedding, before anything expensive. HandlerInterceptor counts running handlers.
  app.use(app.get(ConcurrencyLimit).middleware);
  // 3. Request log.
  app.use(requestLog(app.get(ROOT_LOGGER), env));
  // 4. Rate limit per client address. It counts unknown routes and wrong methods too.
  app.use(addressRateLimit(env.RATE_LIMIT_PER_MINUTE));
  // 5. Host, Expect, request target; method known for the route: 405. An unknown route falls through to 404.
  app.use(protocolChecks);
  serveMcp(app, env);
  app.use(methodNotAllowed(app));
  rejectUnknownRoutes(app);
  if (env.DOCS_ENABLED) serveDocs(app, env);
  sendJsonFaster(app);

  const server = app.getHttpServer();
  server.prependListener('request', convertAbsoluteForm);
  handleParserErrors(server, app.get(ArrivingBodies)); // they pass the pipeline too
  setServerTimeouts(server, env);
}

/** The second half of the request pipeline: guards, interceptors and pipes around the handler of a route. */
@Module({
  controllers: [ServiceInfoController],
  providers: [
    // 6. Authentication and scopes (deny by default), then the rate limit per principal.
    { provide: APP_GUARD, useClass: AuthGuard },
    // 7. Body, only where the route declares one. 8. Concurrency limit: counts running handlers, not bodies that are still
    // arriving. 9. Deadline, one retry of reads; then validation and the handler. Failures become problems.
    ArrivingBodies,
    RequestBody,
    EventStreams,
    ConcurrencyLimit,
    { provide: APP_INTERCEPTOR, useClass: HandlerInterceptor },
    { provide: APP_PIPE, useClass: RequestValidationPipe },
    { provide: APP_FILTER, useClass: ProblemFilter },
  ],
})
export class PlatformModule implements OnModuleInit {
  constructor(
    private readonly adapterHost: HttpAdapterHost,
    private readonly modules: ModulesContainer,
  ) {}

  onModuleInit(): void {
    assertOnlyHttp(this.modules);
    // A program such as a job has no HTTP adapter.
    const { httpAdapter } = this.adapterHost;
    if (httpAdapter) checkRequiredRoutes(httpAdapter.getInstance());
  }

  static forRoot({
    migrations,
    env,
  }: {
    /** The classes of src/migrations, in the order in which they run. */
    migrations: MigrationClass[];
    /** The configuration; by default that of the process, validated. */
    env?: Env;
  }): DynamicModule {
    return {
      module: PlatformModule,
      imports: [
        ConfigModule.forRoot(env),
        LoggingModule,
        LifecycleModule,
        TelemetryModule,
        DatabaseModule.forRoot(migrations),
        HealthModule,
        AuthModule,
        IdempotencyModule,
        McpModule,
      ],
    };
  }
}
