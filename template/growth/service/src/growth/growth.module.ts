import { HttpModule } from '@nestjs/axios';
import { BullModule } from '@nestjs/bullmq';
import { CacheModule } from '@nestjs/cache-manager';
import { Module } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { CqrsModule } from '@nestjs/cqrs';
import { EventEmitterModule } from '@nestjs/event-emitter';
import { ScheduleModule } from '@nestjs/schedule';
import { FilesController } from './files.controller.js';
import { HangingHook } from './hanging-hook.js';
import { GreetHandler, PackagesController } from './packages.controller.js';
import { StartRecorder } from './start-recorder.js';

@Module({
  imports: [
    ConfigModule.forRoot({ ignoreEnvFile: true }),
    ScheduleModule.forRoot(),
    EventEmitterModule.forRoot(),
    CacheModule.register(),
    HttpModule,
    CqrsModule.forRoot(),
    BullModule.forRoot({ connection: { host: '127.0.0.1', port: 1, lazyConnect: true } }),
  ],
  controllers: [FilesController, PackagesController],
  providers: [GreetHandler, HangingHook, StartRecorder],
})
export class GrowthModule {}
