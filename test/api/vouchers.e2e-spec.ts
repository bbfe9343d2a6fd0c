import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { startOtlpReceiver } from '../support/otlp-receiver.js';
import { indexPlanOf } from '../support/plans.js';
import { startProgram } from '../support/program.js';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { createTestDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { aVoucher, createVoucher } from '../support/vouchers.js';

const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000';

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp();
});
afterAll(() => sut.close());

const redeem = (code: string) => sut.http.post(`/v1/vouchers/${code}/redemptions`);

describe('POST /v1/vouchers', () => {
  it('creates a voucher and returns its location and ETag', async () => {
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
    expect((await sut.http.get(headers.location ?? '').expect(200)).body).toEqual(body);
  });

  it('sets defaults for optional fields', async () => {
    const { body } = await sut.http.post('/v1/vouchers').send({ code: 'BARE', maxRedemptions: 1 }).expect(201);
    expect(body).toMatchObject({ description: null, metadata: {}, expiresAt: null, active: true });
  });

  it('rejects a code that is in use with 409, in upper or lower case', async () => {
    await createVoucher(sut, { code: 'TAKEN' });
    const { body } = await sut.http
      .post('/v1/vouchers')
      .send(aVoucher({ code: 'taken' }))
      .expect(409);
    expect(body).toMatchObject({ code: 'voucher_code_taken', errors: [{ in: 'body', pointer: '#/code' }] });
  });

  it.each<[string, string, unknown]>([
    ['a missing code', 'code', undefined],
    ['a code of 3 characters', 'code', 'ABC'],
    ['a code of 33 characters', 'code', 'A'.repeat(33)],
    ['a code with a space', 'code', 'ABC D'],
    ['a code with an underscore', 'code', 'ABC_1'],
    ['a code outside ASCII', 'code', 'straße'],
    ['a number as code', 'code', 12345],
    ['a description of 501 characters', 'description', 'x'.repeat(501)],
    ['a number as description', 'description', 5],
    ['a list as metadata', 'metadata', []],
    ['metadata of more than 4096 bytes', 'metadata', { text: 'x'.repeat(4096) }],
    ['metadata of 6 levels', 'metadata', { a: { b: { c: { d: { e: {} } } } } }],
    ['a missing maxRedemptions', 'maxRedemptions', undefined],
    ['maxRedemptions 0', 'maxRedemptions', 0],
    ['maxRedemptions 1,000,001', 'maxRedemptions', 1_000_001],
    ['maxRedemptions 1.5', 'maxRedemptions', 1.5],
    ['a string as maxRedemptions', 'maxRedemptions', '5'],
    ['a date without a time as expiresAt', 'expiresAt', '2030-01-01'],
    ['a string as active', 'active', 'true'],
    ['a value for redemptions', 'redemptions', 5],
    ['a value for version', 'version', 5],
  ])('rejects %s with 400', async (_, field, value) => {
    const { body } = await sut.http
      .post('/v1/vouchers')
      .send(aVoucher({ [field]: value }))
      .expect(400);
    expect(body).toMatchObject({ code: 'invalid_request', errors: [{ in: 'body', pointer: `#/${field}` }] });
  });
});

describe('metadata', () => {
  it.each([
    ['1e400', '#/metadata/a/0/b'],
    ['12345678901234567890', '#/metadata/a/0/b'],
    ['0.12345678901234567890', '#/metadata/a/0/b'],
    ['"\\ud800"', '#/metadata/a/0/b'],
    ['{"x\\u0000":1}', '#/metadata/a/0/b/x%00'],
  ])('rejects %s with a pointer', async (value, pointer) => {
    const json = JSON.stringify(aVoucher({ metadata: { a: [{ b: 'VALUE' }] } })).replace('"VALUE"', value);
    const { body } = await sut.http.post('/v1/vouchers').type('json').send(json).expect(400);
    expect(body.errors).toMatchObject([{ in: 'body', pointer }]);
  });

  it('is returned as it was sent, or rejected', async () => {
    const object = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ stringUnit: 'binary', maxDepth: 3 }));
    await fc.assert(
      fc.asyncProperty(object, async (metadata) => {
        const { status, body } = await sut.http.post('/v1/vouchers').send(aVoucher({ metadata }));
        if (status === 400) return expect(body.errors[0].pointer).toMatch(/^#\/metadata/);
        const { body: stored } = await sut.http.get(`/v1/vouchers/${body.id}`).expect(200);
        expect(stored.metadata).toEqual(JSON.parse(JSON.stringify(metadata)));
        expect(body.metadata).toEqual(stored.metadata);
      }),
      { numRuns: 50 },
    );
  });
});

