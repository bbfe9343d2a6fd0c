import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import {
  AfterLoad,
  BeforeInsert,
  ChildEntity,
  Column,
  CreateDateColumn,
  DataSource,
  DeleteDateColumn,
  Entity,
  In,
  InsertQueryBuilder,
  JoinColumn,
  ManyToOne,
  Not,
  PrimaryGeneratedColumn,
  QueryFailedError,
  type Relation,
  TableInheritance,
  VersionColumn,
} from 'typeorm';
import { loadEnv } from '../../src/platform/config/env.js';
import { dataSourceOptions } from '../../src/platform/database/data-source.js';
import { findById } from '../../src/platform/database/find-by-id.js';
import { getRows } from '../../src/platform/database/get-rows.js';
import { insertRow } from '../../src/platform/database/insert-row.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/until.js';

const UNKNOWN = '00000000-0000-4000-8000-000000000000';

class Address {
  @Column({ type: 'text', nullable: true })
  city!: string | null;
}

@Entity('every_type')
class EveryType {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column({ type: 'text', nullable: true })
  text!: string | null;

  @Column({ type: 'bigint' })
  big!: string;

  @Column({ type: 'numeric', transformer: { to: (value: number) => value, from: Number } })
  decimal!: number;

  @Column({ type: 'date' })
  day!: string;

  @Column({ type: 'timestamptz', precision: 3 })
  instant!: Date;

  @Column({ type: 'jsonb' })
  json!: unknown;

  @Column({ type: 'text', array: true })
  tags!: string[];

  @Column({ type: 'simple-array' })
  words!: string[];

  @Column({ type: 'enum', enum: ['draft', 'sent'] })
  status!: string;

  @Column({ type: 'text', select: false, default: 'secret' })
  secret!: string;

  @Column(() => Address)
  address!: Address;

  @Column({ type: 'numeric', default: 0.5, transformer: { to: (value: number) => value, from: Number } })
  rate!: number;

  @Column({ name: 'mixed Case', type: 'integer' })
  quoted!: number;

  @DeleteDateColumn()
  deletedAt!: Date | null;

  @VersionColumn()
  version!: number;

  @CreateDateColumn({ type: 'timestamptz', precision: 3 })
  createdAt!: Date;
}

@Entity('with_owner')
class WithOwner {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @ManyToOne(() => EveryType, { eager: true })
  @JoinColumn()
  owner!: Relation<EveryType>;
}

@Entity('with_listener')
class WithListener {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column({ type: 'text', default: 'from the database' })
  source!: string;

  loaded = false;

  @AfterLoad()
  load(): void {
    this.loaded = true;
  }

  @BeforeInsert()
  setSource(): void {
    this.source = 'from a listener';
  }
}

/** Sets a value that its column could not convert before. */
@Entity('with_slug')
class WithSlug {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column({ type: 'text', transformer: { to: (value: string) => value.trim(), from: String } })
  slug!: string;

  @BeforeInsert()
  setSlug(): void {
    this.slug = ' a ';
  }
}

@Entity('with_type')
@TableInheritance({ column: 'type' })
class WithType {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column({ type: 'text' })
  type!: string;
}

@ChildEntity('student')
class Student extends WithType {}

@Entity('with_increment')
class WithIncrement {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column({ type: 'text', nullable: true })
  text!: string | null;
}

let database: TestDatabase;
let proxy: TcpProxy;
let dataSource: DataSource;
let row: EveryType;

const VALUES = {
  big: '9007199254740993',
  decimal: 12.5,
  day: '2026-02-28',
  instant: new Date('2026-03-29T01:30:00.123Z'),
  json: { nested: [1, null, 'two'] },
  tags: ['a', 'b,c'],
  words: ['one', 'two'],
  status: 'sent',
  address: { city: 'Bern' },
  quoted: 7,
};

beforeAll(async () => {
  database = await createTestDatabase({ empty: true });
  proxy = await startTcpProxy(database.url);
  const options = dataSourceOptions(loadEnv({ DATABASE_URL: proxy.url }));
  const entities = [EveryType, WithOwner, WithListener, WithSlug, WithType, Student, WithIncrement];
  dataSource = new DataSource({ ...options, entities });
  await dataSource.initialize();
  await dataSource.synchronize();
  row = await dataSource.getRepository(EveryType).save({ ...VALUES });
});
afterAll(async () => {
  await dataSource.destroy();
  await proxy.stop();
  await database.drop();
});

