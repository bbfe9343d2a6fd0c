import { type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { AppController } from './platform/http/service-info.controller.js';
import { AuthGuard } from './platform/auth/auth.guard.js';
import { AuthModule } from './platform/auth/auth.module.js';
import { ConfigModule } from './platform/config/config.module.js';
import { DatabaseModule } from './platform/database/database.module.js';
import { RetryReadsInterceptor } from './platform/database/retry-reads.interceptor.js';
import { HealthModule } from './platform/health/health.module.js';
import { IdempotencyModule } from './platform/idempotency/idempotency.module.js';
import { LoggingModule } from './platform/logging/logging.module.js';
import { AddressRateLimitGuard, PrincipalRateLimitGuard } from './platform/limits/rate-limit.guards.js';
import { RateLimitModule } from './platform/limits/rate-limit.module.js';
import { HandlerTimeoutInterceptor } from './platform/limits/handler-timeout.interceptor.js';
import { jsonBody } from './platform/http/json-body.middleware.js';
import { MethodNotAllowedMiddleware } from './platform/http/method-not-allowed.middleware.js';
import { LifecycleModule } from './platform/lifecycle/lifecycle.module.js';
import { migrations } from './migrations/index.js';
import { VouchersModule } from './vouchers/vouchers.module.js';

@Module({
  imports: [
    ConfigModule,
    LoggingModule,
    LifecycleModule,
    DatabaseModule.forRoot(migrations),
    HealthModule,
    AuthModule,
    RateLimitModule,
    IdempotencyModule,
    VouchersModule,
  ],
  controllers: [AppController],
  providers: [
    // In this order, on every route.
    { provide: APP_GUARD, useClass: AddressRateLimitGuard },
    { provide: APP_GUARD, useClass: AuthGuard },
    { provide: APP_GUARD, useClass: PrincipalRateLimitGuard },
    { provide: APP_INTERCEPTOR, useClass: HandlerTimeoutInterceptor },
    { provide: APP_INTERCEPTOR, useClass: RetryReadsInterceptor },
  ],
})
export class AppModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(MethodNotAllowedMiddleware, ...jsonBody).forRoutes('{*path}');
  }
}
