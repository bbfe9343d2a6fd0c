import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { defineProblem } from '../../src/platform/problems/problem.js';
import { IdempotencyService } from '../../src/platform/idempotency/idempotency.service.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

defineProblem('id_taken', 409, 'Another one has this id', { name: 'PK_api_keys', field: 'id' });

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp();
});
afterAll(() => sut.close());

it('keeps a conflict that the database itself finds, without what was written before it', async () => {
  const request = { principal: 'me', key: 'key', fingerprint: 'same', requestId: 'first' };
  const work = async (manager: EntityManager) => {
    const insert = `INSERT INTO api_keys (id, name, hash, scopes) VALUES ('twice', 'name', 'hash', '{}')`;
    await manager.query(insert);
    await manager.query(insert);
  };
  const service = sut.app.get(IdempotencyService, { strict: false });
  const refused = { details: { status: 409, code: 'id_taken', requestId: 'first' } };
  await expect(service.run(request, work)).rejects.toMatchObject(refused);
  await expect(service.run(request, () => Promise.resolve())).rejects.toMatchObject(refused);
  expect(await sut.database.query(`SELECT FROM api_keys WHERE id = 'twice'`)).toEqual([]);
});
