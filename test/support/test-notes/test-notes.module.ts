import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { IdempotencyModule } from '../../../src/platform/idempotency/idempotency.module.js';
import { TestNote } from './test-note.entity.js';
import { TestNotesController } from './test-notes.controller.js';
import { TestNotesService } from './test-notes.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([TestNote]), IdempotencyModule],
  controllers: [TestNotesController],
  providers: [TestNotesService],
})
export class TestNotesModule {}
