import { Controller, Get, UseFilters } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { HealthCheck, type HealthCheckResult, HealthCheckService, HealthIndicatorService } from '@nestjs/terminus';
import { Public } from '../auth/auth.decorators.js';
import { GracefulShutdown } from '../lifecycle/graceful-shutdown.js';
import { DatabaseHealth } from './database.health.js';
import { HealthFilter } from './health.filter.js';

// No path may end in z, which Google's front end reserves (https://cloud.google.com/run/docs/known-issues#ah).
@ApiTags('Service')
@Controller('health')
@Public()
@UseFilters(HealthFilter)
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly indicators: HealthIndicatorService,
    private readonly database: DatabaseHealth,
    private readonly shutdown: GracefulShutdown,
  ) {}

  /** Startup probe: the database is connected and no migration of this build is pending */
  @Get('startup')
  @HealthCheck()
  startup(): Promise<HealthCheckResult> {
    return this.health.check([() => this.database.connected(), () => this.database.migrated()]);
  }

  /** Liveness probe: the event loop responds. It checks nothing else, because a failure restarts the instance */
  @Get('live')
  @ApiOkResponse({ schema: { type: 'object', properties: { status: { type: 'string', enum: ['ok'] } } } })
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  /** Readiness probe: the database responds and the instance is not shutting down */
  @Get('ready')
  @HealthCheck()
  ready(): Promise<HealthCheckResult> {
    return this.health.check([() => this.database.responds(), () => this.draining()]);
  }

  private draining() {
    const indicator = this.indicators.check('shutdown');
    return this.shutdown.draining ? indicator.down('the instance is shutting down') : indicator.up();
  }
}
