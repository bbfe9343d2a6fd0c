import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { LoggerModule } from 'nestjs-pino';
import { HealthModule } from './health/health.module.js';
import { VouchersModule } from './vouchers/vouchers.module.js';

@Module({
  imports: [
    LoggerModule.forRoot({ pinoHttp: { level: process.env.LOG_LEVEL ?? 'info' } }),
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: process.env.DATABASE_URL,
      poolSize: Number(process.env.DATABASE_POOL_MAX ?? 10),
      autoLoadEntities: true,
    }),
    HealthModule,
    VouchersModule,
  ],
})
export class AppModule {}
