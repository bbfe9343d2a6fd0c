import { DataSource } from 'typeorm';
import { loadEnv, loggingEnv } from './platform/config/env.js';
import { dataSourceOptions } from './platform/database/data-source.js';
import { migrations } from './migrations/index.js';
import { createLogger } from './platform/logging/logger.js';
import { reportCrashes } from './platform/lifecycle/report-crashes.js';

/** Applies the pending migrations and exits. Runs before a new revision receives traffic, never inside the service. */
async function migrate(): Promise<void> {
  reportCrashes(await createLogger(loggingEnv(process.env)));
  const env = loadEnv(process.env);
  const logger = await createLogger(env);

  const dataSource = new DataSource({
    ...dataSourceOptions({ ...env, DATABASE_POOL_ACQUIRE_TIMEOUT_MS: env.DATABASE_CONNECT_TIMEOUT_MS }, migrations),
    poolSize: 2, // one connection holds the lock
    extra: { keepAlive: true }, // no timeouts: a migration may take long
  });
  await dataSource.initialize();
  const lock = dataSource.createQueryRunner();
  // A second job waits here until the first has finished. The lock ends with the connection.
  await lock.query(`SELECT pg_advisory_lock(hashtext('migrations'))`);
  const done = await dataSource.runMigrations({ transaction: 'each' });
  await lock.release();
  await dataSource.destroy();
  logger.info(done.length > 0 ? `Applied ${done.map(({ name }) => name).join(', ')}` : 'No pending migrations');
}

void migrate();
