import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/test-app.js';
import { createTestNote, createTestNotesApp, type TestNote } from '../support/test-notes.js';

const SORTS = ['createdAt', 'title', 'dueAt', 'shares'].flatMap((sort) => [sort, `-${sort}`]);

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestNotesApp();
});
afterEach(() => sut.database.query('TRUNCATE test_notes'));
afterAll(() => sut.close());

/** Inserts 25 notes with equal sort values: 3 creation times, 3 due dates (one of them null) and 3 counts. */
const insertNotes = () =>
  sut.database.query(
    `INSERT INTO test_notes (title, shares, created_at, due_at)
     SELECT 'Row ' || lpad(n::text, 2, '0'), n % 3, now() - (n % 3) * interval '1 day',
            CASE n % 3 WHEN 0 THEN NULL ELSE '2030-01-01'::timestamptz + (n % 3) * interval '1 day' END
       FROM generate_series(1, 25) AS n`,
  );

async function list(query: Record<string, unknown>): Promise<{ items: TestNote[]; nextCursor: string | null }> {
  const { body } = await sut.http.get('/v1/test-notes').query(query).expect(200);
  return body;
}

/** Reads every page and calls `between` after each. */
async function readAll(query: Record<string, unknown>, between: () => Promise<unknown> = async () => {}) {
  const items: TestNote[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await list({ ...query, ...(cursor && { cursor }) });
    items.push(...page.items);
    cursor = page.nextCursor;
    await between();
  }
  return items;
}

const titles = (items: TestNote[]) => items.map(({ title }) => title);
const rejected = async (query: Record<string, unknown>) =>
  (await sut.http.get('/v1/test-notes').query(query).expect(400)).body;

describe('GET /v1/test-notes', () => {
  it.each(SORTS)('returns every row once in the order of sort=%s', async (sort) => {
    await insertNotes();
    const items = await readAll({ sort, limit: 4 });
    expect(new Set(titles(items)).size).toBe(25);
    expect(items).toEqual((await list({ sort, limit: 100 })).items);

    const values = items.map((item) => Reflect.get(item, sort.replace('-', '')) ?? '~'); // null sorts after every date
    const ascending = values.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    expect(values).toEqual(sort.startsWith('-') ? ascending.toReversed() : ascending);
  });

  it.each(SORTS)('returns every remaining row once while others are inserted and deleted, sort=%s', async (sort) => {
    await insertNotes();
    const remaining = titles(await readAll({ limit: 100 })).filter((_, index) => index % 2 === 0);
    const seen = await readAll({ sort, limit: 3 }, async () => {
      await createTestNote(sut, { dueAt: '2030-01-02T12:00:00Z' });
      await sut.database.query(
        `DELETE FROM test_notes WHERE id IN
           (SELECT id FROM test_notes WHERE title <> ALL ($1) ORDER BY random() LIMIT 2)`,
        [remaining],
      );
    });
    for (const title of remaining) expect(titles(seen).filter((each) => each === title)).toEqual([title]);
  });

  it('returns 20 rows by default, newest first', async () => {
    await insertNotes();
    const { items } = await list({});
    expect(items).toEqual((await list({ limit: 20, sort: '-createdAt' })).items);
  });

  it('returns no next cursor when the last page is full', async () => {
    await insertNotes();
    expect((await list({ limit: 25 })).nextCursor).toBeNull();
  });

  it('pages through a filtered list', async () => {
    await insertNotes();
    await sut.database.query('UPDATE test_notes SET done = true WHERE shares = 1');
    expect(await readAll({ done: true, limit: 4 })).toHaveLength(9);
    expect(await readAll({ done: false, limit: 4 })).toHaveLength(16);
  });
});

describe('GET /v1/test-notes with a cursor', () => {
  const forge = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url');
  const checksum = (...parts: unknown[]) =>
    createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 8);

  it.each([{ sort: '-title' }, { sort: 'createdAt' }, { sort: 'title', done: 'true' }])(
    'rejects the cursor of another list with 400: %j',
    async (query) => {
      await insertNotes();
      const { nextCursor: cursor } = await list({ limit: 5, sort: 'title' });
      const body = await rejected({ ...query, cursor });
      expect(body).toMatchObject({ code: 'invalid_request', errors: [{ in: 'query', pointer: '#/cursor' }] });
    },
  );

  it.each<[string, (sum?: string, value?: string, id?: string) => string]>([
    ['empty', () => ''],
    ['not base64', () => 'x'],
    ['an empty list', () => forge()],
    ['without an id', (sum, value) => forge(sum, value)],
    ['with another value', (sum, _, id) => forge(sum, 'Row 01', id)],
    ['with an id that is not a UUID', (sum, value) => forge(sum, value, 'none')],
    ['too long', () => 'x'.repeat(2001)],
  ])('rejects a forged cursor with 400: %s', async (_, change) => {
    await insertNotes();
    const { nextCursor } = await list({ limit: 5, sort: 'title' });
    const parts = JSON.parse(Buffer.from(nextCursor ?? '', 'base64url').toString()) as string[];
    const body = await rejected({ sort: 'title', cursor: change(...parts) });
    expect(body).toMatchObject({ code: 'invalid_request', errors: [{ in: 'query', pointer: '#/cursor' }] });
  });

  it.each([
    ['title', 'Row\0'],
    ['createdAt', '2030-02-31T00:00:00.000Z'],
    ['createdAt', "now'; DROP TABLE test_notes"],
    ['shares', { a: 1 }],
  ])('rejects a cursor with a valid checksum and an invalid %s with 400: %j', async (sort, value) => {
    const parts = [value, '00000000-0000-4000-8000-000000000000'];
    const body = await rejected({ sort, cursor: forge(checksum([sort, {}], ...parts), ...parts) });
    expect(body.code).toBe('invalid_request');
    expect(body.errors).toBeUndefined(); // the database rejected the value, the checksum was right
  });
});
