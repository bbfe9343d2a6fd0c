// `npm run openapi` writes openapi.json; with --check it fails when the committed file is stale or not good OpenAPI.
// Needs no database: the application is made, and never started.
import { readFileSync, writeFileSync } from 'node:fs';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { NestFactory } from '@nestjs/core';
import { compileIfStale } from '../build/build.mjs';

const FILE = 'openapi.json';

const text = `${JSON.stringify(await createDocument(), undefined, 2)}\n`;
if (process.argv.includes('--check')) await check();
else writeFileSync(FILE, text);

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

async function check() {
  const config = await createConfig({
    // https://redocly.com/docs/cli/rules/recommended
    extends: ['recommended'],
    // A route that takes nothing from its client has nothing to refuse.
    rules: { 'operation-4xx-response': 'off' },
  });
  const problems = await lintFromString({ source: text, absoluteRef: FILE, config });
  for (const { severity, ruleId, message, location } of problems) {
    fail(`${FILE} ${location[0]?.pointer}: ${message} (${severity}, ${ruleId})`);
  }
  if (readFileSync(FILE, 'utf8') !== text) fail(`${FILE} is stale. Run: npm run openapi`);
}

function fail(line) {
  console.error(line);
  process.exitCode = 1;
}
