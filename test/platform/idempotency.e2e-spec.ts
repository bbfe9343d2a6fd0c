import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Controller, HttpCode, Post, RawBody } from '@nestjs/common';
import { ApiConsumes } from '@nestjs/swagger';
import type { Response } from 'express';
import type { EntityManager } from 'typeorm';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { IdempotentRequest } from '../../src/platform/idempotency/idempotent-request.decorator.js';
import { IdempotencyService } from '../../src/platform/idempotency/idempotency.service.js';
import { createOpenApiDocument } from '../../src/platform/openapi/openapi-document.js';
import { givenApiKey } from '../support/credentials.js';
import { findOperation } from '../support/openapi.js';
import type { TestApp } from '../support/test-app.js';
import { createTestNote, createTestNotesApp } from '../support/test-notes.js';
import { until } from '../support/until.js';

@Controller('bytes')
@Public()
class BytesController {
  @Post()
  @HttpCode(200)
  @ApiConsumes('text/plain')
  read(@RawBody() _bytes: Buffer, @IdempotentRequest() request: IdempotentRequest): object {
    return { fingerprint: request?.fingerprint };
  }
}

let sut: TestApp;
let secondInstance: TestApp;
beforeAll(async () => {
  const env = { DATABASE_POOL_ACQUIRE_TIMEOUT_MS: '20000', DATABASE_STATEMENT_TIMEOUT_MS: '20000' };
  sut = await createTestNotesApp({ env, controllers: [BytesController] });
  secondInstance = await createTestNotesApp({ env, database: sut.database });
});
afterAll(async () => {
  await secondInstance.close();
  await sut.close();
});

const share = (id: string, key: string, body: object = {}, { anonymous } = sut) =>
  anonymous.post(`/v1/test-notes/${id}/shares`).set({ 'x-api-key': sut.apiKey, 'Idempotency-Key': key }).send(body);

/** Sends `count` requests at the same time, to the two instances in turn. */
const shareConcurrently = (count: number, id: string, key: string) =>
  Promise.all(
    Array.from({ length: count }, async (_, index) => share(id, key, {}, index % 2 === 0 ? sut : secondInstance)),
  );

const sharesOf = async (id: string): Promise<number> => (await sut.http.get(`/v1/test-notes/${id}`)).body.shares;

describe('POST /v1/test-notes/:id/shares with an Idempotency-Key', () => {
  it('has one effect for 20 concurrent requests, and rejects those that arrive during the first with 409', async () => {
    const { id } = await createTestNote(sut);
    const responses = await shareConcurrently(20, id, randomUUID());
    const [succeeded = [], rejected = []] = [201, 409].map((code) => responses.filter(({ status }) => status === code));
    expect(succeeded.length).toBeGreaterThan(0);
    expect(succeeded.length + rejected.length).toBe(20);
    expect(new Set(succeeded.map(({ text }) => text)).size).toBe(1);
    for (const { body, headers } of rejected) {
      expect(body.code).toBe('idempotency_key_in_use');
      expect(headers['retry-after']).toBe('1');
    }
    expect(await sharesOf(id)).toBe(1);
  });

  it('rejects repeats without holding a connection while the first request runs', async () => {
    const { id } = await createTestNote(sut);
    const key = randomUUID();
    const row = await sut.database.hold('SELECT FROM test_notes WHERE id = $1 FOR UPDATE', [id]);
    const first = share(id, key).then(({ status }) => status);
    await until(async () => (await sut.database.countLockWaits()) === 1);
    const repeats = await shareConcurrently(60, id, key); // more than the two pools have connections
    expect(repeats.map(({ status }) => status)).toEqual(Array<number>(60).fill(409));
    await row.release();
    expect(await first).toBe(201);
  });

  it.each<[string, boolean, number]>([
    ['a success', false, 201],
    ['a conflict', true, 409],
  ])('returns %s again, byte for byte, from either instance', async (_, done, status) => {
    const { id } = await createTestNote(sut, { done });
    const key = randomUUID();
    const first = await share(id, key, { recipient: 'ä' }).expect(status);
    expect(first.headers).not.toHaveProperty('idempotency-replayed');
    await sut.database.query('UPDATE test_notes SET done = NOT done WHERE id = $1', [id]);
    for (const instance of [sut, secondInstance]) {
      const repeat = await share(id, key, { recipient: 'ä' }, instance).expect(status);
      // Only the request id of a problem differs: it is that of the response and of the log.
      if (done) expect(repeat.body.requestId).toBe(repeat.headers['x-request-id']);
      expect(repeat.text.replace(repeat.body.requestId, first.body.requestId)).toBe(first.text);
      expect(repeat.headers).toMatchObject({
        'idempotency-replayed': 'true',
        'content-type': first.headers['content-type'],
      });
    }
    expect(await sharesOf(id)).toBe(done ? 0 : 1);
  });

  const send = (path: string, key: string, body: object) =>
    sut.http.post(path).set({ 'Idempotency-Key': key }).send(body);

  it.each<[string, (path: string, key: string) => ReturnType<typeof send>]>([
    ['body', (path, key) => send(path, key, { recipient: 'b' })],
    ['path parameter', (_, key) => send(`/v1/test-notes/${randomUUID()}/shares`, key, { recipient: 'a' })],
    ['query', (path, key) => send(`${path}?dryRun=false`, key, { recipient: 'a' })],
    ['order of a repeated query parameter', (path, key) => send(`${path}?a=2&a=1&b=1`, key, { recipient: 'a' })],
  ])('rejects a key that was used with another %s with 422', async (_, different) => {
    const path = `/v1/test-notes/${(await createTestNote(sut)).id}/shares`;
    const key = randomUUID();
    await send(`${path}?a=1&a=2&b=1`, key, { recipient: 'a' }).expect(201);
    const { body } = await different(path, key).expect(422);
    expect(body.code).toBe('idempotency_key_reused');
  });

  it.each<[string, (id: string) => string]>([
    ['the path in capitals', (id) => `/V1/TEST-NOTES/${id.toUpperCase()}/SHARES?b=1&a=2`],
    ['a trailing slash', (id) => `/v1/test-notes/${id}/shares/?b=1&a=2`],
    ['the query in another order', (id) => `/v1/test-notes/${id}/shares?a=2&b=1`],
    ['an encoded query', (id) => `/v1/test-notes/${id}/shares?%62=%31&a=2`],
  ])('returns the first response to the same request with %s', async (_, pathOf) => {
    const { id } = await createTestNote(sut);
    const key = randomUUID();
    const first = await send(`/v1/test-notes/${id}/shares?b=1&a=2`, key, { recipient: 'a' }).expect(201);
    const repeat = await send(pathOf(id), key, { recipient: 'a' }).expect(201);
    expect(repeat.headers['idempotency-replayed']).toBe('true');
    expect(repeat.text).toBe(first.text);
  });

  it('keeps the keys of different principals apart', async () => {
    const { id } = await createTestNote(sut);
    const key = randomUUID();
    await share(id, key).expect(201);
    const { body } = await share(id, key)
      .set('x-api-key', await givenApiKey(sut.database))
      .expect(201);
    expect(body.shares).toBe(2);
  });

  it('accepts the key again after a 404', async () => {
    const [id, key] = [randomUUID(), randomUUID()];
    await share(id, key).expect(404);
    await sut.database.query(`INSERT INTO test_notes (id, title) VALUES ($1, 'late')`, [id]);
    await share(id, key).expect(201);
  });

  it('forgets a key after 24 hours and deletes its row', async () => {
    const { id } = await createTestNote(sut);
    const [key, another] = [randomUUID(), randomUUID()];
    await share(id, key).expect(201);
    await sut.database.query(`UPDATE idempotency_keys SET created_at = now() - interval '24 hours'`);
    await share(id, key).expect(201);
    expect(await sharesOf(id)).toBe(2);
    await sut.database.query(`UPDATE idempotency_keys SET created_at = now() - interval '25 hours'`);
    await share(id, another).expect(201);
    const keys = async () =>
      (await sut.database.query<{ key: string }>('SELECT key FROM idempotency_keys')).map((row) => row.key);
    await until(async () => (await keys()).join() === another);
  });

  it.each([
    ['an empty key', ''],
    ['a blank key', ' '],
    ['a key with a space', 'with space'],
    ['a key of 65 characters', 'x'.repeat(65)],
    ['a key outside ASCII', 'ümlaut'],
  ])('rejects %s with 400', async (_, key) => {
    const { body } = await share(randomUUID(), Buffer.from(key).toString('latin1')).expect(400);
    expect(body.errors).toMatchObject([{ in: 'header', pointer: '#/Idempotency-Key' }]);
  });
});

