// `npm run openapi` and `npm run openapi:check`. Neither needs a database: the application is created, but not started.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Test } from '@nestjs/testing';
import { compileIfStale } from '../build/build.mjs';
import { runCommand } from '../cli.mjs';
import { holesOf } from './openapi-holes.mjs';

const FILE = 'openapi.json';

const USAGE = `Usage: npm run openapi [-- --check] [-- --json]

Writes ${FILE}. Fails without writing if a response, body, parameter or property has no type.

  --check  writes nothing, and fails if ${FILE} is stale or invalid (npm run openapi:check)
  --json   prints the number of paths, and whether the file has changed, as JSON

Exit codes: 0 on success, 1 on failure.`;

await runCommand(USAGE, async ({ check }) => {
  const document = await createDocument();
  const holes = holesOf(document);
  if (holes.length > 0) throw new Error(holes.join('\n'));
  const text = `${JSON.stringify(document, undefined, 2)}\n`;
  const isStale = !existsSync(FILE) || readFileSync(FILE, 'utf8') !== text;
  if (check) await checkDocument(text);
  else writeFileSync(FILE, text);
  return { file: FILE, changed: isStale, paths: Object.keys(document.paths).length };
});

async function createDocument() {
  compileIfStale();
  if (existsSync('.env')) process.loadEnvFile();
  const { AppModule } = await import('../../build/app.module.js');
  const { appOptions, configureApp } = await import('../../build/platform/platform.module.js');
  const { createOpenApiDocument } = await import('../../build/platform/openapi/openapi-document.js');
  const { Env, loadDatabaseEnv } = await import('../../build/platform/config/env.js');
  // Variables that the service requires may be missing.
  const env = loadDatabaseEnv({ ...process.env, DATABASE_URL: 'postgresql://localhost/none', LOG_LEVEL: 'silent' });
  const testing = await Test.createTestingModule({ imports: [AppModule] })
    .overrideProvider(Env)
    .useValue(env)
    .setLogger(false)
    .compile();
  const app = testing.createNestApplication({ ...appOptions, logger: false });
  configureApp(app);
  return createOpenApiDocument(app);
}

async function checkDocument(text) {
  const config = await createConfig({
    // https://redocly.com/docs/cli/rules/recommended
    extends: ['recommended'],
    // A route without input has no 4xx response.
    rules: { 'operation-4xx-response': 'off' },
  });
  const problems = await lintFromString({ source: text, absoluteRef: FILE, config });
  const lines = problems.map(
    ({ severity, ruleId, message, location }) => `${FILE} ${location[0]?.pointer}: ${message} (${severity}, ${ruleId})`,
  );
  if (readFileSync(FILE, 'utf8') !== text) lines.push(`${FILE} is stale. Run: npm run openapi`);
  if (lines.length > 0) throw new Error(lines.join('\n'));
}
