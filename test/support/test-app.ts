import type { Type } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import supertest from 'supertest';
import { AppModule } from '../../src/app.module.js';
import { appOptions, configureApp } from '../../src/platform/platform.module.js';
import { Env, loadEnv } from '../../src/platform/config/env.js';
import { createLogger } from '../../src/platform/logging/logger.js';
import { ROOT_LOGGER } from '../../src/platform/logging/logging.module.js';
import { givenApiKey } from './credentials.js';
import { requiredEnv } from './required-env.mjs';
import { createTestDatabase, type TestDatabase } from './test-database.js';
import { until } from './until.js';

export interface TestApp {
  app: NestExpressApplication;
  database: TestDatabase;
  /** An API key with every scope. */
  apiKey: string;
  /** Sends requests with `apiKey`. */
  http: ReturnType<typeof supertest.agent>;
  /** Sends requests without a credential. */
  anonymous: ReturnType<typeof supertest>;
  url: string;
  close(): Promise<void>;
}

/** Starts the application of main.ts on a free port, and waits until it has connected to its database. */
export async function createTestApp({
  env = {},
  controllers = [],
  modules = [],
  database: given,
  configure,
  log = () => undefined,
}: {
  env?: NodeJS.ProcessEnv;
  /** Controllers and modules in addition to those of the application. */
  controllers?: Type[];
  modules?: Type[];
  /** An existing database. By default the application gets a new one, which `close()` drops. */
  database?: TestDatabase;
  /** Configures the application before it starts. */
  configure?: (app: NestExpressApplication) => void;
  /** Receives each line of the log. The level is `silent` unless `env` sets LOG_LEVEL. */
  log?: (line: string) => void;
} = {}): Promise<TestApp> {
  const database = given ?? (await createTestDatabase());
  const testEnv = loadEnv({
    ...requiredEnv,
    NODE_ENV: 'test',
    LOG_LEVEL: 'silent',
    RATE_LIMIT_PER_MINUTE: '0',
    DATABASE_POOL_ACQUIRE_TIMEOUT_MS: '10000', // other test files use the CPU at the same time
    DATABASE_URL: database.url,
    ...env,
  });
  const testingModule = await Test.createTestingModule({ imports: [AppModule, ...modules], controllers })
    .overrideProvider(Env)
    .useValue(testEnv)
    .overrideProvider(ROOT_LOGGER)
    .useValue(await createLogger(testEnv, { write: log }))
    .compile();
  const app = testingModule.createNestApplication<NestExpressApplication>(appOptions);
  configureApp(app);
  configure?.(app);
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  await until(async () => (await fetch(`${url}/health/startup`)).ok);
  const apiKey = await givenApiKey(database);
  return {
    app,
    database,
    apiKey,
    http: supertest.agent(url).set('x-api-key', apiKey),
    anonymous: supertest(url),
    url,
    async close() {
      await app.close();
      if (!given) await database.drop();
    },
  };
}
