import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Public } from '../auth/auth.decorators.js';
import { Env } from '../config/env.js';
import { packageInfo } from '../config/package-info.js';
import { ServiceInfoDto } from './service-info.dto.js';

@ApiTags('Service')
@Controller()
@Public()
export class ServiceInfoController {
  constructor(private readonly env: Env) {}

  /** Returns the service name, version and commit */
  @Get()
  get(): ServiceInfoDto {
    const { name, version } = packageInfo;
    const docs = this.env.DOCS_ENABLED && { docs: '/docs', openapi: '/openapi.json' };
    return { name, version, commit: this.env.COMMIT_SHA ?? null, links: { ...docs, health: '/health/ready' } };
  }
}
