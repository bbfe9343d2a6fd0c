import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createOpenApiDocument } from '../../src/platform/openapi/openapi-document.js';
import { findOperation } from '../support/openapi.js';
import type { TestApp } from '../support/test-app.js';
import { createTestNote, createTestNotesApp } from '../support/test-notes.js';
import { until } from '../support/until.js';

const MATCHING = ['"1"', '*', '"some,thing",, "1"', 'W/"7" ,\t"1"'];
const STALE = ['"2"', 'W/"1"', '"some,thing"'];
const MALFORMED = ['1', '"1', '"1""2"', '"1", *'];

let sut: TestApp;
let secondInstance: TestApp;
beforeAll(async () => {
  const env = { DATABASE_POOL_ACQUIRE_TIMEOUT_MS: '20000', DATABASE_STATEMENT_TIMEOUT_MS: '20000' };
  sut = await createTestNotesApp({ env });
  secondInstance = await createTestNotesApp({ env, database: sut.database });
});
afterAll(async () => {
  await secondInstance.close();
  await sut.close();
});

describe('POST /v1/test-notes', () => {
  it('returns the version as a strong ETag', async () => {
    await sut.http.post('/v1/test-notes').send({ title: 'new' }).expect(201).expect('ETag', '"1"');
  });
});

describe('GET /v1/test-notes/:id', () => {
  it.each(['"1"', '"0", W/"1"'])('returns 304 without a body for If-None-Match: %s', async (etag) => {
    const { id } = await createTestNote(sut);
    const { text } = await sut.http.get(`/v1/test-notes/${id}`).set('If-None-Match', etag).expect(304);
    expect(text).toBe('');
  });

  it('returns 200 and the ETag of the current version for a stale If-None-Match', async () => {
    const { id } = await createTestNote(sut);
    await sut.http.get(`/v1/test-notes/${id}`).set('If-None-Match', '"2"').expect(200).expect('ETag', '"1"');
  });
});

describe('PATCH /v1/test-notes/:id', () => {
  const patch = (id: string, ifMatch: string) =>
    sut.http.patch(`/v1/test-notes/${id}`).set('If-Match', ifMatch).send({ done: true });

  it.each(MATCHING)('accepts If-Match: %s and returns the new ETag', async (ifMatch) => {
    const { id } = await createTestNote(sut);
    await patch(id, ifMatch).expect(200).expect('ETag', '"2"');
  });

  it.each(STALE)('rejects a stale If-Match with 412: %s', async (ifMatch) => {
    const { id } = await createTestNote(sut);
    const { body } = await patch(id, ifMatch).expect(412);
    expect(body.code).toBe('precondition_failed');
  });

  it.each(MALFORMED)('rejects a malformed If-Match with 400: %s', async (ifMatch) => {
    const { id } = await createTestNote(sut);
    const { body } = await patch(id, ifMatch).expect(400);
    expect(body.errors).toMatchObject([{ in: 'header', pointer: '#/If-Match' }]);
  });

  /** Sends the changes to the two instances in turn. All of them wait for the row before the first is applied. */
  async function updateConcurrently(id: string, changes: object[], headers: Record<string, string> = {}) {
    const row = await sut.database.hold('SELECT FROM test_notes WHERE id = $1 FOR UPDATE', [id]);
    const updates = changes.map(async (change, index) => {
      const { http } = index % 2 === 0 ? sut : secondInstance;
      return (await http.patch(`/v1/test-notes/${id}`).set(headers).send(change)).status;
    });
    await until(async () => (await sut.database.countLockWaits()) === changes.length);
    await row.release();
    return Promise.all(updates);
  }

  it('applies one of 20 concurrent updates with the same If-Match', async () => {
    const { id } = await createTestNote(sut);
    const changes = Array.from({ length: 20 }, () => ({ done: true }));
    const statuses = await updateConcurrently(id, changes, { 'If-Match': '"1"' });
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 412)).toHaveLength(19);
  });

  it('applies concurrent updates of different fields without If-Match', async () => {
    const { id } = await createTestNote(sut);
    const changes = [{ title: 'renamed' }, { done: true }, { dueAt: '2030-01-01T00:00:00.000Z' }];
    expect(await updateConcurrently(id, changes)).toEqual([200, 200, 200]);
    const { body } = await sut.http.get(`/v1/test-notes/${id}`).expect(200);
    expect(body).toMatchObject({ ...Object.assign({}, ...changes), version: 4 });
  });
});

describe('DELETE /v1/test-notes/:id', () => {
  it('rejects a stale If-Match with 412 and keeps the resource', async () => {
    const { id } = await createTestNote(sut);
    await sut.http.delete(`/v1/test-notes/${id}`).set('If-Match', '"7"').expect(412);
    await sut.http.get(`/v1/test-notes/${id}`).expect(200);
  });

  it('deletes the version that If-Match names', async () => {
    const { id } = await createTestNote(sut);
    await sut.http.delete(`/v1/test-notes/${id}`).set('If-Match', '"1"').expect(204);
    await sut.http.get(`/v1/test-notes/${id}`).expect(404);
  });
});

describe('OpenAPI', () => {
  it('documents a pattern for If-Match that accepts what the service accepts', () => {
    const { parameters = [] } = findOperation(createOpenApiDocument(sut.app), 'DELETE /v1/test-notes/{id}');
    const ifMatch = parameters.find((parameter) => 'name' in parameter && parameter.name === 'If-Match');
    const { pattern } = (ifMatch as { schema: { pattern: string } }).schema;
    const accepted = [...MATCHING, ...STALE, ...MALFORMED].filter((value) => RegExp(pattern).test(value));
    expect(accepted).toEqual([...MATCHING, ...STALE]);
  });
});