describe('GET /v1/vouchers', () => {
  beforeEach(() => sut.database.query('TRUNCATE vouchers CASCADE'));

  async function list(query: object): Promise<string[]> {
    const { body } = await sut.http
      .get('/v1/vouchers')
      .query({ sort: 'code', ...query })
      .expect(200);
    return body.items.map(({ code }: { code: string }) => code);
  }

  it('searches code and description for q, ignoring case and without wildcards', async () => {
    await createVoucher(sut, { code: 'SUMMER-1' });
    await createVoucher(sut, { code: 'WINTER-1', description: 'After the sUMMer' });
    await createVoucher(sut, { code: 'WINTER-2', description: '100 % off_now \\o/' });
    expect(await list({ q: 'summer' })).toEqual(['SUMMER-1', 'WINTER-1']);
    for (const q of ['00 %', 'f_n', ' \\o/', '\\o/']) expect(await list({ q })).toEqual(['WINTER-2']);
    expect(await list({ q: "' OR 1=1 --" })).toEqual([]);
    // A short term matches the beginning of the code, in every sort order.
    for (const sort of ['code', 'createdAt']) expect(await list({ q: 'wi', sort })).toEqual(['WINTER-1', 'WINTER-2']);
    for (const q of ['%', 'M', '_']) expect(await list({ q })).toEqual([]);
  });

  it('searches and sorts in the same way if the locale of the database is Turkish', async () => {
    const database = await createTestDatabase({ locale: 'tr-TR' });
    await (
      await startProgram({ DATABASE_URL: database.url }, 'migrate.js')
    ).ended;
    const turkish = await createTestApp({ database });
    try {
      await createVoucher(turkish, { code: 'WINTER-I', description: 'ÄÖÜ IN TITLE' });
      await createVoucher(turkish, { code: 'WINTER-A', description: 'istanbul' });
      const codesOf = async (query: object) => {
        const { body } = await turkish.http
          .get('/v1/vouchers')
          .query({ sort: 'code', ...query })
          .expect(200);
        return body.items.map(({ code }: { code: string }) => code);
      };
      for (const q of ['winter-i', 'Winter-I', 'äöü in title', 'IN TI', 'w'])
        expect(await codesOf({ q })).toContain('WINTER-I');
      for (const q of ['ISTANBUL', 'istanbul']) expect(await codesOf({ q })).toEqual(['WINTER-A']);
      expect(await codesOf({})).toEqual(['WINTER-A', 'WINTER-I']);
    } finally {
      await turkish.close();
      await database.drop();
    }
  });

  it('filters by active and redeemable', async () => {
    await createVoucher(sut, { code: 'GOOD' });
    await createVoucher(sut, { code: 'INACTIVE', active: false });
    await createVoucher(sut, { code: 'EXPIRED', expiresAt: '2000-01-01T00:00:00Z' });
    await createVoucher(sut, { code: 'USED', maxRedemptions: 1 });
    await redeem('USED').expect(201);
    expect(await list({ active: true })).toEqual(['EXPIRED', 'GOOD', 'USED']);
    expect(await list({ active: false })).toEqual(['INACTIVE']);
    expect(await list({ redeemable: true })).toEqual(['GOOD']);
    expect(await list({ redeemable: false })).toEqual(['EXPIRED', 'INACTIVE', 'USED']);
    expect(await list({ redeemable: true, active: true })).toEqual(['GOOD']);
    expect(await list({ redeemable: true, active: false })).toEqual([]);
    expect(await list({ redeemable: false, active: false })).toEqual(['INACTIVE']);
    expect(await list({ redeemable: false, active: true })).toEqual(['EXPIRED', 'USED']);
    expect(await list({ redeemable: false, active: true, q: 'USE' })).toEqual(['USED']);
  });

  it.each(['createdAt', 'code', 'expiresAt', 'redemptions'])('pages through the list, sorted by %s', async (sort) => {
    await sut.database.query(
      `INSERT INTO vouchers (code, max_redemptions, redemptions, created_at, expires_at) VALUES
         ('ROW-1', 9, 0, '2030-01-01', '2031-01-01'), ('ROW-2', 9, 1, '2030-01-02', '2031-01-02'), ('ROW-3', 9, 2, '2030-01-03', NULL)`,
    );
    for (const order of [sort, `-${sort}`]) {
      const { body } = await sut.http.get('/v1/vouchers').query({ sort: order, limit: 2 }).expect(200);
      const codes = body.items.map(({ code }: { code: string }) => code);
      const expected = ['ROW-1', 'ROW-2', 'ROW-3'];
      expect([...codes, ...(await list({ sort: order, cursor: body.nextCursor }))]).toEqual(
        order === sort ? expected : expected.toReversed(),
      );
    }
  });

  it.each(
    ['createdAt', 'code', 'expiresAt', 'redemptions'].flatMap((sort) =>
      ['', '&active=true', '&active=false', '&redeemable=true', '&redeemable=false', '&q=S'].map(
        (filter) => sort + filter,
      ),
    ),
  )('reads the rows of sort=%s from an index', async (sort) => {
    for (const order of [sort, `-${sort}`]) {
      const nodes = await indexPlanOf(sut, `/v1/vouchers?sort=${order}`, 'vouchers');
      const types = nodes.map((node) => node['Node Type']);
      expect(types).toContainEqual(expect.stringMatching(/^Index (Only )?Scan$/));
      expect(types).not.toContain('Seq Scan');
      if (!sort.includes('q=')) expect(types).not.toContain('Sort');
    }
  });

  it.each(['q=summer', 'q=summer&active=true', 'q=summer&redeemable=false'])(
    'finds %s in the search index of a large table',
    async (query) => {
      await sut.database.query(
        `INSERT INTO vouchers (code, max_redemptions, active) SELECT 'ROW-' || n, 1, n % 2 = 0 FROM generate_series(1, 3000) AS n`,
      );
      const nodes = await indexPlanOf(sut, `/v1/vouchers?${query}`, 'vouchers');
      expect(nodes.map((node) => node['Index Name'])).toContain('IX_vouchers_search');
    },
  );

  it.each([
    ['an unknown sort', 'sort=password'],
    ['an empty q', 'q='],
    ['a q of 101 characters', `q=${'x'.repeat(101)}`],
    ['an invalid redeemable', 'redeemable=yes'],
  ])('rejects %s with 400', async (_, query) => {
    await sut.http.get(`/v1/vouchers?${query}`).expect(400);
  });
});

