import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { IdempotencyModule } from '../platform/idempotency/idempotency.module.js';
import { Voucher } from './voucher.entity.js';
import { VouchersController } from './vouchers.controller.js';
import { VouchersService } from './vouchers.service.js';
import { VouchersTools } from './vouchers.tools.js';

@Module({
  imports: [TypeOrmModule.forFeature([Voucher]), IdempotencyModule],
  controllers: [VouchersController],
  providers: [VouchersService, VouchersTools],
})
export class VouchersModule {}
