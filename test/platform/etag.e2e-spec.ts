import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createOpenApiDocument } from '../../src/platform/openapi/openapi-document.js';
import { findOperation } from '../support/openapi.js';
import type { TestApp } from '../support/test-app.js';
import { createTestNote, createTestNotesApp } from '../support/test-notes.js';
import { until } from '../support/until.js';

const ORIGIN = 'https://app.example.com';
const MATCHING = ['"1"', '*', '"some,thing",, "1"', 'W/"7" ,\t"1"'];
const STALE = ['"2"', 'W/"1"', '"some,thing"', '"01"', '"1.0"', '""'];
const MALFORMED = ['', '1', '"1', '"1""2"', '"1", *'];

let sut: TestApp;
let secondInstance: TestApp;
beforeAll(async () => {
  const env = {
    CORS_ORIGINS: `${ORIGIN},https://admin.example.com`,
    DATABASE_POOL_ACQUIRE_TIMEOUT_MS: '20000',
    DATABASE_STATEMENT_TIMEOUT_MS: '20000',
  };
  sut = await createTestNotesApp({ env });
  secondInstance = await createTestNotesApp({ env, database: sut.database });
});
afterAll(async () => {
  await secondInstance.close();
  await sut.close();
});

describe('POST /v1/test-notes', () => {
  const post = (headers: Record<string, string>) =>
    sut.http
      .post('/v1/test-notes')
      .set(headers)
      .send({ title: `Title ${JSON.stringify(headers)}` });

  it('returns the version as a strong ETag', async () => {
    await post({}).expect(201).expect('ETag', '"1"');
  });

  it('evaluates conditions on the list, which exists and has no ETag', async () => {
    await post({ 'If-None-Match': '*' }).expect(412);
    await post({ 'If-Match': '"1"' }).expect(412);
    await post({ 'If-None-Match': '"1"' }).expect(201);
    await post({ 'If-Match': '*' }).expect(201);
    await post({ 'If-None-Match': '1' }).expect(400);
  });

  it('returns 401 without a credential before it evaluates a condition', async () => {
    await sut.anonymous.post('/v1/test-notes').set('If-None-Match', '*').send({}).expect(401);
  });
});

describe('GET /v1/test-notes/:id', () => {
  const get = (id: string, headers: Record<string, string>) => sut.http.get(`/v1/test-notes/${id}`).set(headers);

  it.each(['"1"', '"0", W/"1"', 'W/"1"', '*', '"some,thing",,"1"'])(
    'returns 304 without a body for If-None-Match: %s',
    async (etag) => {
      const { id } = await createTestNote(sut);
      const { text, headers } = await get(id, { 'If-None-Match': etag, Origin: ORIGIN }).expect(304);
      expect(text).toBe('');
      expect(headers).toMatchObject({ etag: '"1"', 'cache-control': 'private, no-cache', vary: 'Origin' });
      expect(headers).not.toHaveProperty('content-type');
      await sut.http.head(`/v1/test-notes/${id}`).set('If-None-Match', etag).expect(304).expect('ETag', '"1"');
    },
  );

  it('returns 304 to fetch, which adds Cache-Control: no-cache', async () => {
    const { id } = await createTestNote(sut);
    const headers = { 'x-api-key': sut.apiKey, 'If-None-Match': '"1"' };
    expect((await fetch(`${sut.url}/v1/test-notes/${id}`, { headers })).status).toBe(304);
  });

  it.each(['"2"', '"01"', 'w/"1"', '', '1', '"1', '"2", *'])(
    'returns 200 and the ETag of the current version for If-None-Match: %s',
    async (etag) => {
      const { id } = await createTestNote(sut);
      await get(id, { 'If-None-Match': etag }).expect(200).expect('ETag', '"1"');
    },
  );

  it('returns 200 for a matching If-Match, and 412 for a stale one, before it evaluates If-None-Match', async () => {
    const { id } = await createTestNote(sut);
    for (const etag of MATCHING) await get(id, { 'If-Match': etag }).expect(200);
    for (const etag of STALE) await get(id, { 'If-Match': etag, 'If-None-Match': '*' }).expect(412);
  });

  it('returns 404 for an unknown id, regardless of the condition', async () => {
    const id = randomUUID();
    for (const name of ['If-Match', 'If-None-Match']) {
      await get(id, { [name]: '*' }).expect(404);
      await sut.http.delete(`/v1/test-notes/${id}`).set(name, '*').expect(404);
    }
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

  it('accepts If-None-Match with other ETags, and rejects the current one and * with 412', async () => {
    const { id } = await createTestNote(sut);
    const patchIfNone = (etag: string) =>
      sut.http.patch(`/v1/test-notes/${id}`).set('If-None-Match', etag).send({ done: true });
    for (const etag of ['*', '"1"', 'W/"1"', '"7", W/"1"']) await patchIfNone(etag).expect(412);
    await patchIfNone('"7"').expect(200).expect('ETag', '"2"');
    await patchIfNone('7').expect(400);
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

  it('rejects If-None-Match: * with 412', async () => {
    const { id } = await createTestNote(sut);
    await sut.http.delete(`/v1/test-notes/${id}`).set('If-None-Match', '*').expect(412);
    await sut.http.delete(`/v1/test-notes/${id}`).set('If-Match', '*').expect(204);
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
