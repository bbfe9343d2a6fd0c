import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { givenApiKey } from '../support/credentials.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { aVoucher, createVoucher } from '../support/vouchers.js';

const NO_SUCH_ID = '00000000-0000-4000-8000-000000000000';

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp();
});
afterAll(() => sut.close());

describe('POST /v1/vouchers', () => {
  it('creates a voucher with what is given, and tells its address and version', async () => {
    const voucher = {
      code: 'spring-2030',
      description: 'Ten percent off',
      metadata: { campaign: 'spring', tiers: [1, { deep: true }] },
      maxRedemptions: 1_000_000,
      expiresAt: '2030-06-01T00:00:00.123+02:00',
      active: false,
    };
    const { body, headers } = await sut.http.post('/v1/vouchers').send(voucher).expect(201);
    expect(body).toEqual({
      ...voucher,
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      code: 'SPRING-2030',
      expiresAt: '2030-05-31T22:00:00.123Z',
      redemptions: 0,
      version: 1,
      createdAt: expect.any(String),
      updatedAt: body.createdAt,
    });
    expect(headers).toMatchObject({ location: `/v1/vouchers/${body.id}`, etag: '"1"' });
    const { body: stored } = await sut.http.get(headers.location ?? '').expect(200);
    expect(stored).toEqual(body);
  });

  it('fills in what may be left out', async () => {
    const { body } = await sut.http.post('/v1/vouchers').send({ code: 'BARE', maxRedemptions: 1 }).expect(201);
    expect(body).toMatchObject({ description: null, metadata: {}, expiresAt: null, active: true });
  });

  it('refuses a code that is taken, whatever its case', async () => {
    await createVoucher(sut, { code: 'TAKEN' });
    const { body } = await sut.http
      .post('/v1/vouchers')
      .send(aVoucher({ code: 'taken' }))
      .expect(409);
    expect(body).toMatchObject({ code: 'voucher_code_taken', errors: [{ in: 'body', pointer: '#/code' }] });
  });
});

describe('GET /v1/vouchers/:id', () => {
  it('answers 304 while the client has the present version', async () => {
    const { id } = await createVoucher(sut);
    const { text } = await sut.http.get(`/v1/vouchers/${id}`).set('If-None-Match', '"1"').expect(304);
    expect(text).toBe('');
    await sut.http.get(`/v1/vouchers/${id}`).set('If-None-Match', '"0", W/"1"').expect(304);
    await sut.http.get(`/v1/vouchers/${id}`).set('If-None-Match', '"2"').expect(200).expect('ETag', '"1"');
  });

  it('answers 404 for a voucher that is not there', async () => {
    const { body } = await sut.http.get(`/v1/vouchers/${NO_SUCH_ID}`).expect(404);
    expect(body.code).toBe('voucher_not_found');
  });
});

describe('PATCH /v1/vouchers/:id', () => {
  it('writes only the fields that are given', async () => {
    const before = await createVoucher(sut, { description: 'old', metadata: { a: 1, b: 2 } });
    const changes = { description: null, metadata: { c: 3 } };
    const { body } = await sut.http.patch(`/v1/vouchers/${before.id}`).send(changes).expect(200).expect('ETag', '"2"');
    expect(body).toEqual({ ...before, ...changes, version: 2, updatedAt: expect.any(String) });
  });

  it('leaves the voucher as it is when nothing is given', async () => {
    const before = await createVoucher(sut);
    const { body } = await sut.http.patch(`/v1/vouchers/${before.id}`).send({}).expect(200);
    expect(body).toEqual(before);
  });

  it('refuses a stale ETag and takes the present one', async () => {
    const { id } = await createVoucher(sut);
    const patch = (ifMatch: string) =>
      sut.http.patch(`/v1/vouchers/${id}`).set('If-Match', ifMatch).send({ active: false });
    await patch('"1"').expect(200);
    const { body } = await patch('"1"').expect(412);
    expect(body.code).toBe('precondition_failed');
    await patch('W/"2"').expect(412);
    await patch('"something,else",, "2"').expect(200);
    await patch('*').expect(200);
  });

  it.each(['2', '"2', '"1""2"', '"2", *'])('refuses the If-Match %s', async (ifMatch) => {
    const { id } = await createVoucher(sut);
    const { body } = await sut.http.patch(`/v1/vouchers/${id}`).set('If-Match', ifMatch).send({}).expect(400);
    expect(body.errors).toMatchObject([{ in: 'header', pointer: '#/If-Match' }]);
  });

  it('refuses null where there must be a value', async () => {
    const { id } = await createVoucher(sut);
    for (const field of ['code', 'metadata', 'maxRedemptions', 'active']) {
      const { body } = await sut.http
        .patch(`/v1/vouchers/${id}`)
        .send({ [field]: null })
        .expect(400);
      expect(body.errors).toMatchObject([{ in: 'body', pointer: `#/${field}` }]);
    }
  });

  it('refuses fewer maxRedemptions than there have been redemptions, and a code that is taken', async () => {
    const { id, code } = await createVoucher(sut);
    const other = await createVoucher(sut);
    await sut.http.post(`/v1/vouchers/${code}/redemptions`).expect(201);
    await sut.http.post(`/v1/vouchers/${code}/redemptions`).expect(201);
    await sut.http.patch(`/v1/vouchers/${id}`).send({ maxRedemptions: 2 }).expect(200);
    const fewer = await sut.http.patch(`/v1/vouchers/${id}`).send({ maxRedemptions: 1 }).expect(409);
    expect(fewer.body).toMatchObject({
      code: 'voucher_over_redeemed',
      errors: [{ pointer: '#/maxRedemptions' }],
    });
    const taken = await sut.http.patch(`/v1/vouchers/${id}`).send({ code: other.code }).expect(409);
    expect(taken.body.code).toBe('voucher_code_taken');
  });

  it('answers 404 for a voucher that is not there', async () => {
    await sut.http.patch(`/v1/vouchers/${NO_SUCH_ID}`).send({ active: false }).expect(404);
  });
});

