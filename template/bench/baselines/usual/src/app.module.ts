import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { SkipThrottle, ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { AppModule as StockAppModule } from '../../stock/src/app.module.js';
import { HealthController } from '../../stock/src/health/health.controller.js';
import { ApiKeyGuard, Public } from './auth/api-key.guard.js';
import { AuthModule } from './auth/auth.module.js';

// The class belongs to the stock application, so its decorators are applied here.
Public()(HealthController);
SkipThrottle()(HealthController);

@Module({
  imports: [
    StockAppModule, // TypeORM, Terminus, nestjs-pino and the vouchers
    ThrottlerModule.forRoot([{ ttl: 60_000, limit: 10_000 }]),
    AuthModule,
  ],
  providers: [
    { provide: APP_GUARD, useClass: ThrottlerGuard },
    { provide: APP_GUARD, useClass: ApiKeyGuard },
  ],
})
export class AppModule {}
