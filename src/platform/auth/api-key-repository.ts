import { DataSource, QueryFailedError, type Repository } from 'typeorm';
import { loadDatabaseEnv } from '../config/env.js';
import { dataSourceOptions } from '../database/data-source.js';
import { reasonOf } from '../database/reason-of.js';
import { StartupError } from '../lifecycle/startup-error.js';
import { ApiKey } from './api-key.entity.js';

/** Runs `work` with a repository on DATABASE_URL's database, without starting the application. */
export async function withApiKeyRepository<T>(work: (keys: Repository<ApiKey>) => Promise<T>): Promise<T> {
  const dataSource = new DataSource({
    ...dataSourceOptions(loadDatabaseEnv(process.env)),
    poolSize: 1,
    entities: [ApiKey],
  });
  await dataSource.initialize().catch((error: unknown) => {
    throw new StartupError(`Cannot connect to the database: ${reasonOf(error)}`);
  });
  try {
    return await work(dataSource.getRepository(ApiKey));
  } catch (error) {
    throw error instanceof QueryFailedError ? new StartupError(reasonOf(error)) : error;
  } finally {
    await dataSource.destroy();
  }
}
