import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, Delete, Get, Module, Param, Patch, Post, Query, UseInterceptors } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { IsIn, IsOptional, IsUUID } from 'class-validator';
import { Column, DataSource, Entity, JoinColumn, ManyToOne, OneToMany, PrimaryGeneratedColumn } from 'typeorm';
import { type Relation, type SelectQueryBuilder, VersionColumn } from 'typeorm';
import { Public } from '../../src/platform/auth/auth.decorators.js';
import { findForUpdate } from '../../src/platform/database/find-for-update.js';
import { paginate, type SortKey } from '../../src/platform/database/paginate.js';
import { contains, type Search } from '../../src/platform/database/search.js';
import { ContentETagInterceptor } from '../../src/platform/http/content-etag.interceptor.js';
import { ETagInterceptor } from '../../src/platform/http/etag.interceptor.js';
import { IdDto } from '../../src/platform/http/id.dto.js';
import { PageQueryDto } from '../../src/platform/http/page-query.dto.js';
import { defineProblem } from '../../src/platform/problems/problem.js';
import { flatten, type PlanNode, statementsOf } from '../support/plans.js';
import { createTestApp, type TestApp } from '../support/test-app.js';

// Authors write books, and books have chapters. Columns have the same names in each table.
@Entity('test_authors')
class Author {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column({ type: 'text' })
  name!: string;

  @OneToMany(() => Book, ({ author }) => author)
  books?: Relation<Book>[];
}

@Entity('test_books')
class Book {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column({ type: 'text' })
  name!: string;

  @Column({ type: 'date', nullable: true })
  published!: string | null;

  @Column({ name: 'author_id', type: 'uuid' })
  authorId!: string;

  @ManyToOne(() => Author, ({ books }) => books, { eager: true })
  @JoinColumn({ name: 'author_id', foreignKeyConstraintName: 'FK_test_books_author' })
  author?: Relation<Author>;

  @OneToMany(() => Chapter, ({ book }) => book)
  chapters?: Relation<Chapter>[];

  @VersionColumn({ default: 1 })
  version!: number;
}

@Entity('test_chapters')
class Chapter {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column({ type: 'text' })
  name!: string;

  @ManyToOne(() => Book, ({ chapters }) => chapters)
  @JoinColumn({ name: 'book_id', foreignKeyConstraintName: 'FK_test_chapters_book' })
  book?: Relation<Book>;
}

const TABLES = `
  CREATE EXTENSION IF NOT EXISTS pg_trgm;
  CREATE TABLE test_authors (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
  CREATE TABLE test_books (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, published date, version integer NOT NULL DEFAULT 1,
    author_id uuid NOT NULL CONSTRAINT "FK_test_books_author" REFERENCES test_authors ON DELETE RESTRICT);
  CREATE TABLE test_chapters (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL,
    book_id uuid NOT NULL CONSTRAINT "FK_test_chapters_book" REFERENCES test_books);
  CREATE INDEX ON test_books (name, id);
  CREATE INDEX ON test_chapters (book_id)`;

const bookNotFound = defineProblem('test_book_not_found', 404, 'Test book not found');
const authorInUse = defineProblem('test_author_in_use', 409, 'Test author in use');
const bookInUse = defineProblem('test_book_in_use', 409, 'Test book in use');
defineProblem('test_book_author_unknown', 422, 'Unknown author', {
  name: 'FK_test_books_author',
  field: 'authorId',
  inUse: authorInUse,
});
defineProblem('test_chapter_book_unknown', 422, 'Unknown book', {
  name: 'FK_test_chapters_book',
  field: 'bookId',
  inUse: bookInUse,
});

const SORT_KEYS: Record<'name' | 'published' | 'author', SortKey<Book>> = {
  author: { sql: 'author.name', type: 'text', valueOf: ({ author }) => author!.name },
  name: { sql: 'book.name', type: 'text', valueOf: ({ name }) => name },
  published: {
    sql: `coalesce(book.published, 'infinity')`,
    type: 'date',
    valueOf: ({ published }) => published ?? 'infinity',
  },
};

const JOINS: Record<string, (query: SelectQueryBuilder<Book>) => SelectQueryBuilder<Book>> = {
  'a to-one relation': (query) => query.leftJoinAndSelect('book.author', 'author'),
  'a to-many relation': (query) => query.leftJoinAndSelect('book.chapters', 'chapter'),
  'a to-many relation without its columns': (query) => query.innerJoin('book.chapters', 'chapter'),
  'a to-many relation of a relation': (query) =>
    query.leftJoinAndSelect('book.author', 'author').leftJoin('author.books', 'other'),
  'a table without a relation': (query) => query.innerJoin(Chapter, 'chapter', 'chapter.book = book.id'),
};

