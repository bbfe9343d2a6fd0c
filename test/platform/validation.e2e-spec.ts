import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getMetadataStorage } from 'class-validator';
import { DataSource } from 'typeorm';
import { createOpenApiDocument } from '../../src/platform/openapi/openapi-document.js';
import type { TestApp } from '../support/test-app.js';
import { createTestNote, createTestNotesApp } from '../support/test-notes.js';
import { CreateTestNoteDto, ShareTestNoteDto, UpdateTestNoteDto } from '../support/test-notes/test-note.dto.js';
import { TestNote } from '../support/test-notes/test-note.entity.js';

let sut: TestApp;
let id: string;
beforeAll(async () => {
  sut = await createTestNotesApp();
  ({ id } = await createTestNote(sut));
});
afterAll(() => sut.close());

const post = () => sut.http.post('/v1/test-notes');
const JSON_NOTE = '{"title":"valid"}';
const keys = (count: number) => JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, n) => [n, 1])));

/** Runs the requests and checks that no row has changed. */
async function expectNoWrites(send: () => Promise<void>): Promise<void> {
  const rows = () => sut.database.query('SELECT * FROM test_notes ORDER BY id');
  const before = await rows();
  await send();
  expect(await rows()).toEqual(before);
}

describe('a request body', () => {
  it('is rejected with every invalid field in one response', () =>
    expectNoWrites(async () => {
      const { body, headers } = await post().send({ dueAt: 'soon', done: 'no', extra: 1 }).expect(400);
      expect(headers['content-type']).toContain('application/problem+json');
      expect(body.code).toBe('invalid_request');
      const pointers = body.errors.map((error: { in: string; pointer: string }) => `${error.in} ${error.pointer}`);
      expect(pointers.toSorted()).toEqual(['body #/done', 'body #/dueAt', 'body #/extra', 'body #/title']);
    }));

  it.each<[string, number, string, string]>([
    ['malformed JSON', 400, 'malformed_request', '{"title":'],
    ['a string', 400, 'malformed_request', '"text"'],
    ['null', 400, 'malformed_request', 'null'],
    ['an array', 400, 'invalid_request', `[${JSON_NOTE}]`],
    ['5,000 levels', 400, 'invalid_request', `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`],
    ['8,000 keys', 400, 'invalid_request', keys(8000)],
    ['20,000 keys', 413, 'content_too_large', keys(20_000)],
    ['10 MB', 413, 'content_too_large', JSON.stringify({ title: 'x'.repeat(10 * 2 ** 20) })],
    ['a number that is not finite', 400, 'invalid_request', '{"title":"valid","done":1e400}'],
    ['an integer beyond 2^53', 400, 'invalid_request', '{"title":12345678901234567890}'],
    ['the same name twice', 400, 'malformed_request', '{"title":"valid","title":"other"}'],
    ['the name __proto__', 400, 'invalid_request', '{"title":"valid","__proto__":{"done":true}}'],
  ])('with %s is rejected with %i %s', (_, status, code, content) =>
    expectNoWrites(async () => {
      const { body, text } = await post().type('json').send(content).expect(status);
      expect(body.code).toBe(code);
      expect(text.length).toBeLessThan(10_000);
    }),
  );

  it.each([
    ['application/x-www-form-urlencoded', 'title=valid'],
    ['multipart/form-data; boundary=x', '--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nvalid\r\n--x--'],
    ['text/plain', JSON_NOTE],
    ['application/json; charset=latin1', JSON_NOTE],
    ['application/json; charset=utf-16le', JSON_NOTE],
    ['application/json; charset="utf-7"', JSON_NOTE],
    ['application/json;charset=', JSON_NOTE],
    ['no/such; type', JSON_NOTE],
  ])('with the media type %s is rejected with 415', async (type, content) => {
    const { body } = await post().set('Content-Type', type).send(content).expect(415);
    expect(body.code).toBe('unsupported_media_type');
  });

  it('that is not UTF-8 is rejected with 400', () =>
    expectNoWrites(async () => {
      const body = Buffer.concat([Buffer.from('{"title":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
      const headers = { 'Content-Type': 'application/json; charset=UTF-8', 'x-api-key': sut.apiKey };
      const response = await fetch(`${sut.url}/v1/test-notes`, { method: 'POST', headers, body });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ code: 'malformed_request', detail: 'The body is not valid UTF-8' });
    }));

  it('with an unknown Content-Encoding is rejected with 415', async () => {
    await post().set('Content-Encoding', 'x-own').send({ title: 'valid' }).expect(415);
  });

  it.each(['without a body', 'with Content-Length: 0'])('is required: %s the response is 400', async (condition) => {
    for (const request of [post(), sut.http.patch(`/v1/test-notes/${id}`)]) {
      if (condition !== 'without a body') request.type('json').set('Content-Length', '0');
      const { body } = await request.expect(400);
      expect(body).toMatchObject({ code: 'invalid_request', errors: [{ in: 'body', pointer: '#' }] });
    }
  });

  it('is optional on a route with OptionalBody', async () => {
    await sut.http.post(`/v1/test-notes/${id}/shares`).expect(201);
  });

  it.each([
    ['POST /v1/test-notes', CreateTestNoteDto, () => post(), { title: 'valid' }],
    ['PATCH /v1/test-notes/:id', UpdateTestNoteDto, () => sut.http.patch(`/v1/test-notes/${id}`), {}],
    ['POST /v1/test-notes/:id/shares', ShareTestNoteDto, () => sut.http.post(`/v1/test-notes/${id}/shares`), {}],
  ] as const)('of %s cannot write a column that its DTO does not declare', (_, dto, write, valid) =>
    expectNoWrites(async () => {
      const rules = getMetadataStorage().getTargetValidationMetadatas(dto, '', false, false);
      const { columns } = sut.app.get(DataSource).getMetadata(TestNote);
      const names = new Set(columns.flatMap(({ propertyName, databaseName }) => [propertyName, databaseName]));
      const hidden = [...names].filter((name) => !rules.some(({ propertyName }) => propertyName === name));
      expect(hidden).toEqual(expect.arrayContaining(['id', 'shares', 'version', 'createdBy', 'created_by']));
      for (const name of hidden) {
        const { body } = await write().send({ ...valid, [name]: 1 });
        expect(body.errors).toMatchObject([{ in: 'body', pointer: `#/${name}` }]);
      }
    }),
  );
});

describe('a query', () => {
  it.each([
    ['limit', 'limit=101'],
    ['limit', 'limit=5&limit=6'],
    ['limit%5B%5D', 'limit[]=5'],
    ['sort', 'sort=password'],
    ['sort', 'sort=title;DROP TABLE test_notes'],
    ['done', 'done=1'],
    ['done', 'done=%00'],
    ['offset', 'offset=5'],
    ['__proto__', '__proto__=x'],
    ['constructor', 'constructor=x'],
  ])('with an invalid %s is rejected with 400: ?%s', async (parameter, query) => {
    const { body } = await sut.http.get(`/v1/test-notes?${query}`).expect(400);
    expect(body).toMatchObject({ code: 'invalid_request', errors: [{ in: 'query', pointer: `#/${parameter}` }] });
  });
});

describe('a path', () => {
  it.each(['none', '00000000-0000-4000-8000-00000000000', '%00', '__proto__', "'; DROP TABLE test_notes"])(
    'with an invalid id is rejected with 400: %s',
    async (value) => {
      const { body } = await sut.http.get(`/v1/test-notes/${value}`).expect(400);
      expect(body).toMatchObject({ code: 'invalid_request', errors: [{ in: 'path', pointer: '#/id' }] });
    },
  );

  it('that is not UTF-8 is rejected with 400', async () => {
    const { body } = await sut.http.get('/v1/test-notes/%E0%A4%A').expect(400);
    expect(body).toMatchObject({ code: 'malformed_request', requestId: expect.any(String) });
  });
});

describe('a response', () => {
  it('has the properties of its DTO only', async () => {
    const { body } = await sut.http.get(`/v1/test-notes/${id}`).expect(200);
    const shown = ['id', 'title', 'dueAt', 'done', 'shares', 'version', 'createdAt'];
    expect(Object.keys(body).toSorted()).toEqual(shown.toSorted());
  });
});

describe('OpenAPI', () => {
  it('forbids unknown properties in every request body', () => {
    const { schemas = {} } = createOpenApiDocument(sut.app).components ?? {};
    for (const { name } of [CreateTestNoteDto, UpdateTestNoteDto, ShareTestNoteDto]) {
      expect(schemas[name]).toMatchObject({ additionalProperties: false });
    }
    expect(schemas.TestNoteDto).not.toHaveProperty('additionalProperties');
  });
});