describe('findById', () => {
  it('returns the same row as findOneBy, for every column type', async () => {
    const rows = dataSource.getRepository(EveryType);
    const found = await findById(rows, row.id);
    expect(found).toBeInstanceOf(EveryType);
    expect(found).toStrictEqual(await rows.findOneBy({ id: row.id }));
    expect(found).toMatchObject({ big: '9007199254740993', decimal: 12.5, day: '2026-02-28', text: null });
  });

  it('returns null for an unknown id and for a soft-deleted row', async () => {
    const rows = dataSource.getRepository(EveryType);
    expect(await findById(rows, UNKNOWN)).toBeNull();
    const { id: _, ...copy } = row;
    const { id } = await rows.save(copy);
    await rows.softDelete(id);
    expect(await findById(rows, id)).toBeNull();
  });

  it('loads eager relations and calls listeners', async () => {
    const owned = await dataSource.getRepository(WithOwner).save({ owner: row });
    expect(await findById(dataSource.getRepository(WithOwner), owned.id)).toMatchObject({ owner: { id: row.id } });
    const { id } = await dataSource.getRepository(WithListener).save({});
    expect(await findById(dataSource.getRepository(WithListener), id)).toMatchObject({ loaded: true });
  });

  it('reads in the transaction of its repository', async () => {
    await dataSource.transaction(async (manager) => {
      const { id } = await manager.save(WithOwner, { owner: row });
      const rows = manager.getRepository(EveryType);
      await rows.update(row.id, { text: 'changed' });
      expect(await findById(rows, row.id)).toMatchObject({ text: 'changed' });
      expect(await findById(manager.getRepository(WithOwner), id)).not.toBeNull();
    });
  });
});

describe('the statement of findById', () => {
  it('is passed to subscribers', async () => {
    const statements: string[] = [];
    dataSource.subscribers.push({ beforeQuery: ({ query }) => void statements.push(query) });
    await findById(dataSource.getRepository(EveryType), row.id);
    dataSource.subscribers.pop();
    expect(statements).toEqual([expect.stringMatching(/^SELECT .* FROM "every_type"/)]);
  });
});

describe('a failure of findById', () => {
  it('is that of a repository, and the connection pool remains usable', async () => {
    const rows = dataSource.getRepository(EveryType);
    const error = await findById(rows, 'no uuid').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(QueryFailedError);
    expect(error).toMatchObject({ code: '22P02' });

    const table = await database.hold('LOCK TABLE every_type');
    const reading = findById(rows, row.id).catch((thrown: unknown) => thrown);
    await until(async () => (await database.countLockWaits()) === 1);
    proxy.close();
    expect(await reading).toBeInstanceOf(QueryFailedError);
    proxy.open();
    await table.release();
    expect(await findById(rows, row.id)).toMatchObject({ id: row.id });
  });
});

