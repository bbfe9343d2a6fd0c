import './platform/lifecycle/report-crashes.js'; // first, because it also reports failed imports
import { loadDatabaseEnv } from './platform/config/env.js';
import { runMigrations } from './platform/database/run-migrations.js';
import { createLogger } from './platform/logging/logger.js';
import { migrations } from './migrations/index.js';

/** Applies the pending migrations and exits. Runs before a new revision receives traffic, never inside the service. */
async function migrate(): Promise<void> {
  const env = loadDatabaseEnv(process.env);
  await runMigrations(env, migrations, await createLogger(env));
}

void migrate();
