import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getMetadataStorage } from 'class-validator';
import type { Test } from 'supertest';
import { DataSource } from 'typeorm';
import { CreateVoucherDto, RedeemVoucherDto, UpdateVoucherDto } from '../../src/vouchers/voucher.dto.js';
import { Voucher } from '../../src/vouchers/voucher.entity.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { aVoucher, createVoucher } from '../support/vouchers.js';

let sut: TestApp;
let existing: { id: string; code: string };
let before: unknown[];
const rows = () => sut.database.query('SELECT * FROM vouchers');

beforeAll(async () => {
  sut = await createTestApp();
  existing = await createVoucher(sut);
  before = await rows();
});
afterAll(async () => {
  expect(await rows()).toEqual(before); // whatever was refused has written nothing
  await sut.close();
});

const nested = (levels: number) => JSON.parse('{"a":'.repeat(levels - 1) + '{}' + '}'.repeat(levels - 1));

describe('a field', () => {
  it.each<[string, unknown]>([
    ['code', undefined],
    ['code', 'ABC'],
    ['code', 'A'.repeat(33)],
    ['code', 'ABC D'],
    ['code', 'straße'],
    ['code', 'ABC_1'],
    ['code', 12345],
    ['code', ['ABCD']],
    ['code', 'ABC\0D'],
    ['description', 'x'.repeat(501)],
    ['description', 'half \ud800 a pair'],
    ['description', 'a \0 byte'],
    ['description', 5],
    ['description', {}],
    ['metadata', []],
    ['metadata', 'text'],
    ['metadata', 5],
    ['metadata', { text: 'x'.repeat(4096) }],
    ['metadata', { text: 'ü'.repeat(2048) }],
    ['metadata', nested(6)],
    ['maxRedemptions', undefined],
    ['maxRedemptions', 0],
    ['maxRedemptions', -1],
    ['maxRedemptions', 1_000_001],
    ['maxRedemptions', 1.5],
    ['maxRedemptions', 2 ** 53],
    ['maxRedemptions', '5'],
    ['maxRedemptions', true],
    ['maxRedemptions', [5]],
    ['expiresAt', '2030-01-01'],
    ['expiresAt', '2030-01-01T00:00:00'],
    ['expiresAt', '2030-02-31T00:00:00Z'],
    ['expiresAt', '2030-02-29T00:00:00Z'],
    ['expiresAt', '2030-01-01T24:00:00Z'],
    ['expiresAt', '2030-01-01T23:59:60Z'],
    ['expiresAt', '0000-01-01T00:00:00Z'],
    ['expiresAt', '1999-12-31T23:59:59Z'],
    ['expiresAt', '10000-01-01T00:00:00Z'],
    ['expiresAt', '+10000-01-01T00:00:00Z'],
    ['expiresAt', '9999-12-31T23:59:59-01:00'],
    ['expiresAt', '1893456000'],
    ['expiresAt', 1_893_456_000_000],
    ['expiresAt', 'infinity'],
    ['expiresAt', ''],
    ['active', 'true'],
    ['active', 1],
    ['unknown', 'field'],
    ['id', '00000000-0000-4000-8000-000000000000'],
    ['redemptions', 5],
    ['version', 5],
    ['createdAt', '2030-01-01T00:00:00Z'],
    ['updatedAt', '2030-01-01T00:00:00Z'],
  ])('%s: %j', async (field, value) => {
    const response = await sut.http.post('/v1/vouchers').send(aVoucher({ [field]: value }));
    expect(response.status).toBe(400);
    expect(response.headers['content-type']).toContain('application/problem+json');
    expect(response.body).toMatchObject({
      code: 'invalid_request',
      errors: [{ in: 'body', pointer: `#/${field}` }],
    });
    if (value !== undefined) {
      const patch = await sut.http
        .patch(`/v1/vouchers/${existing.id}`)
        .send({ [field]: value })
        .expect(400);
      expect(patch.body.errors).toMatchObject([{ in: 'body', pointer: `#/${field}` }]);
    }
  });

  it('names every field that is wrong at once', async () => {
    const { body } = await sut.http.post('/v1/vouchers').send({ code: '', active: 'no', extra: 1 }).expect(400);
    const pointers = body.errors.map(({ pointer }: { pointer: string }) => pointer);
    expect(pointers.toSorted()).toEqual(['#/active', '#/code', '#/extra', '#/maxRedemptions']);
  });

  it('points into metadata, with the key escaped', async () => {
    const metadata = { 'a/b~c': [{ 'ä\0': 1 }] };
    const { body } = await sut.http.post('/v1/vouchers').send(aVoucher({ metadata })).expect(400);
    expect(body.errors[0].pointer).toBe('#/metadata/a~1b~0c/0/%C3%A4%00');
  });
});