describe('getRows', () => {
  const query = () => dataSource.getRepository(EveryType).createQueryBuilder('every').orderBy('every.id');

  it('returns the same rows as getMany, for every column type', async () => {
    const found = await getRows(query());
    expect(found).toStrictEqual(await query().getMany());
    expect(found.map(({ id }) => id)).toEqual([row.id]); // the other row is soft-deleted
  });

  it.each<[string, (rows: ReturnType<typeof query>) => ReturnType<typeof query>]>([
    ['selected columns', (rows) => rows.select(['every.id', 'every.text'])],
    ['a hidden column', (rows) => rows.addSelect('every.secret')],
    ['a long alias', () => dataSource.getRepository(EveryType).createQueryBuilder('every'.padEnd(60, '_'))],
  ])('supports %s', async (_, change) => {
    const expected = await change(query()).getMany();
    expect(expected).toHaveLength(1);
    expect(await getRows(change(query()))).toStrictEqual(expected);
  });

  it('distinguishes queries by every option and value', async () => {
    const changes: ((rows: ReturnType<typeof query>) => ReturnType<typeof query>)[] = [
      (rows) => rows,
      (rows) => rows.withDeleted(),
      (rows) => rows.withDeleted().orderBy('every.id', 'DESC'),
      (rows) => rows.withDeleted().limit(1),
      (rows) => rows.withDeleted().offset(1),
      (rows) => rows.withDeleted().where('every.deletedAt IS NOT NULL'),
      (rows) => rows.where('every.quoted = :quoted', { quoted: 7 }),
      (rows) => rows.where('every.quoted = :quoted', { quoted: 8 }),
      (rows) => rows.where('every.quoted IN (:...quoted)', { quoted: [8, 9] }),
      (rows) => rows.where('every.quoted IN (:...quoted)', { quoted: [5, 6, 7] }),
      (rows) => rows.where({ quoted: In([7]) }),
      (rows) => rows.where({ quoted: Not(7) }),
    ];
    const expected = await Promise.all(changes.map((change) => change(query()).getMany()));
    expect(new Set(expected.map(({ length }) => length))).toEqual(new Set([0, 1, 2]));
    for (const _ of ['built', 'known'])
      expect(await Promise.all(changes.map((change) => getRows(change(query()))))).toStrictEqual(expected);
  });

  it('builds the SQL once, until 200 other queries have followed', async () => {
    const countBuilds = async (limit: number) => {
      const rows = query().limit(limit);
      const build = jest.spyOn(rows, 'getQuery');
      await getRows(rows);
      return build.mock.calls.length;
    };
    for (let limit = 1_000; limit <= 1_200; limit++) expect(await countBuilds(limit)).toBe(1);
    expect(await countBuilds(1_001)).toBe(0);
    expect(await countBuilds(1_000)).toBe(1);
  });

  it('reads in the transaction of its query', async () => {
    await dataSource.transaction(async (manager) => {
      const rows = manager.getRepository(EveryType);
      await rows.update(row.id, { text: 'changed in a list' });
      expect(await getRows(rows.createQueryBuilder('every'))).toMatchObject([{ text: 'changed in a list' }]);
    });
  });

  it('uses the query cache, if there is one', async () => {
    const cached = await new DataSource({ ...dataSource.options, cache: true }).initialize();
    await cached.synchronize();
    const rows = () => getRows(cached.getRepository(EveryType).createQueryBuilder('every').cache(60_000));
    const before = await rows();
    await cached.query(`UPDATE every_type SET text = 'after the first list'`);
    expect((await rows()).map(({ text }) => text)).toEqual(before.map(({ text }) => text));
    await cached.destroy();
  });

  it('loads the ids of relations', async () => {
    const rows = () =>
      dataSource
        .getRepository(WithOwner)
        .createQueryBuilder('owned')
        .loadRelationIdAndMap('owned.ownerId', 'owned.owner');
    expect(await getRows(rows())).toStrictEqual(await rows().getMany());
  });
});

