import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { IdempotencyService } from '../src/idempotency/idempotency.service.js';
import { createTestApp, type TestApp } from './support/test-app.js';

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp();
});
afterAll(() => sut.close());

it('keeps a conflict that the database itself finds, without what was written before it', async () => {
  const request = { principal: 'me', key: 'key', fingerprint: 'same', requestId: 'first' };
  const work = async (manager: EntityManager) => {
    const insert = `INSERT INTO vouchers (code, max_redemptions) VALUES ('TWICE', 1)`;
    await manager.query(insert);
    await manager.query(insert);
  };
  const service = sut.app.get(IdempotencyService, { strict: false });
  const refused = { details: { status: 409, code: 'voucher_code_taken', requestId: 'first' } };
  await expect(service.run(request, work)).rejects.toMatchObject(refused);
  await expect(service.run(request, () => Promise.resolve())).rejects.toMatchObject(refused);
  expect(await sut.database.query('SELECT FROM vouchers')).toEqual([]);
});
