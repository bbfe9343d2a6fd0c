import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ApiKey } from './api-key.entity.js';
import { ApiKeysService } from './api-keys.service.js';
import { MeController } from './me.controller.js';
import { OidcService } from './oidc.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([ApiKey])],
  controllers: [MeController],
  providers: [ApiKeysService, OidcService],
  exports: [ApiKeysService, OidcService],
})
export class AuthModule {}