describe('insertRow', () => {
  const rows = () => dataSource.getRepository(EveryType);
  const insert = async (values: Partial<EveryType>) => {
    const expected = rows().create(values);
    await rows().insert(expected as never); // its type does not allow unknown
    return expected;
  };
  afterEach(async () => {
    jest.restoreAllMocks();
    await rows().delete({ id: Not(row.id) });
  });

  it('returns what a read returns, and stores what insert() stores, for every column type', async () => {
    const { secret, ...inserted } = await insertRow(rows(), VALUES);
    expect(secret).toBe('secret');
    const stored = await rows().findOneByOrFail({ id: inserted.id });
    expect(inserted).toEqual({ ...stored, text: undefined }); // not given, without a default
    const expected = await rows().findOneByOrFail({ id: (await insert(VALUES)).id });
    expect({ ...stored, id: 0, createdAt: 0 }).toStrictEqual({ ...expected, id: 0, createdAt: 0 });
  });

  it.each<[string, Partial<EveryType>]>([
    ['null', { text: null, address: { city: null } }],
    ['values instead of generated ones', { id: UNKNOWN, version: 7, createdAt: new Date(0), secret: 'given' }],
    ['an empty text, 0 and an empty array', { text: '', decimal: 0, quoted: 0, tags: [], words: [] }],
    ['undefined', { text: undefined, createdAt: undefined }],
    ['SQL', { text: (() => `'a' || 'b'`) as never }],
    ['text where SQL was', { text: 'a' }],
  ])('inserts %s like insert()', async (_, changes) => {
    const values = { ...VALUES, ...changes };
    const { id, createdAt } = await insertRow(rows(), values);
    const stored = await rows().findOneByOrFail({ id });
    await rows().delete(id);
    const expected = await rows().findOneByOrFail({ id: (await insert(values)).id });
    expect({ ...stored, id: 0, createdAt: 0 }).toStrictEqual({ ...expected, id: 0, createdAt: 0 });
    expect(stored.createdAt).toEqual(createdAt);
  });

  it('builds the SQL once per set of given columns', async () => {
    const build = jest.spyOn(InsertQueryBuilder.prototype, 'getQuery');
    const countBuilds = async (values: Partial<EveryType>) => {
      build.mockClear();
      await insertRow(rows(), { ...VALUES, ...values });
      return build.mock.calls.length;
    };
    expect(await countBuilds({ deletedAt: new Date(0) })).toBe(1);
    expect(await countBuilds({ deletedAt: new Date(1), quoted: 8 })).toBe(0);
    expect(await countBuilds({ deletedAt: new Date(1), version: 2 })).toBe(1);
  });

  it('inserts the reference of a relation', async () => {
    const owners = dataSource.getRepository(WithOwner);
    const { id } = await insertRow(owners, { owner: { id: row.id } });
    expect(await owners.findOneBy({ id })).toMatchObject({ owner: { id: row.id } });
    await owners.delete(id);
  });

  it('returns a generated number, and ignores a given one, as insert() does', async () => {
    const numbered = dataSource.getRepository(WithIncrement);
    expect(await insertRow(numbered, { text: 'a' })).toEqual({ id: 1, text: 'a' });
    expect(await insertRow(numbered, { id: 9, text: 'b' })).toMatchObject({ id: 2 });
    expect(await numbered.find({ order: { id: 'ASC' } })).toMatchObject([{ text: 'a' }, { text: 'b' }]);
  });

  it('calls listeners before it reads the values', async () => {
    const listening = dataSource.getRepository(WithListener);
    const { id } = await insertRow(listening, {});
    expect(await listening.findOneBy({ id })).toMatchObject({ source: 'from a listener' });
    expect(await insertRow(dataSource.getRepository(WithSlug), {})).toMatchObject({ id: expect.any(String) });
  });

  it('calls subscribers, also those that are registered later', async () => {
    await insertRow(rows(), VALUES);
    const afterInsert = jest.fn<() => void>();
    dataSource.subscribers.push({ afterInsert });
    try {
      await insertRow(rows(), VALUES);
    } finally {
      dataSource.subscribers.pop();
    }
    expect(afterInsert).toHaveBeenCalledTimes(1);
  });

  it('stores the type of the entity, regardless of the given one', async () => {
    const students = dataSource.getRepository(Student);
    for (const type of ['student', 'teacher']) await insertRow(students, { type });
    expect(await students.find()).toMatchObject([{ type: 'student' }, { type: 'student' }]);
  });

  it('keeps the given values if a trigger of the table prevents the insert', async () => {
    await database.query(`
      CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER skip BEFORE INSERT ON every_type FOR EACH ROW EXECUTE FUNCTION skip()`);
    try {
      expect(await insertRow(rows(), { ...VALUES, id: UNKNOWN })).toMatchObject({ ...VALUES, id: UNKNOWN });
    } finally {
      await database.query('DROP TRIGGER skip ON every_type');
    }
    expect(await findById(rows(), UNKNOWN)).toBeNull();
  });

  it('inserts in the transaction of its repository', async () => {
    const inserting = dataSource.transaction(async (manager) => {
      await insertRow(manager.getRepository(EveryType), { ...VALUES, id: UNKNOWN });
      throw new Error('rolled back');
    });
    await expect(inserting).rejects.toThrow('rolled back');
    expect(await findById(rows(), UNKNOWN)).toBeNull();
  });

  it('fails like a repository', async () => {
    const error = await insertRow(rows(), { ...VALUES, id: row.id }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(QueryFailedError);
    expect(error).toMatchObject({ code: '23505', constraint: expect.any(String) });
  });
});
