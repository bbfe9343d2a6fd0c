import type { Client } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { givenApiKey } from '../support/credentials.js';
import { connectMcp, problemOf } from '../support/mcp-client.js';
import { type Program, startProgram } from '../support/program.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import '../../src/app.module.js'; // declares the scopes

let database: TestDatabase;
let services: Program[];
let apiKey: string;

beforeAll(async () => {
  database = await createTestDatabase();
  const env = { DATABASE_URL: database.url, MCP_ENABLED: 'true' };
  services = await Promise.all([startProgram(env), startProgram(env)]);
  for (const { url } of services) await until(async () => (await fetch(`${url}/health/startup`)).ok);
  apiKey = await givenApiKey(database);
}, 60_000);

afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await database.drop();
});

describe.each(['2026-07-28', '2025-11-25'] as const)(
  'the tools of vouchers, revision %s, on two instances',
  (revision) => {
    const code = `TOOLS-${revision}`;
    let client: Client;

    beforeAll(async () => {
      client = await connectMcp(revision, services, { 'x-api-key': apiKey });
    });
    afterAll(() => client.close());

    const call = async (name: string, input: Record<string, unknown> = {}) => {
      const result = await client.callTool({ name, arguments: input });
      return result.isError ? problemOf(result) : result.structuredContent;
    };

    it('are listed with closed schemas', async () => {
      expect(client.getNegotiatedProtocolVersion()).toBe(revision);
      const { tools } = await client.listTools();
      const names = tools.map(({ name }) => name).filter((name) => name.startsWith('vouchers_'));
      expect(names).toEqual([
        'vouchers_create',
        'vouchers_get',
        'vouchers_list',
        'vouchers_redeem',
        'vouchers_stats',
        'vouchers_update',
      ]);
      const create = tools.find(({ name }) => name === 'vouchers_create');
      expect(create?.inputSchema).toMatchObject({
        additionalProperties: false,
        required: expect.arrayContaining(['code', 'maxRedemptions']),
        properties: { description: { type: ['string', 'null'], maxLength: 500 } },
      });
    });

    it('create, find, update, redeem and count a voucher', async () => {
      const before = await call('vouchers_stats');
      const created = await call('vouchers_create', { code, maxRedemptions: 2, expiresAt: '2040-01-01T00:00:00Z' });
      expect(created).toMatchObject({ code, version: 1, expiresAt: '2040-01-01T00:00:00.000Z' });
      const { id } = created as { id: string };
      expect(await call('vouchers_get', { id })).toEqual(created);
      expect(await call('vouchers_list', { q: code, limit: 1, active: true })).toEqual({
        items: [created],
        nextCursor: null,
      });

      const change = { id, description: 'For agents', ifMatch: 1 };
      expect(await call('vouchers_update', change)).toMatchObject({
        description: 'For agents',
        maxRedemptions: 2,
        version: 2,
      });
      expect(await call('vouchers_update', change)).toMatchObject({ code: 'precondition_failed' });

      const redemption = { code: code.toLowerCase(), reference: 'order-1', idempotencyKey: `key-${revision}` };
      const redeemed = await call('vouchers_redeem', redemption);
      expect(redeemed).toMatchObject({ code, redemptions: 1, remaining: 1, reference: 'order-1' });
      expect(await call('vouchers_redeem', redemption)).toEqual(redeemed);
      expect(await call('vouchers_redeem', { ...redemption, reference: 'order-2' })).toMatchObject({
        code: 'idempotency_key_reused',
      });
      expect(await call('vouchers_redeem', { code })).toMatchObject({ remaining: 0 });
      expect(await call('vouchers_redeem', { code })).toMatchObject({
        code: 'voucher_exhausted',
        title: 'Voucher exhausted',
      });
      expect(await call('vouchers_stats')).toMatchObject({
        total: (before as { total: number }).total + 1,
        redemptions: (before as { redemptions: number }).redemptions + 2,
      });
    });

    it('return problems with pointers', async () => {
      expect(await call('vouchers_create', { code: 'a b', maxRedemption: 1 })).toMatchObject({
        code: 'invalid_request',
        title: 'Invalid request',
        errors: expect.arrayContaining([
          { in: 'body', pointer: '#/code', detail: expect.any(String) },
          { in: 'body', pointer: '#/maxRedemption', detail: 'is not a recognized property' },
        ]),
        requestId: expect.any(String),
      });
      expect(await call('vouchers_create', { code, maxRedemptions: 1 })).toMatchObject({
        code: 'voucher_code_taken',
        errors: [{ pointer: '#/code' }],
      });
      expect(await call('vouchers_get', { id: '0b9e9fb4-4ab1-4e31-a8f8-3a86cb4c1c3e' })).toMatchObject({
        code: 'voucher_not_found',
      });
    });
  },
);
