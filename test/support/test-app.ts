import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import type { Type } from '@nestjs/common';
import supertest from 'supertest';
import { AppModule } from '../../src/app.module.js';
import { appOptions, configureApp } from '../../src/platform/platform.module.js';
import { Env, loadEnv } from '../../src/platform/config/env.js';
import { givenApiKey } from './credentials.js';
import { createTestDatabase, type TestDatabase } from './test-database.js';
import { until } from './until.js';

export interface TestApp {
  app: NestExpressApplication;
  database: TestDatabase;
  /** Requests to the application over HTTP, with an API key that has every scope. */
  http: ReturnType<typeof supertest.agent>;
  /** Requests without a credential. */
  anonymous: ReturnType<typeof supertest>;
  url: string;
  close(): Promise<void>;
}

/** The whole application as main.ts makes it, listening on a free port, on a database of its own. */
export async function createTestApp({
  env = {},
  controllers = [],
  throughProxy = async (url) => url,
}: {
  env?: NodeJS.ProcessEnv;
  /** Routes beside those of the application. */
  controllers?: Type[];
  /** Where the application finds the database of the URL. */
  throughProxy?: (url: string) => Promise<string>;
} = {}): Promise<TestApp> {
  const database = await createTestDatabase();
  const testEnv = loadEnv({
    NODE_ENV: 'test',
    LOG_LEVEL: 'silent',
    RATE_LIMIT_PER_MINUTE: '0',
    DATABASE_URL: await throughProxy(database.url),
    ...env,
  });
  const testingModule = await Test.createTestingModule({ imports: [AppModule], controllers })
    .overrideProvider(Env)
    .useValue(testEnv)
    .compile();
  const app = testingModule.createNestApplication<NestExpressApplication>(appOptions);
  configureApp(app);
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  await until(async () => (await fetch(`${url}/health/startup`)).ok);
  return {
    app,
    database,
    http: supertest.agent(url).set('x-api-key', await givenApiKey(database)),
    anonymous: supertest(url),
    url,
    async close() {
      await app.close();
      await database.drop();
    },
  };
}
