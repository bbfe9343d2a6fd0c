import { DataSource, type Repository } from 'typeorm';
import { loadEnv } from '../config/env.js';
import { dataSourceOptions } from '../database/data-source.js';
import { reasonOf } from '../database/reason-of.js';
import { ApiKey } from './api-key.entity.js';

/** Runs `work` with a repository on DATABASE_URL's database, without starting the application. */
export async function withApiKeyRepository<T>(work: (keys: Repository<ApiKey>) => Promise<T>): Promise<T> {
  const dataSource = new DataSource({ ...dataSourceOptions(loadEnv(process.env)), poolSize: 1, entities: [ApiKey] });
  await dataSource.initialize().catch((error: unknown) => {
    throw new Error(`Cannot connect to the database: ${reasonOf(error)}`, { cause: error });
  });
  try {
    return await work(dataSource.getRepository(ApiKey));
  } finally {
    await dataSource.destroy();
  }
}
