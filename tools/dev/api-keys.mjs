// `npm run api-keys -- create|list|revoke`: src/api-keys.ts on the database in DATABASE_URL, or on the embedded one.
import { existsSync } from 'node:fs';
import { compileIfStale } from '../build/build.mjs';
import { runNode } from '../cli.mjs';
import { withDatabase } from './postgres.mjs';

const args = process.argv.slice(2);
if (existsSync('.env')) process.loadEnvFile();
try {
  compileIfStale();
  if (args.includes('--offline') || args.includes('--help')) run('api-keys.js');
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
  if (!runNode([`build/${program}`, ...args], env)) process.exitCode = 1;
}
