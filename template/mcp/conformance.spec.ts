// Runs the official conformance suite: https://github.com/modelcontextprotocol/conformance
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request as sendRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createMcpHandler } from '@modelcontextprotocol/server';
import { McpController } from '../../src/platform/mcp/mcp.controller.js';
import { type Program, startProgram } from '../../test/support/program.js';
import { createTestApp, type TestApp } from '../../test/support/test-app.js';
import { until } from '../../test/support/until.js';
import { createConformanceServer } from './conformance-server.js';

const SUITE = fileURLToPath(import.meta.resolve('@modelcontextprotocol/conformance/dist/index.js'));
const TIMEOUT_MS = 60_000;

let app: TestApp;
let service: Program;
let proxy: Server;
/** Where the proxy forwards requests. */
let target: string;

beforeAll(async () => {
  app = await createTestApp();
  proxy = createServer((request, response) => {
    const { url, method, headers } = request;
    // The suite sends no credential.
    const options = { method, headers: { ...headers, 'x-api-key': app.apiKey } };
    const forwarded = sendRequest(new URL(url!, target), options, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    request.pipe(forwarded);
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  service = await startProgram({ DATABASE_URL: app.database.url, MCP_ENABLED: 'true', CORS_ORIGINS: proxyUrl() });
  await until(async () => (await fetch(`${service.url}/health/ready`)).ok);
});
afterAll(async () => {
  proxy.close();
  await service.stop();
  await app.close();
});

const proxyUrl = () => `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;

/** Runs scenarios. The suite exits with 1 for a failure that the file does not list, and for an entry that passes. */
async function runSuite(expectedFailures: string, ...scenarios: string[]): Promise<string> {
  const file = `template/mcp/${expectedFailures}`;
  const args = [SUITE, 'server', '--url', `${proxyUrl()}/mcp`, '--expected-failures', file, ...scenarios];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { maxBuffer: 1e8 }, (error, stdout, stderr) => {
      resolve(error ? stdout + stderr : 'passed');
    });
  });
}

describe('McpController with the tools, resources and prompts of the suite', () => {
  it.each(['2026-07-28', '2025-11-25'])(
    'meets the requirements of revision %s',
    async (revision) => {
      const handler = createMcpHandler(createConformanceServer, { maxSubscriptions: 0 });
      Object.assign(app.app.get(McpController), { handler: Promise.resolve(handler) });
      target = app.url;
      expect(await runSuite('expected-failures.adapter.yml', '--requirements', revision)).toBe('passed');
    },
    TIMEOUT_MS,
  );
});

describe('The built service', () => {
  it.each([
    ['2026-07-28', 'server-stateless'],
    ['2026-07-28', 'tools-list'],
    ['2026-07-28', 'resources-list'],
    ['2026-07-28', 'sep-2164-resource-not-found'],
    ['2026-07-28', 'server-sse-multiple-streams'],
    ['2026-07-28', 'input-required-result-unsupported-methods'],
    ['2026-07-28', 'http-header-validation'],
    ['2026-07-28', 'caching'],
    ['2026-07-28', 'dns-rebinding-protection'],
    ['2025-11-25', 'server-initialize'],
    ['2025-11-25', 'ping'],
    ['2025-11-25', 'tools-list'],
    ['2025-11-25', 'resources-list'],
    ['2025-11-25', 'dns-rebinding-protection'],
  ])(
    'passes, by revision %s, the scenario %s',
    async (revision, scenario) => {
      target = service.url;
      const args = ['--spec-version', revision, '--scenario', scenario];
      expect(await runSuite('expected-failures.service.yml', ...args)).toBe('passed');
    },
    TIMEOUT_MS,
  );
});
