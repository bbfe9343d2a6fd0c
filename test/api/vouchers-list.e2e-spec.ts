import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { createTestApp, type TestApp } from '../support/test-app.js';
import { createVoucher } from '../support/vouchers.js';

interface Item {
  id: string;
  code: string;
}

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp();
});
afterEach(() => sut.database.query('TRUNCATE vouchers'));
afterAll(() => sut.close());

const list = async (query: Record<string, unknown>) => {
  const { body } = await sut.http.get('/v1/vouchers').query(query).expect(200);
  return body as { items: Item[]; nextCursor: string | null };
};

/** All pages, one after the other; `between` runs after each. */
async function readAll(query: Record<string, unknown>, between: () => Promise<unknown> = async () => {}) {
  const items: Item[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await list({ ...query, ...(cursor && { cursor }) });
    items.push(...page.items);
    cursor = page.nextCursor;
    await between();
  }
  return items;
}

const codes = (items: Item[]) => items.map(({ code }) => code);

describe('paging', () => {
  // Rows with equal sort values are where paging goes wrong: 25 vouchers of 3 moments, 3 expiries and 3 counts.
  const fill = () =>
    sut.database.query(
      `INSERT INTO vouchers (code, max_redemptions, redemptions, created_at, expires_at)
       SELECT 'ROW-' || lpad(n::text, 2, '0'), 100, n % 3, now() - (n % 3) * interval '1 day',
              CASE n % 3 WHEN 0 THEN NULL ELSE '2030-01-01'::timestamptz + (n % 3) * interval '1 day' END
         FROM generate_series(1, 25) AS n`,
    );
  const sorts = ['createdAt', 'code', 'expiresAt', 'redemptions'].flatMap((sort) => [sort, `-${sort}`]);

  it.each(sorts)('gives every row once, in the order of %s', async (sort) => {
    await fill();
    const items = await readAll({ sort, limit: 4 });
    const whole = await list({ sort, limit: 100 });
    expect(new Set(codes(items)).size).toBe(25);
    expect(items).toEqual(whole.items);

    const key = sort.replace('-', '') as keyof Item;
    const values = items.map((item) => item[key] ?? '~'); // null, which means never, comes after every date
    const ascending = values.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    expect(values).toEqual(sort.startsWith('-') ? ascending.toReversed() : ascending);
  });

  it.each(sorts)('gives every row that stays once while others come and go, sorted by %s', async (sort) => {
    await fill();
    const staying = codes(await readAll({ limit: 100 })).filter((_, index) => index % 2 === 0);
    const seen = codes(
      await readAll({ sort, limit: 3 }, async () => {
        await createVoucher(sut, { code: `AAA-${Math.random().toString(36).slice(2, 12)}` });
        await createVoucher(sut, { expiresAt: '2030-01-01T12:00:00Z' });
        await sut.database.query(
          `DELETE FROM vouchers WHERE id IN (SELECT id FROM vouchers WHERE code <> ALL ($1) ORDER BY random() LIMIT 2)`,
          [staying],
        );
      }),
    );
    for (const code of staying) expect(seen.filter((each) => each === code)).toHaveLength(1);
  });

  it('has no next cursor when the last page is exactly full', async () => {
    await fill();
    expect((await list({ limit: 25 })).nextCursor).toBeNull();
  });

  it('returns 20, newest first, when nothing is asked for', async () => {
    await fill();
    const { items } = await list({});
    expect(items).toEqual((await list({ limit: 20, sort: '-createdAt' })).items);
  });

  it('refuses the cursor of another list, and a forged one', async () => {
    await fill();
    const { nextCursor } = await list({ limit: 5, sort: 'code' });
    const forge = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url');
    const [sum, value, id] = JSON.parse(Buffer.from(nextCursor ?? '', 'base64url').toString()) as string[];
    for (const [sort, cursor] of [
      ['-code', nextCursor],
      ['createdAt', nextCursor],
      ['code', ''],
      ['code', 'x'],
      ['code', forge()],
      ['code', forge(sum, value)],
      ['code', forge(sum, 'ROW-01', id)],
      ['code', forge(sum, value, 'no-uuid')],
      ['code', 'x'.repeat(2001)],
    ]) {
      const { body } = await sut.http.get('/v1/vouchers').query({ sort, cursor }).expect(400);
      expect(body).toMatchObject({ code: 'invalid_request', errors: [{ in: 'query', pointer: '#/cursor' }] });
    }
    await sut.http.get('/v1/vouchers').query({ sort: 'code', active: 'true', cursor: nextCursor }).expect(400);
  });

  it.each([
    ['code', 'CODE\0'],
    ['createdAt', '2030-02-31T00:00:00.000Z'],
    ['createdAt', "now'; DROP TABLE vouchers"],
    ['redemptions', { a: 1 }],
  ])('refuses a cursor that was forged with its checksum, sorted by %s: %j', async (sort, value) => {
    const parts = [value, '00000000-0000-4000-8000-000000000000'];
    const sum = createHash('sha256')
      .update(JSON.stringify([[sort, {}], ...parts]))
      .digest('base64url')
      .slice(0, 8);
    const cursor = Buffer.from(JSON.stringify([sum, ...parts])).toString('base64url');
    const { body } = await sut.http.get('/v1/vouchers').query({ sort, cursor }).expect(400);
    expect(body.errors).toBeUndefined(); // it was the database that refused the value
  });
});

describe('filters', () => {
  it('finds q in code or description, whatever its case, and takes no wildcards', async () => {
    await createVoucher(sut, { code: 'SUMMER-1' });
    await createVoucher(sut, { code: 'WINTER-1', description: 'After the sUMMer' });
    await createVoucher(sut, { code: 'WINTER-2', description: '100 % off_now \\o/' });
    const found = async (q: string) => codes((await list({ q, sort: 'code' })).items);
    expect(await found('summer')).toEqual(['SUMMER-1', 'WINTER-1']);
    expect(await found('%')).toEqual(['WINTER-2']);
    expect(await found('f_n')).toEqual(['WINTER-2']);
    expect(await found('\\')).toEqual(['WINTER-2']);
    expect(await found("' OR 1=1 --")).toEqual([]);
  });

  it('narrows by active and redeemable', async () => {
    await createVoucher(sut, { code: 'GOOD' });
    await createVoucher(sut, { code: 'OFF-', active: false });
    await createVoucher(sut, { code: 'OLD-', expiresAt: '2000-01-01T00:00:00Z' });
    const used = await createVoucher(sut, { code: 'USED', maxRedemptions: 1 });
    await sut.http.post(`/v1/vouchers/${used.code}/redemptions`).expect(201);
    const found = async (query: object) => codes((await list({ ...query, sort: 'code' })).items);
    expect(await found({ active: true })).toEqual(['GOOD', 'OLD-', 'USED']);
    expect(await found({ active: false })).toEqual(['OFF-']);
    expect(await found({ redeemable: true })).toEqual(['GOOD']);
    expect(await found({ redeemable: false })).toEqual(['OFF-', 'OLD-', 'USED']);
    expect(await found({ redeemable: false, active: true, q: 'USE' })).toEqual(['USED']);
  });
});
