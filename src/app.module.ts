import { Module } from '@nestjs/common';
import { migrations } from './migrations/index.js';
import { PlatformModule } from './platform/platform.module.js';
import { VouchersModule } from './vouchers/vouchers.module.js';

@Module({
  imports: [PlatformModule.forRoot({ migrations }), VouchersModule],
})
export class AppModule {}