describe('GET /v1/vouchers with more rows than it may read', () => {
  beforeAll(async () => {
    await sut.database.query('TRUNCATE vouchers CASCADE');
    await sut.database.query(
      `INSERT INTO vouchers (code, description, max_redemptions, active, created_at)
       SELECT 'ROW-' || n, CASE WHEN n % 2 = 0 THEN 'common' ELSE 'rare' END, 1, n % 2 = 1, now() + n % 2 * interval '1 day'
         FROM generate_series(1, 20004) AS n`,
    );
  });

  it.each(['active=true&redeemable=false', 'q=common', 'q=%25%25%25'])(
    'rejects %s with 422 if no page is among them',
    async (query) => {
      const { body } = await sut.http.get(`/v1/vouchers?${query}`).expect(422);
      expect(body.code).toBe('query_too_broad');
    },
  );
});

describe('expiry', () => {
  /** Inserts vouchers as they are when their time has just passed. */
  async function expire(count: number): Promise<void> {
    await sut.database.query('TRUNCATE vouchers CASCADE');
    await sut.database.query(
      `ALTER TABLE vouchers DISABLE TRIGGER "TR_vouchers_open";
       INSERT INTO vouchers (code, max_redemptions, expires_at, open)
       SELECT 'ROW-' || n, 1, now(), true FROM generate_series(1, ${count}) AS n;
       ALTER TABLE vouchers ENABLE TRIGGER "TR_vouchers_open"`,
    );
  }
  const get = (query: string) => sut.http.get(`/v1/vouchers?${query}`);

  it('moves a voucher between the lists without a change of its version', async () => {
    await expire(1);
    expect((await get('redeemable=true').expect(200)).body.items).toEqual([]);
    const { body } = await get('redeemable=false').expect(200);
    expect(body.items).toMatchObject([{ code: 'ROW-1', version: 1 }]);
    expect((await sut.http.get('/v1/vouchers/stats').expect(200)).body).toMatchObject({ total: 1, redeemable: 0 });
  });

  it('returns 503 with Retry-After while more vouchers expire than a list can wait for', async () => {
    await expire(11_500);
    const { body, headers } = await get('redeemable=false').expect(503);
    expect(body.code).toBe('overloaded');
    expect(headers['retry-after']).toBe('5');
    await until(async () => (await get('redeemable=false')).status === 200);
    expect((await get('redeemable=true').expect(200)).body.items).toEqual([]);
  });
});

