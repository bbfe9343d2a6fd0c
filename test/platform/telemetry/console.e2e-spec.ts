import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { givenApiKey } from '../../support/credentials.js';
import { requiredEnv } from '../../support/required-env.mjs';
import { createTestDatabase, type TestDatabase } from '../../support/test-database.js';
import { until } from '../../support/until.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

it('OTEL_TRACES_EXPORTER=console prints each request as a tree with its SQL statements', async () => {
  const apiKey = await givenApiKey(database);
  const child = spawn(process.execPath, ['build/main.js'], {
    env: {
      ...requiredEnv,
      ...{ PORT: '0', HOST: '127.0.0.1', DATABASE_URL: database.url, OTEL_TRACES_EXPORTER: 'console' },
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let output = '';
    child.stdout.on('data', (text: Buffer) => (output += text.toString()));
    await until(() => /Listening on (http:[\w./:]+)/.test(output));
    const [, url] = /Listening on (http:[\w./:]+)/.exec(output)!;
    await until(async () => (await fetch(`${url}/health/startup`)).ok);
    await fetch(`${url}/v1/me`, { headers: { 'x-api-key': apiKey } });
    await until(() => output.includes('GET /v1/me 200'));
    expect(output).toMatch(
      /^GET \/v1\/me 200 [\d.]+ ms\n└─ [\d.]+ ms (\(.*\) )? ?SELECT … FROM api_keys WHERE id = \$1$/m,
    );
    expect(output).not.toContain('/health');
  } finally {
    child.kill();
  }
});
