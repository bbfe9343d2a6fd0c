import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { CurrentPrincipal, RequireScopes } from './auth.decorators.js';
import { MeDto } from './me.dto.js';
import type { Principal } from './principal.js';

@ApiTags('Service')
@Controller({ path: 'me', version: '1' })
export class MeController {
  /** Returns the caller's identity and scopes */
  @Get()
  @RequireScopes()
  me(@CurrentPrincipal() { kind, name, scopes, expiresAt }: Principal): MeDto {
    return { kind, name, scopes: [...scopes], expiresAt };
  }
}
