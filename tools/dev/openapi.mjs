// `npm run openapi` and `npm run openapi:check`. Need no database: the application is created, but not started.
import { readFileSync, writeFileSync } from 'node:fs';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { NestFactory } from '@nestjs/core';
import { compileIfStale } from '../build/build.mjs';
import { runCommand } from '../cli.mjs';

const FILE = 'openapi.json';

const USAGE = `Usage: npm run openapi [-- --check]

Writes ${FILE}.

  --check  writes nothing, and fails if ${FILE} is stale or not valid (npm run openapi:check)

Exit codes: 0 on success, 1 on failure.`;

await runCommand(USAGE, async ({ check }) => {
  const text = `${JSON.stringify(await createDocument(), undefined, 2)}\n`;
  if (check) await checkDocument(text);
  else writeFileSync(FILE, text);
});

async function createDocument() {
  compileIfStale();
  Object.assign(process.env, { DATABASE_URL: 'postgresql://localhost/none', LOG_LEVEL: 'silent' });
  const { AppModule } = await import('../../build/app.module.js');
  const { appOptions, configureApp } = await import('../../build/platform/platform.module.js');
  const { createOpenApiDocument } = await import('../../build/platform/openapi/openapi-document.js');
  const app = await NestFactory.create(AppModule, { ...appOptions, logger: false });
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
