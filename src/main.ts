import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';
import { appOptions, configureApp } from './platform/platform.module.js';
import { loadEnv, loggingEnv } from './platform/config/env.js';
import { createLogger } from './platform/logging/logger.js';
import { reportCrashes } from './platform/lifecycle/report-crashes.js';

async function bootstrap(): Promise<void> {
  reportCrashes(await createLogger(loggingEnv(process.env)));
  const { HOST, PORT } = loadEnv(process.env);

  const app = await NestFactory.create<NestExpressApplication>(AppModule, appOptions);
  configureApp(app);
  // Exit code 0 after SIGTERM; by default Nest ends by the signal.
  app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
  await app.listen(PORT, HOST);
  new Logger('main').log(`Listening on ${await app.getUrl()}`);
}

void bootstrap();
