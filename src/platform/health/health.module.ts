import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { DatabaseHealth } from './database.health.js';
import { HealthController } from './health.controller.js';

@Module({
  imports: [TerminusModule.forRoot({ logger: false })], // a failing probe every second is no news: DatabaseHealth logs the change
  controllers: [HealthController],
  providers: [DatabaseHealth],
})
export class HealthModule {}
