// `npm run api-keys -- create|list|revoke`: src/api-keys.ts on DATABASE_URL's database, or on this clone's embedded one.
import { spawnSync } from 'node:child_process';
import { loadEnvFile } from 'node:process';
import { compileIfStale } from '../build/build.mjs';
import { withDatabase } from './postgres.mjs';

const args = process.argv.slice(2);
try {
  loadEnvFile();
} catch {
  // there need not be a .env
}
try {
  compileIfStale();
  if (args.includes('--offline')) run('api-keys.js', {});
  else
    await withDatabase((url) => {
      if (!process.env.DATABASE_URL) run('migrate.js', { DATABASE_URL: url, LOG_LEVEL: 'warn' });
      run('api-keys.js', { DATABASE_URL: url });
    });
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function run(program, env) {
  const { status } = spawnSync(process.execPath, [`build/${program}`, ...args], {
    env: { ...process.env, ...env },
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
