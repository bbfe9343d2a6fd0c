import type { TestApp } from './test-app.js';

let count = 0;

/** What a client sends for a new voucher; the code is a new one each time. */
export function aVoucher(fields: Record<string, unknown> = {}) {
  return { code: `CODE-${++count}`, maxRedemptions: 10, ...fields };
}

/** A voucher that exists, as the service answered it. */
export async function createVoucher({ http }: Pick<TestApp, 'http'>, fields: Record<string, unknown> = {}) {
  const { body } = await http.post('/v1/vouchers').send(aVoucher(fields)).expect(201);
  return body as { id: string; code: string; version: number } & Record<string, unknown>;
}
