import { type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { AppController } from './app.controller.js';
import { AuthGuard } from './auth/auth.guard.js';
import { AuthModule } from './auth/auth.module.js';
import { ConfigModule } from './config/config.module.js';
import { DatabaseModule } from './database/database.module.js';
import { RetryReadsInterceptor } from './database/retry-reads.interceptor.js';
import { HealthModule } from './health/health.module.js';
import { IdempotencyModule } from './idempotency/idempotency.module.js';
import { LoggingModule } from './logging/logging.module.js';
import { AddressRateLimitGuard, PrincipalRateLimitGuard } from './rate-limit/rate-limit.guards.js';
import { RateLimitModule } from './rate-limit/rate-limit.module.js';
import { HandlerTimeoutInterceptor } from './routing/handler-timeout.interceptor.js';
import { jsonBody } from './routing/json-body.middleware.js';
import { MethodNotAllowedMiddleware } from './routing/method-not-allowed.middleware.js';
import { ShutdownModule } from './shutdown/shutdown.module.js';
import { VouchersModule } from './vouchers/vouchers.module.js';

@Module({
  imports: [
    ConfigModule,
    LoggingModule,
    ShutdownModule,
    DatabaseModule,
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