describe('GET /v1/vouchers/stats', () => {
  it('counts vouchers and redemptions', async () => {
    await sut.database.query('TRUNCATE vouchers CASCADE');
    const redeemed = await createVoucher(sut, { maxRedemptions: 1 });
    await redeem(redeemed.code).expect(201);
    await createVoucher(sut, { active: false });
    await createVoucher(sut, { expiresAt: '2000-01-01T00:00:00Z' });
    await createVoucher(sut);
    const { body } = await sut.http.get('/v1/vouchers/stats').expect(200);
    expect(body).toEqual({ total: 4, active: 3, redeemable: 1, redemptions: 1 });
  });
});

describe('/v1/vouchers/:id', () => {
  it.each(['get', 'patch', 'delete'] as const)('returns 404 for an unknown id: %s', async (method) => {
    const { body } = await sut.http[method](`/v1/vouchers/${UNKNOWN_ID}`).send({}).expect(404);
    expect(body.code).toBe('voucher_not_found');
  });

  it.each([
    ['delete', '/v1/vouchers/stats', 'GET, HEAD'],
    ['post', `/v1/vouchers/${UNKNOWN_ID}`, 'GET, PATCH, DELETE, HEAD'],
    ['get', '/v1/vouchers/CODE/redemptions', 'POST'],
  ] as const)('returns 405 for %s %s with Allow: %s', async (method, path, allow) => {
    await sut.http[method](path).expect(405).expect('Allow', allow);
  });
});

describe('PATCH /v1/vouchers/:id', () => {
  it('updates only the given fields', async () => {
    const before = await createVoucher(sut, { description: 'old', metadata: { a: 1, b: 2 } });
    const changes = { description: null, metadata: { c: 3 } };
    const { body } = await sut.http.patch(`/v1/vouchers/${before.id}`).send(changes).expect(200).expect('ETag', '"2"');
    expect(body).toEqual({ ...before, ...changes, version: 2, updatedAt: expect.any(String) });
  });

  it('changes nothing if no field is given', async () => {
    const before = await createVoucher(sut);
    const { body } = await sut.http.patch(`/v1/vouchers/${before.id}`).send({}).expect(200);
    expect(body).toEqual(before);
  });

  it('rejects a stale If-Match with 412', async () => {
    const { id } = await createVoucher(sut);
    await sut.http.patch(`/v1/vouchers/${id}`).set('If-Match', '"0"').send({ active: false }).expect(412);
    await sut.http.patch(`/v1/vouchers/${id}`).set('If-Match', '"1"').send({ active: false }).expect(200);
  });

  it.each(['code', 'metadata', 'maxRedemptions', 'active'])('rejects null as %s with 400', async (field) => {
    const { id } = await createVoucher(sut);
    const { body } = await sut.http
      .patch(`/v1/vouchers/${id}`)
      .send({ [field]: null })
      .expect(400);
    expect(body.errors).toMatchObject([{ in: 'body', pointer: `#/${field}` }]);
  });

  it('rejects a maxRedemptions below redemptions with 409', async () => {
    const { id, code } = await createVoucher(sut);
    await redeem(code).expect(201);
    await redeem(code).expect(201);
    await sut.http.patch(`/v1/vouchers/${id}`).send({ maxRedemptions: 2 }).expect(200);
    const { body } = await sut.http.patch(`/v1/vouchers/${id}`).send({ maxRedemptions: 1 }).expect(409);
    expect(body).toMatchObject({ code: 'voucher_over_redeemed', errors: [{ pointer: '#/maxRedemptions' }] });
  });

  it('rejects a code that is in use with 409', async () => {
    const [{ id }, other] = [await createVoucher(sut), await createVoucher(sut)];
    const { body } = await sut.http.patch(`/v1/vouchers/${id}`).send({ code: other.code }).expect(409);
    expect(body.code).toBe('voucher_code_taken');
  });
});