describe('the fingerprint of a request', () => {
  it('includes the bytes that the route reads', async () => {
    const fingerprintOf = async (text: string): Promise<string> =>
      (await sut.http.post('/bytes').type('text/plain').set('Idempotency-Key', 'a').send(text).expect(200)).body
        .fingerprint;
    expect(await fingerprintOf('one')).toBe(await fingerprintOf('one'));
    expect(await fingerprintOf('one')).not.toBe(await fingerprintOf('two'));
  });
});

describe('IdempotencyService', () => {
  it('replays a constraint violation as a conflict and rolls back its writes', async () => {
    const set = jest.fn();
    const request = { principal: 'me', key: 'key', fingerprint: 'same', response: { set } as unknown as Response };
    const insertTwice = async (manager: EntityManager) => {
      for (let time = 0; time < 2; time++) await manager.query(`INSERT INTO test_notes (title) VALUES ('twice')`);
    };
    const service = sut.app.get(IdempotencyService, { strict: false });
    const conflict = { details: { status: 409, code: 'test_note_title_taken' } };
    await expect(service.run(request, insertTwice)).rejects.toMatchObject(conflict);
    await expect(service.run(request, () => Promise.resolve())).rejects.toMatchObject(conflict);
    expect(await sut.database.query(`SELECT FROM test_notes WHERE title = 'twice'`)).toEqual([]);
    expect(set.mock.calls).toEqual([['Idempotency-Replayed', 'true']]);
  });

  it('returns the response although the cleanup of expired keys fails', async () => {
    const { id } = await createTestNote(sut);
    await sut.database.query(`CREATE RULE keep AS ON DELETE TO idempotency_keys DO INSTEAD SELECT 1 / 0`);
    try {
      await share(id, randomUUID()).expect(201);
    } finally {
      await sut.database.query('DROP RULE keep ON idempotency_keys');
    }
  });
});

describe('OpenAPI', () => {
  it('documents the header and the problems of an idempotent route', () => {
    const operation = findOperation(createOpenApiDocument(sut.app), 'POST /v1/test-notes/{id}/shares');
    expect(operation.parameters).toContainEqual(expect.objectContaining({ in: 'header', name: 'Idempotency-Key' }));
    const problemsOf = (status: number) =>
      Object.keys(Reflect.get(Object(operation.responses[status]), 'content')['application/problem+json'].examples);
    expect(problemsOf(409)).toContain('idempotency_key_in_use');
    expect(problemsOf(422)).toEqual(['idempotency_key_reused']);
  });
});