describe('a body', () => {
  it('that has more fields than any DTO is refused before each of them is looked at', async () => {
    const metadata = Object.fromEntries(Array.from({ length: 1001 }, (_, number) => [`k${number}`, number]));
    const detail = 'must not have more than 1000 fields';
    for (const [pointer, sent] of [['#', metadata] as const, ['#/metadata', aVoucher({ metadata })] as const]) {
      const { body } = await sut.http.post('/v1/vouchers').send(sent).expect(400);
      expect(body.errors).toEqual([{ in: 'body', pointer, detail }]);
    }
  });

  const reserved = ['__proto__', 'constructor', 'prototype', 'toString'];
  it.each<[string, string, number, string]>([
    ['is not JSON', '{"code":', 400, 'malformed_request'],
    ['is a bare text', '"text"', 400, 'malformed_request'],
    ['is null', 'null', 400, 'malformed_request'],
    ['is an array', '[]', 400, 'invalid_request'],
    ['is an array of vouchers', `[${JSON.stringify(aVoucher())}]`, 400, 'invalid_request'],
    ['has the number 1e999', '{"code":"ABCD","maxRedemptions":1e999}', 400, 'invalid_request'],
    ['has 5,000 levels', `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`, 400, 'invalid_request'],
    ['has 5,000 levels of arrays', `{"metadata":${'['.repeat(5000)}${']'.repeat(5000)}}`, 400, 'invalid_request'],
    [
      'has 8,000 keys',
      JSON.stringify(Object.fromEntries(Array.from({ length: 8000 }, (_, n) => [n, 1]))),
      400,
      'invalid_request',
    ],
    [
      'has 20,000 keys',
      JSON.stringify(Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [n, 1]))),
      413,
      'content_too_large',
    ],
    ['has 10 MB', JSON.stringify(aVoucher({ description: 'x'.repeat(10 * 2 ** 20) })), 413, 'content_too_large'],
    ...reserved.flatMap((name): [string, string, number, string][] => [
      [`has ${name}`, `{"code":"ABCD","maxRedemptions":1,"${name}":{"polluted":true}}`, 400, 'invalid_request'],
      [
        `has ${name} in metadata`,
        `{"code":"ABCD","maxRedemptions":1,"metadata":{"a":{"${name}":{"polluted":true}}}}`,
        400,
        'invalid_request',
      ],
    ]),
  ])('that %s', async (_, body, status, code) => {
    const response = await sut.http.post('/v1/vouchers').type('json').send(body);
    expect(response.status).toBe(status);
    expect(response.body.code).toBe(code);
    expect(JSON.stringify(response.body).length).toBeLessThan(10_000);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it.each([
    ['application/x-www-form-urlencoded', 'code=ABCD&maxRedemptions=1'],
    ['multipart/form-data; boundary=x', '--x\r\nContent-Disposition: form-data; name="code"\r\n\r\nABCD\r\n--x--'],
    ['text/plain', JSON.stringify(aVoucher())],
    ['application/xml', '<voucher/>'],
    ['application/json; charset=latin1', JSON.stringify(aVoucher())],
    ['no/such; type', JSON.stringify(aVoucher())],
  ])('of type %s', async (type, body) => {
    const response = await sut.http.post('/v1/vouchers').set('Content-Type', type).send(body);
    expect(response.status).toBe(415);
    expect(response.body.code).toBe('unsupported_media_type');
  });

  it.each<[string, (request: Test) => Test]>([
    ['no body', (request) => request],
    ['no length', (request) => request.type('json').set('Content-Length', '0')],
  ])('that is required and has %s', async (_, prepare) => {
    for (const request of [sut.http.post('/v1/vouchers'), sut.http.patch(`/v1/vouchers/${existing.id}`)]) {
      const { body } = await prepare(request).expect(400);
      expect(body).toMatchObject({
        code: 'invalid_request',
        errors: [{ in: 'body', pointer: '#', detail: 'is required' }],
      });
    }
  });

  it('of an unknown encoding', async () => {
    const response = await sut.http.post('/v1/vouchers').set('Content-Encoding', 'x-own').send(aVoucher());
    expect(response.status).toBe(415);
  });
});

