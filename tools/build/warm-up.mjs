// A program of the bundle, for precompile.cjs only.
import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { NestFactory } from '@nestjs/core';
import { Env } from '../../build/platform/config/env.js';
import { IdDto } from '../../build/platform/http/id.dto.js';
import { appOptions, configureApp, PlatformModule } from '../../build/platform/platform.module.js';

const PATHS = ['/', '/health/startup', '/health/live', '/health/ready', '/v1/me', '/nowhere'];

/**
 * Runs most code of the platform and its packages, without the features and their configuration: starts the platform without
 * a database, and sends it requests.
 */
export async function warmUp() {
  validateSync(plainToInstance(IdDto, { id: 'invalid' }));
  const env = Object.assign(new Env(), {
    NODE_ENV: 'production',
    DATABASE_URL: 'postgresql://127.0.0.1:1/none',
    LOG_LEVEL: 'silent',
  });
  const app = await NestFactory.create(PlatformModule.forRoot({ migrations: [], env }), appOptions);
  configureApp(app);
  app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  for (const path of PATHS) await (await fetch(url + path)).text();
  await app.close();
}