/** Conditions and searches. More than one condition reads a bounded number of rows. */
const CONDITIONS: Record<string, { where: string[]; search?: Search }> = {
  'one condition': { where: ['book.version = 1'] },
  'two conditions': { where: ['book.version = 1', `book.name <> 'x'`] },
  'a search': { where: [], search: contains(['book.name', 'chapter.name'], 'chapter') },
  'a rare condition': { where: ['book.version = 1', `book.name = 'book 1'`] },
  'a rare condition on a joined table': { where: ['book.version = 1', `chapter.name = 'chapter of book 1'`] },
  'a rare search': { where: [], search: contains(['chapter.name'], 'of book 1999') },
  'a condition on a joined table': { where: [`chapter.name = 'chapter 2'`] },
  'two conditions, one of them on a joined table': { where: ['book.version = 1', `chapter.name = 'chapter 2'`] },
};

class ListDto extends PageQueryDto {
  @IsIn(Object.keys(JOINS))
  join!: string;

  @IsIn(Object.keys(CONDITIONS))
  conditions = 'one condition';

  @IsIn(Object.keys(SORT_KEYS).flatMap((key) => [key, `-${key}`]))
  sort: keyof typeof SORT_KEYS | `-${keyof typeof SORT_KEYS}` = 'name';

  /** Has the name of a parameter that is likely in a query of paginate(). */
  @IsOptional()
  @IsUUID()
  value?: string;
}

class BookDto {
  @IsUUID()
  authorId!: string;
}

@Public()
@Controller('test-books')
@UseInterceptors(ETagInterceptor)
class BooksController {
  constructor(private readonly database: DataSource) {}

  @Get()
  list(@Query() query: ListDto) {
    const books = this.database.getRepository(Book).createQueryBuilder('book');
    if (query.value) books.andWhere('book.authorId = :value', { value: query.value });
    const { where, search } = CONDITIONS[query.conditions]!;
    for (const condition of where) books.andWhere(condition);
    return paginate(JOINS[query.join]!(books), query, SORT_KEYS, search);
  }

  @Get(':id')
  @UseInterceptors(ContentETagInterceptor)
  get(@Param() { id }: IdDto) {
    return this.database.getRepository(Book).findOneBy({ id });
  }

  @Post()
  create(@Body() { authorId }: BookDto) {
    return this.database.getRepository(Book).save({ name: 'new', authorId });
  }

  @Patch(':id')
  update(@Param() { id }: IdDto, @Body() changes: BookDto) {
    return this.database.transaction(async (manager) => {
      const book = await findForUpdate(manager, Book, { id, notFound: bookNotFound });
      return manager.save(manager.merge(Book, book, changes));
    });
  }

  @Delete(':id')
  async remove(@Param() { id }: IdDto) {
    await this.database.getRepository(Book).delete({ id });
  }

  @Delete('authors/:id')
  async removeAuthor(@Param() { id }: IdDto) {
    await this.database.getRepository(Author).delete({ id });
  }
}

@Module({ imports: [TypeOrmModule.forFeature([Author, Book, Chapter])], controllers: [BooksController] })
class BooksModule {}

let sut: TestApp;
beforeAll(async () => {
  sut = await createTestApp({ modules: [BooksModule] });
  await sut.database.query(TABLES);
});
afterEach(() => sut.database.query('TRUNCATE test_authors CASCADE'));
afterAll(() => sut.close());

async function insert(table: string, row: Record<string, string>): Promise<string> {
  const columns = Object.keys(row);
  const [{ id } = { id: '' }] = await sut.database.query<{ id: string }>(
    `INSERT INTO ${table} (${columns.join()}) VALUES (${columns.map((_, index) => `$${index + 1}`).join()}) RETURNING id`,
    Object.values(row),
  );
  return id;
}

/** Inserts five books, one of them not published, with three chapters each. */
const INSERT_BOOKS = `
  WITH books AS (
    INSERT INTO test_books (name, published, author_id)
    VALUES ('a', '2030-01-01', $1), ('b', '2030-01-02', $1), ('c', NULL, $1), ('d', '2030-01-02', $1), ('e', '2030-01-02', $1) RETURNING id)
  INSERT INTO test_chapters (name, book_id) SELECT 'chapter ' || number, id FROM books, generate_series(1, 3) AS number`;