describe('a query parameter', () => {
  it.each([
    ['limit', 'limit=0'],
    ['limit', 'limit=101'],
    ['limit', 'limit=1e9'],
    ['limit', 'limit=1e1'],
    ['limit', 'limit=abc'],
    ['limit', 'limit='],
    ['limit', 'limit=-1'],
    ['limit', 'limit=5.0'],
    ['limit', 'limit=5&limit=6'],
    ['limit', 'limit=999999999999999999999'],
    ['limit%5B%5D', 'limit[]=5'],
    ['sort', 'sort=password'],
    ['sort', 'sort=code;DROP TABLE vouchers'],
    ['sort', 'sort=code&sort=-code'],
    ['sort', 'sort='],
    ['q', 'q='],
    ['q', `q=${'x'.repeat(101)}`],
    ['q', 'q=%00'],
    ['q', 'q=a&q=b'],
    ['active', 'active=1'],
    ['active', 'active=TRUE'],
    ['active', 'active=constructor'],
    ['redeemable', 'redeemable=yes'],
    ['offset', 'offset=5'],
    ['__proto__', '__proto__=x'],
    ['constructor', 'constructor=x'],
  ])('%s in ?%s', async (parameter, query) => {
    const { body } = await sut.http.get(`/v1/vouchers?${query}`).expect(400);
    expect(body).toMatchObject({
      code: 'invalid_request',
      errors: [{ in: 'query', pointer: `#/${parameter}` }],
    });
  });
});

describe('a path', () => {
  it.each([
    ['id', '/v1/vouchers/no-uuid'],
    ['id', '/v1/vouchers/00000000-0000-4000-8000-00000000000'],
    ['id', '/v1/vouchers/%00'],
    ['id', '/v1/vouchers/__proto__'],
  ])('whose %s is none: %s', async (parameter, path) => {
    for (const request of [sut.http.get(path), sut.http.patch(path).send({}), sut.http.delete(path)]) {
      const { body } = await request.expect(400);
      expect(body).toMatchObject({
        code: 'invalid_request',
        errors: [{ in: 'path', pointer: `#/${parameter}` }],
      });
    }
  });

  it.each(['A', 'ABC%20D', 'ABC%00D', 'stra%C3%9Fe', 'A'.repeat(33)])('whose code is none: %s', async (code) => {
    const { body } = await sut.http.post(`/v1/vouchers/${code}/redemptions`).expect(400);
    expect(body.errors).toMatchObject([{ in: 'path', pointer: '#/code' }]);
  });

  it('that is not UTF-8', async () => {
    const { body } = await sut.http.get('/v1/vouchers/%E0%A4%A').expect(400);
    expect(body).toMatchObject({ code: 'malformed_request', requestId: expect.any(String) });
  });
});

describe('a redemption', () => {
  it.each([
    ['reference', { reference: 'x'.repeat(65) }],
    ['reference', { reference: null }],
    ['reference', { reference: 5 }],
    ['reference', { reference: 'a\0b' }],
    ['amount', { amount: 1 }],
  ])('whose %s is wrong: %j', async (field, body) => {
    const response = await sut.http.post('/v1/vouchers/ABCD/redemptions').send(body).expect(400);
    expect(response.body.errors).toMatchObject([{ in: 'body', pointer: `#/${field}` }]);
  });

  it.each(['', ' ', 'with space', 'x'.repeat(65), 'ümlaut'])('with the Idempotency-Key "%s"', async (key) => {
    const request = sut.http
      .post('/v1/vouchers/ABCD/redemptions')
      .set('Idempotency-Key', Buffer.from(key).toString('latin1'));
    const { body } = await request.expect(400);
    expect(body.errors).toMatchObject([{ in: 'header', pointer: '#/Idempotency-Key' }]);
  });
});

describe('a column that is not for clients to write', () => {
  const writes = [
    ['POST /v1/vouchers', CreateVoucherDto, () => sut.http.post('/v1/vouchers'), aVoucher],
    ['PATCH /v1/vouchers/:id', UpdateVoucherDto, () => sut.http.patch(`/v1/vouchers/${existing.id}`), () => ({})],
    [
      'POST /v1/vouchers/:code/redemptions',
      RedeemVoucherDto,
      () => sut.http.post(`/v1/vouchers/${existing.code}/redemptions`),
      () => ({}),
    ],
  ] as const;

  it.each(writes)('is refused by %s', async (_, dto, write, body) => {
    const rules = getMetadataStorage().getTargetValidationMetadatas(dto, '', false, false);
    const known = new Set(rules.map(({ propertyName }) => propertyName));
    const { columns } = sut.app.get(DataSource).getMetadata(Voucher);
    const names = columns.flatMap(({ propertyName, databaseName }) => [propertyName, databaseName]);
    const hidden = [...new Set(names)].filter((name) => !known.has(name));
    expect(hidden).toEqual(expect.arrayContaining(['id', 'redemptions', 'version', 'createdAt', 'created_at']));
    for (const name of hidden) {
      const response = await write().send({ ...body(), [name]: 1 });
      expect({ name, status: response.status }).toEqual({ name, status: 400 });
      expect(response.body.errors).toEqual([
        { in: 'body', pointer: `#/${name}`, detail: 'is not a recognized property' },
      ]);
    }
  });
});
