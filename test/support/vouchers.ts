import type { TestApp } from './test-app.js';

let count = 0;

/** The body of a request that creates a voucher, with a unique code. */
export function aVoucher(fields: Record<string, unknown> = {}) {
  return { code: `CODE-${++count}`, maxRedemptions: 10, ...fields };
}

/** Creates a voucher over HTTP. */
export async function createVoucher({ http }: Pick<TestApp, 'http'>, fields: Record<string, unknown> = {}) {
  const { body } = await http.post('/v1/vouchers').send(aVoucher(fields)).expect(201);
  return body as { id: string; code: string; version: number } & Record<string, unknown>;
}
