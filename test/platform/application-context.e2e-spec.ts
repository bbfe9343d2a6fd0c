import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { NestFactory } from '@nestjs/core';
import { DataSource } from 'typeorm';
import { loadEnv } from '../../src/platform/config/env.js';
import { appOptions, PlatformModule } from '../../src/platform/platform.module.js';
import { requiredEnv } from '../support/required-env.mjs';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

it('a program without HTTP is connected to its database, and ends', async () => {
  const env = loadEnv({ ...requiredEnv, DATABASE_URL: database.url, LOG_LEVEL: 'silent' });
  const app = await NestFactory.createApplicationContext(PlatformModule.forRoot({ migrations: [], env }), appOptions);
  const dataSource = app.get(DataSource);
  expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await app.close();
  expect(dataSource.isInitialized).toBe(false);
});
