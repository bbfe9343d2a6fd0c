// `npm run job -- NAME`: src/NAME.ts on the database in DATABASE_URL, or on the embedded one.
import { existsSync } from 'node:fs';
import { compileIfStale } from '../build/build.mjs';
import { runCommand, runNode } from '../cli.mjs';
import { withDatabase } from './postgres.mjs';

const USAGE = `Usage: npm run job -- NAME

Builds and runs the job src/NAME.ts once. Uses the database in DATABASE_URL (a file .env is read), or else the embedded one of
npm start.

Exit codes: 0 on success, 1 on failure.`;

await runCommand(USAGE, async (_, [name]) => {
  if (!existsSync(`src/${name}.ts`))
    throw new Error(`src/${name}.ts does not exist. Run: npx nest generate job ${name}`);
  if (existsSync('.env')) process.loadEnvFile();
  compileIfStale();
  await withDatabase((url) => {
    const run = (program, env) => runNode([`build/${program}.js`], { DATABASE_URL: url, ...env });
    const isMigrated = process.env.DATABASE_URL || run('migrate', { LOG_LEVEL: 'warn' });
    if (!isMigrated || !run(name)) process.exitCode = 1;
  });
});
