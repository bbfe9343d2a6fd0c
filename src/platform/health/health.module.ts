import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { DatabaseHealth } from './database.health.js';
import { HealthController } from './health.controller.js';

@Module({
  imports: [TerminusModule.forRoot({ logger: false })], // DatabaseHealth logs changes, not every failed probe
  controllers: [HealthController],
  providers: [DatabaseHealth],
})
export class HealthModule {}