describe('DELETE /v1/vouchers/:id', () => {
  it('removes the voucher, unless the ETag is stale', async () => {
    const { id } = await createVoucher(sut);
    await sut.http.delete(`/v1/vouchers/${id}`).set('If-Match', '"7"').expect(412);
    await sut.http.delete(`/v1/vouchers/${id}`).set('If-Match', '"1"').expect(204);
    await sut.http.get(`/v1/vouchers/${id}`).expect(404);
    await sut.http.delete(`/v1/vouchers/${id}`).expect(404);
  });
});

describe('POST /v1/vouchers/:code/redemptions', () => {
  it('counts, raises the version and hands the reference back', async () => {
    const { id, code } = await createVoucher(sut, { maxRedemptions: 2 });
    const { body } = await sut.http
      .post(`/v1/vouchers/${code.toLowerCase()}/redemptions`)
      .send({ reference: 'order-4711' })
      .expect(201);
    const { body: voucher } = await sut.http.get(`/v1/vouchers/${id}`).expect('ETag', '"2"');
    expect(body).toEqual({
      code,
      redemptions: 1,
      remaining: 1,
      reference: 'order-4711',
      redeemedAt: voucher.updatedAt,
    });
    const { body: last } = await sut.http.post(`/v1/vouchers/${code}/redemptions`).expect(201);
    expect(last).toMatchObject({ redemptions: 2, remaining: 0, reference: null });
  });

  it.each([
    ['voucher_exhausted', { maxRedemptions: 1 }, 'redemptions = 1'],
    ['voucher_expired', {}, `expires_at = now() - interval '1 second'`],
    ['voucher_inactive', { active: false }, 'active = false'],
  ])('refuses with %s', async (problem, fields, change) => {
    const { id, code } = await createVoucher(sut, fields);
    await sut.database.query(`UPDATE vouchers SET ${change} WHERE id = $1`, [id]);
    const { body } = await sut.http.post(`/v1/vouchers/${code}/redemptions`).expect(409);
    expect(body.code).toBe(problem);
  });

  it('answers 404 for a code that is not there', async () => {
    const { body } = await sut.http.post('/v1/vouchers/NO-SUCH-CODE/redemptions').expect(404);
    expect(body.code).toBe('voucher_not_found');
  });
});

describe('GET /v1/vouchers/stats', () => {
  it('counts what there is', async () => {
    const { body: before } = await sut.http.get('/v1/vouchers/stats').expect(200);
    const redeemed = await createVoucher(sut, { maxRedemptions: 1 });
    await sut.http.post(`/v1/vouchers/${redeemed.code}/redemptions`).expect(201);
    await createVoucher(sut, { active: false });
    await createVoucher(sut, { expiresAt: '2000-01-01T00:00:00Z' });
    await createVoucher(sut);
    const { body: after } = await sut.http.get('/v1/vouchers/stats').expect(200);
    expect(after).toEqual({
      total: before.total + 4,
      active: before.active + 3,
      redeemable: before.redeemable + 1,
      redemptions: before.redemptions + 1,
    });
  });
});

it('an Idempotency-Key belongs to the principal that chose it', async () => {
  const voucher = { code: 'SHARED', maxRedemptions: 5 };
  await sut.http.post('/v1/vouchers').send(voucher).expect(201);
  const redeem = async () =>
    sut.anonymous
      .post('/v1/vouchers/SHARED/redemptions')
      .set({ 'x-api-key': await givenApiKey(sut.database), 'Idempotency-Key': 'same' })
      .expect(201);
  expect([(await redeem()).body.redemptions, (await redeem()).body.redemptions]).toEqual([1, 2]);
});
