// `npm run test:fuzz`: sends thousands of requests that Schemathesis generates from the OpenAPI document to the built
// service. schemathesis.toml lists the exceptions with their reasons.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import globalSetup from '../support/global-setup.mjs';
import globalTeardown from '../support/global-teardown.mjs';
import { startProgram } from '../support/program.ts';
import { createTestDatabase } from '../support/test-database.ts';

const SCHEMATHESIS = process.env.SCHEMATHESIS_PATH || 'schemathesis';
/** Per operation with parameters or a body. */
const MIN_CASES = 250;
/** The options of each run. No schema can forbid the NUL character, which PostgreSQL does not store. */
const RUNS = [
  ['--generation-allow-x00', 'false'],
  ['--generation-allow-x00', 'true', '--exclude-checks', 'positive_data_acceptance'],
];

if (spawnSync(SCHEMATHESIS, ['--version']).status !== 0) {
  console.error('Schemathesis is not on PATH. Run: pip install schemathesis (or set SCHEMATHESIS_PATH)');
  process.exit(1);
}
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stopping.abort());

const operations = Object.values(JSON.parse(readFileSync('openapi.json', 'utf8')).paths).flatMap(Object.values);
const directory = mkdtempSync(join(tmpdir(), 'fuzz-'));
let database, service;
try {
  await globalSetup();
  database = await createTestDatabase();
  service = await startProgram({ DATABASE_URL: database.url, DOCS_ENABLED: 'true' });
  const key = createKey(database.url);
  const reports = [];
  for (const options of RUNS) reports.push(await fuzz(service.url, key, options));
  judge(reports);
} finally {
  await service?.stop();
  for (const line of service?.lines ?? []) if (line.severity !== 'INFO') console.log(line); // causes of server errors
  await database?.drop();
  await globalTeardown();
  rmSync(directory, { recursive: true });
}

/** Creates an API key with every scope. */
function createKey(databaseUrl) {
  const scopes = [...new Set(operations.flatMap((operation) => operation['x-required-scopes'] ?? []))];
  const args = ['create', '--name', 'fuzz', '--scopes', scopes.join(',') || 'none', '--json'];
  const env = { DATABASE_URL: databaseUrl };
  return JSON.parse(spawnSync(process.execPath, ['dist/api-keys.js', ...args], { env }).stdout).key;
}

/** Runs Schemathesis and returns its report. */
async function fuzz(url, key, options) {
  const file = join(directory, 'report.json');
  const args = ['--config-file', 'test/fuzz/schemathesis.toml', 'run', `${url}/openapi.json`, ...options];
  const child = spawn(SCHEMATHESIS, [...args, '--report-json-path', file, ...process.argv.slice(2)], {
    env: { ...process.env, API_KEY: key },
    signal: stopping.signal,
    stdio: 'inherit',
  });
  await once(child, 'exit');
  return JSON.parse(readFileSync(file, 'utf8'));
}

function judge(reports) {
  const cases = reports.reduce((sum, { test_cases: { generated } }) => sum + generated, 0);
  console.log(`${cases} cases with seed ${reports[0].seed}`);
  for (const { exit_code: code } of reports) if (code !== 0) process.exitCode = 1;

  // Enough cases, and a success of each operation, show that the requests passed validation.
  const withInput = operations.filter(({ parameters = [], requestBody }) => parameters.length > 0 || requestBody);
  assert.ok(cases >= MIN_CASES * withInput.length, `Fewer than ${MIN_CASES * withInput.length} cases`);
  for (const { operations: tested, valid_rates: rates } of reports) {
    const succeeded = Object.entries(rates).filter(([, phases]) =>
      Object.values(phases).some((phase) => phase.accepted),
    );
    assert.equal(succeeded.length, tested.total, `Only these succeeded: ${succeeded.map(([name]) => name)}`);
  }
}