describe('DELETE /v1/vouchers/:id', () => {
  it('deletes the version that If-Match names', async () => {
    const { id } = await createVoucher(sut);
    await sut.http.delete(`/v1/vouchers/${id}`).set('If-Match', '"7"').expect(412);
    await sut.http.delete(`/v1/vouchers/${id}`).set('If-Match', '"1"').expect(204);
    await sut.http.get(`/v1/vouchers/${id}`).expect(404);
  });
});

describe('POST /v1/vouchers/:code/redemptions', () => {
  it('counts the redemption and returns the reference', async () => {
    const { id, code } = await createVoucher(sut, { maxRedemptions: 2 });
    const { body } = await redeem(code.toLowerCase()).send({ reference: 'order-4711' }).expect(201);
    const { body: voucher } = await sut.http.get(`/v1/vouchers/${id}`).expect('ETag', '"2"');
    expect(body).toEqual({
      code,
      redemptions: 1,
      remaining: 1,
      reference: 'order-4711',
      redeemedAt: voucher.updatedAt,
    });
    const { body: last } = await redeem(code).expect(201);
    expect(last).toMatchObject({ redemptions: 2, remaining: 0, reference: null });
  });

  it.each([
    ['voucher_exhausted', 'max_redemptions = 1, redemptions = 1'],
    ['voucher_expired', `expires_at = now() - interval '1 second'`],
    ['voucher_inactive', 'active = false'],
  ])('rejects the redemption with 409 %s', async (problem, change) => {
    const { id, code } = await createVoucher(sut);
    await sut.database.query(`UPDATE vouchers SET ${change} WHERE id = $1`, [id]);
    const { body } = await redeem(code).expect(409);
    expect(body.code).toBe(problem);
  });

  it('redeems once for a repeated Idempotency-Key', async () => {
    const { code } = await createVoucher(sut);
    const key = randomUUID();
    const first = await redeem(code).set('Idempotency-Key', key).expect(201);
    const repeat = await redeem(code.toLowerCase()).set('Idempotency-Key', key).expect(201);
    expect(repeat.text).toBe(first.text);
    expect((await redeem(code).expect(201)).body.redemptions).toBe(2);
  });

  it('returns 404 for an unknown code', async () => {
    const { body } = await redeem('NO-SUCH-CODE').expect(404);
    expect(body.code).toBe('voucher_not_found');
  });

  it.each([
    ['a code of 1 character', 'A'],
    ['a code of 33 characters', 'A'.repeat(33)],
    ['a code with a space', 'ABC%20D'],
    ['a code with a NUL character', 'ABC%00D'],
    ['a code outside ASCII', 'stra%C3%9Fe'],
  ])('rejects %s with 400', async (_, code) => {
    const { body } = await redeem(code).expect(400);
    expect(body.errors).toMatchObject([{ in: 'path', pointer: '#/code' }]);
  });

  it.each<[string, string, unknown]>([
    ['a reference of 65 characters', 'reference', 'x'.repeat(65)],
    ['null as reference', 'reference', null],
    ['a number as reference', 'reference', 5],
    ['an unknown property', 'amount', 1],
  ])('rejects %s with 400', async (_, field, value) => {
    const { body } = await redeem('ABCD')
      .send({ [field]: value })
      .expect(400);
    expect(body.errors).toMatchObject([{ in: 'body', pointer: `#/${field}` }]);
  });
});

describe('the metric vouchers.redemptions', () => {
  it('counts redemptions, but no rejected ones', async () => {
    const receiver = await startOtlpReceiver();
    const metered = await createTestApp({
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_TRACES_EXPORTER: 'none',
        OTEL_METRICS_EXPORTER: 'otlp',
        OTEL_METRIC_EXPORT_INTERVAL: '100',
      },
    });
    const { code } = await createVoucher(metered, { maxRedemptions: 2 });
    for (const status of [201, 201, 409]) {
      await metered.http.post(`/v1/vouchers/${code}/redemptions`).expect(status);
    }
    const points = () => receiver.metrics.get('vouchers.redemptions')?.points;
    await until(() => points()?.[0]?.value === 2);
    expect(points()).toEqual([{ value: 2, attributes: {} }]);
    await metered.close();
    await receiver.close();
  });
});
