// Calls a tool of the built service 20,000 times.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import globalSetup from '../../test/support/global-setup.mjs';
import globalTeardown from '../../test/support/global-teardown.mjs';
import { startProgram } from '../../test/support/program.ts';
import { createTestDatabase } from '../../test/support/test-database.ts';
import { until } from '../../test/support/until.ts';

const CALLS = 20_000;
const CONCURRENCY = 8;
/** 1 kB per call. */
const MAX_GROWTH_MB = 20;

let database, service, key;

before(async () => {
  await globalSetup();
  database = await createTestDatabase();
  service = await startProgram({ DATABASE_URL: database.url, MCP_ENABLED: 'true' });
  await until(async () => (await fetch(`${service.url}/health/ready`)).ok);
  const args = ['dist/api-keys.js', 'create', '--name', 'mcp', '--scopes', 'vouchers:read', '--json'];
  key = JSON.parse(spawnSync(process.execPath, args, { env: { DATABASE_URL: database.url } }).stdout).key;
});

after(async () => {
  await service?.stop();
  await database?.drop();
  await globalTeardown();
});

const rssMb = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8'))[1]) / 1024;

async function callTool(name) {
  const response = await fetch(`${service.url}/mcp`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }),
  });
  const text = await response.text();
  assert.match(text, /"structuredContent":\{"total":0/);
}

async function callTimes(count) {
  let left = count;
  const work = async () => {
    while (left-- > 0) await callTool('vouchers_stats');
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
}

test(`memory is flat after ${CALLS} calls`, async (context) => {
  await callTimes(CALLS / 4); // fills the heap
  const rss = rssMb();
  await callTimes(CALLS);
  const growth = rssMb() - rss;
  context.diagnostic(`${rss.toFixed(0)} MB, then ${growth.toFixed(1)} MB more`);
  assert.ok(growth < MAX_GROWTH_MB, `${growth} MB more than ${rss} MB`);
});