async function listAll(query: Record<string, string>): Promise<Book[]> {
  const items: Book[] = [];
  for (let cursor: string | undefined; cursor !== null;) {
    const { body } = await sut.http
      .get('/test-books')
      .query({ ...query, limit: 2, ...(cursor && { cursor }) })
      .expect(200);
    items.push(...body.items);
    cursor = body.nextCursor;
  }
  return items;
}

const keyOf: Record<string, (book: Book) => string> = {
  author: ({ author }) => author!.name,
  name: ({ name }) => name,
  published: ({ published }) => published ?? '~',
};

function expectSorted(items: Book[], sort: string) {
  const keys = items.map(keyOf[sort.replace('-', '')]!);
  expect(keys).toEqual(sort.startsWith('-') ? keys.toSorted().toReversed() : keys.toSorted());
}

describe('paginate', () => {
  const sorts = ['name', '-name', 'published', '-published'];

  it.each(Object.keys(JOINS).flatMap((join) => sorts.map((sort) => ({ join, sort }))))(
    'returns every row once with $join, sorted by $sort',
    async ({ join, sort }) => {
      const author = await insert('test_authors', { name: 'an author' });
      await sut.database.query(INSERT_BOOKS, [author]);
      for (const conditions of ['one condition', 'two conditions']) {
        const items = await listAll({ join, sort, conditions });
        expectSorted(items, sort);
        expect(items.map(({ name }) => name).toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);
        if (join === 'a to-one relation')
          expect(items.map((book) => book.author?.name)).toEqual(Array(5).fill('an author'));
        if (join === 'a to-many relation')
          expect(items.map(({ chapters }) => chapters?.length)).toEqual([3, 3, 3, 3, 3]);
      }
    },
  );

  it.each(Object.keys(CONDITIONS).filter((name) => !name.includes('rare')))(
    'embeds the rows of a to-many relation that match: %s',
    async (conditions) => {
      await sut.database.query(INSERT_BOOKS, [await insert('test_authors', { name: 'an author' })]);
      const items = await listAll({ join: 'a to-many relation', conditions });
      const matching = conditions.includes('joined') ? ['chapter 2'] : ['chapter 1', 'chapter 2', 'chapter 3'];
      expect(items.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd', 'e']);
      for (const { chapters } of items) expect(chapters?.map(({ name }) => name).toSorted()).toEqual(matching);
    },
  );

  it.each(['author', '-author'].flatMap((sort) => ['one condition', 'two conditions'].map((each) => [sort, each])))(
    'sorts by a column of a to-one relation: %s, with %s',
    async (sort, conditions) => {
      for (const name of ['z', 'x', 'y'])
        await sut.database.query(INSERT_BOOKS, [await insert('test_authors', { name })]);
      for (const join of ['a to-one relation', 'a to-many relation of a relation']) {
        const items = await listAll({ join, sort, conditions });
        expectSorted(items, sort);
        expect(new Set(items.map(({ id }) => id)).size).toBe(15);
      }
    },
  );
});

describe('paginate with many rows', () => {
  /** The bound of paginate() is 10,000 rows, and 1,000 of a search in the sort order. */
  async function insertBooks(count: number) {
    await sut.database.query(
      `WITH books AS (
         INSERT INTO test_books (name, published, author_id)
         SELECT 'book ' || number, '2030-01-01'::date - number, $1 FROM generate_series(1, $2::int) AS number
         RETURNING id, name)
       INSERT INTO test_chapters (name, book_id) SELECT 'chapter of ' || name, id FROM books`,
      [await insert('test_authors', { name: 'an author' }), count],
    );
  }

  it.each(['a to-one relation', 'a to-many relation'])(
    'reads the index of a condition on the table of the list, with %s',
    async (join) => {
      await insertBooks(12_000);
      const items = await listAll({ join, sort: 'published', conditions: 'a rare condition' });
      expect(items.map(({ name }) => name)).toEqual(['book 1']);
    },
  );

  it.each(['a to-one relation', 'a to-many relation'])('reads few rows for a deep page, with %s', async (join) => {
    await insertBooks(40_000);
    await sut.database.query('ANALYZE test_books, test_chapters, test_authors');
    let path = `/test-books?${new URLSearchParams({ join, limit: '100' })}`;
    for (let page = 1; page <= 20; page++) {
      const { body } = await sut.http.get(path).expect(200);
      path = `/test-books?${new URLSearchParams({ join, limit: '100', cursor: body.nextCursor })}`;
    }
    const [statement] = await statementsOf(sut, path, 'test_books');
    const [{ 'QUERY PLAN': plans } = { 'QUERY PLAN': [] }] = await sut.app
      .get(DataSource)
      .query<{ 'QUERY PLAN': { Plan: PlanNode }[] }[]>(`EXPLAIN (ANALYZE, FORMAT JSON) ${statement?.text}`, [
        ...statement!.values,
      ]);
    const nodes = plans.flatMap(({ Plan }) => flatten(Plan));
    const rows = nodes.map((node) => Number(node['Actual Rows']) * Number(node['Actual Loops']));
    expect(Math.max(...rows)).toBeLessThan(500);
  });

  it('rejects a page that a bounded number of rows does not contain', async () => {
    await insertBooks(12_000);
    const query = { join: 'a to-many relation', sort: 'published', conditions: 'a rare condition on a joined table' };
    const { body } = await sut.http.get('/test-books').query(query).expect(422);
    expect(body.code).toBe('query_too_broad');
  });

  it('finds a search term in a joined table', async () => {
    await insertBooks(2_000);
    const items = await listAll({ join: 'a to-many relation', sort: '-published', conditions: 'a rare search' });
    expect(items.map(({ name }) => name)).toEqual(['book 1999']);
  });
});

describe('a foreign key', () => {
  const UNKNOWN_ID = '00000000-0000-4000-8000-000000000000';

  it('is a problem with a pointer for an unknown reference', async () => {
    const author = await insert('test_authors', { name: 'an author' });
    const book = await insert('test_books', { name: 'a book', author_id: author });
    const create = sut.http.post('/test-books').send({ authorId: UNKNOWN_ID });
    const update = sut.http.patch(`/test-books/${book}`).send({ authorId: UNKNOWN_ID });
    for (const request of [create, update]) {
      const { body } = await request.expect(422);
      expect(body).toMatchObject({ code: 'test_book_author_unknown', errors: [{ in: 'body', pointer: '#/authorId' }] });
    }
  });

  it.each([
    ['ON DELETE RESTRICT', 'test_author_in_use'],
    ['ON DELETE NO ACTION', 'test_book_in_use'],
  ])('is a problem without a pointer for the deletion of a referenced row: %s', async (_, code) => {
    const author = await insert('test_authors', { name: 'an author' });
    const book = await insert('test_books', { name: 'a book', author_id: author });
    await insert('test_chapters', { name: 'a chapter', book_id: book });
    const path = code === 'test_book_in_use' ? book : `authors/${author}`;
    const { body } = await sut.http.delete(`/test-books/${path}`).expect(409);
    expect(body.code).toBe(code);
    expect(body.errors).toBeUndefined();
  });
});

describe('findForUpdate', () => {
  it('locks a row with an eager relation, and saves a changed reference', async () => {
    const author = await insert('test_authors', { name: 'an author' });
    const other = await insert('test_authors', { name: 'another' });
    const book = await insert('test_books', { name: 'a book', author_id: author });
    await sut.http.patch(`/test-books/${book}`).send({ authorId: other }).expect(200);
    const { body } = await sut.http.get(`/test-books/${book}`).expect(200);
    expect(body).toMatchObject({ authorId: other, author: { name: 'another' }, version: 2 });
  });
});

describe('ContentETagInterceptor', () => {
  it('sends another ETag after a change of an embedded row', async () => {
    const author = await insert('test_authors', { name: 'an author' });
    const path = `/test-books/${await insert('test_books', { name: 'a book', author_id: author })}`;
    const { headers } = await sut.http.get(path).expect(200);
    expect(headers.etag).toMatch(/^W\/"/);
    await sut.http.get(path).set('If-None-Match', headers.etag!).expect(304);
    await sut.database.query(`UPDATE test_authors SET name = 'renamed'`);
    const { body } = await sut.http.get(path).set('If-None-Match', headers.etag!).expect(200);
    expect(body.author.name).toBe('renamed');
  });
});

describe('a calendar date', () => {
  it('stays text in raw queries', async () => {
    const query = `SELECT '2030-01-31'::date AS day`;
    expect(await sut.app.get(DataSource).query(query)).toEqual([{ day: '2030-01-31' }]);
  });
});
