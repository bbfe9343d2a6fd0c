import './platform/lifecycle/report-crashes.js'; // first, because it also reports failed imports
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { AppModule } from './app.module.js';
import { appOptions, configureApp } from './platform/platform.module.js';
import { loadEnv } from './platform/config/env.js';
import { assertCanListen } from './platform/lifecycle/assert-can-listen.js';

async function bootstrap(): Promise<void> {
  const { HOST, PORT } = loadEnv(process.env);
  await assertCanListen(HOST, PORT);

  const app = await NestFactory.create<NestExpressApplication>(AppModule, appOptions);
  configureApp(app);
  // Exit code 0 after SIGTERM; by default Nest ends by the signal.
  app.enableShutdownHooks(['SIGTERM', 'SIGINT'], { useProcessExit: true });
  await app.listen(PORT, HOST);
  new Logger('main').log(`Listening on ${await app.getUrl()}`);
}

void bootstrap();
