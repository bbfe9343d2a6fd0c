import { type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common';
import { AppController } from './app.controller.js';
import { ConfigModule } from './config/config.module.js';
import { DatabaseModule } from './database/database.module.js';
import { HealthModule } from './health/health.module.js';
import { LoggingModule } from './logging/logging.module.js';
import { jsonBody } from './routing/json-body.middleware.js';
import { MethodNotAllowedMiddleware } from './routing/method-not-allowed.middleware.js';
import { ShutdownModule } from './shutdown/shutdown.module.js';
import { VouchersModule } from './vouchers/vouchers.module.js';

@Module({
  imports: [ConfigModule, LoggingModule, ShutdownModule, DatabaseModule, HealthModule, VouchersModule],
  controllers: [AppController],
})
export class AppModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(MethodNotAllowedMiddleware, ...jsonBody).forRoutes('{*path}');
  }
}
