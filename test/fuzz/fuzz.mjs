// `npm run test:fuzz`: runs Schemathesis with thousands of requests, generated from the OpenAPI document, against the built
// service and a temporary database. schemathesis.toml lists the disabled checks with their reasons.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { buildIfStale } from '../../tools/build/build.mjs';
import { startPostgres } from '../../tools/dev/postgres.mjs';

const SCHEMATHESIS = process.env.SCHEMATHESIS_PATH || 'schemathesis';
/** Minimum number of cases for each operation with input. */
const LEAST_CASES = 250;

/** The options of each run. A schema cannot forbid the NUL character, which PostgreSQL cannot store. */
const RUNS = [
  ['--generation-allow-x00', 'false'],
  ['--generation-allow-x00', 'true', '--exclude-checks', 'positive_data_acceptance'],
];

if (spawnSync(SCHEMATHESIS, ['--version']).status !== 0) {
  console.error('Schemathesis is not on PATH. Run `pip install schemathesis`, or set SCHEMATHESIS_PATH.');
  process.exit(1);
}
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stopping.abort());

buildIfStale();
const directory = mkdtempSync(join(tmpdir(), 'fuzz-'));
try {
  await withDatabase((databaseUrl) =>
    withService(databaseUrl, async (url) => {
      const key = await createKey(databaseUrl);
      const reports = [];
      for (const options of RUNS) reports.push(await fuzz(url, key, options));
      judge(reports);
    }),
  );
} finally {
  rmSync(directory, { recursive: true });
}

async function withDatabase(run) {
  const database = await startPostgres(join(directory, 'postgres'), { durable: false });
  try {
    await run(database.url);
  } finally {
    await database.stop();
  }
}

async function withService(databaseUrl, run) {
  const given = { DATABASE_URL: databaseUrl, PORT: '0', HOST: '127.0.0.1', LOG_FORMAT: 'json', LOG_LEVEL: 'info' };
  const env = { ...process.env, ...given, DOCS_ENABLED: 'true', RATE_LIMIT_PER_MINUTE: '0' };
  assert.equal(spawnSync(process.execPath, ['dist/migrate.js'], { env, stdio: 'inherit' }).status, 0);
  const service = spawn(process.execPath, ['dist/main.js'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(service, 'exit');
  try {
    const listening = new Promise((resolve) => {
      createInterface({ input: service.stdout }).on('line', (line) => {
        const { severity, message } = JSON.parse(line);
        if (severity !== 'INFO') console.log(line); // the cause of a server error
        if (message.startsWith('Listening on ')) resolve(message.replace('Listening on ', ''));
      });
    });
    const url = await Promise.race([listening, ended]);
    assert.equal(service.exitCode, null, 'The service did not start');
    await run(url);
  } finally {
    service.kill();
    await ended;
  }
}

/** Creates a key with every scope. */
async function createKey(databaseUrl) {
  await import('../../build/app.module.js'); // its controllers declare the scopes
  const { createApiKey } = await import('../../build/platform/auth/api-key.js');
  const { declaredScopes } = await import('../../build/platform/auth/auth.decorators.js');
  const { key, id, hash } = createApiKey();
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const values = [id, hash, [...declaredScopes]];
  await client.query(`INSERT INTO api_keys (id, name, hash, scopes) VALUES ($1, 'fuzz', $2, $3)`, values);
  await client.end();
  return key;
}

/** Runs Schemathesis and returns its report. */
async function fuzz(url, key, options) {
  const file = join(directory, 'report.json');
  const args = ['--config-file', 'test/fuzz/schemathesis.toml', 'run', `${url}/openapi.json`, ...options];
  const given = process.argv.slice(2);
  const env = { ...process.env, API_KEY: key };
  const { signal } = stopping;
  const child = spawn(SCHEMATHESIS, [...args, '--report-json-path', file, ...given], { env, signal, stdio: 'inherit' });
  await once(child, 'exit');
  return JSON.parse(readFileSync(file, 'utf8'));
}

function judge(reports) {
  const cases = reports.reduce((sum, { test_cases: { generated } }) => sum + generated, 0);
  console.log(`${cases} cases with seed ${reports[0].seed}`);
  for (const { exit_code: code } of reports) if (code !== 0) process.exitCode = 1;

  // Most requests must pass the first validation.
  const { paths } = JSON.parse(readFileSync('openapi.json', 'utf8'));
  const documented = Object.values(paths).flatMap((path) => Object.values(path));
  const least =
    LEAST_CASES * documented.filter(({ parameters = [], requestBody }) => parameters.length > 0 || requestBody).length;
  assert.ok(cases >= least, `expected at least ${least} cases`);
  for (const { operations, valid_rates: rates } of reports) {
    const accepted = Object.entries(rates).filter(([, phases]) =>
      Object.values(phases).some((phase) => phase.accepted),
    );
    assert.equal(accepted.length, operations.total, `Only these ever succeeded: ${accepted.map(([name]) => name)}`);
  }
}
