import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource, getMetadataArgsStorage } from 'typeorm';
import '../../src/app.module.js';
import { migrations } from '../../src/migrations/index.js';
import { loadDatabaseEnv } from '../../src/platform/config/env.js';
import { dataSourceOptions } from '../../src/platform/database/data-source.js';
import { problemCatalog } from '../../src/platform/problems/problem.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;
let sut: DataSource;
beforeEach(async () => {
  database = await createTestDatabase({ empty: true });
  const entities = getMetadataArgsStorage().tables.map(({ target }) => target as new () => unknown);
  sut = new DataSource({ ...dataSourceOptions(loadDatabaseEnv({ DATABASE_URL: database.url }), migrations), entities });
  await sut.initialize();
});
afterEach(async () => {
  await sut.destroy();
  await database.drop();
});

/** The tables of TypeORM itself. */
const BOOKKEEPING = `'migrations', 'typeorm_metadata'`;

/** Every column, constraint, index, trigger and function of the schema, without those of extensions. */
const schema = () =>
  database.query(
    `SELECT table_name AS "table", column_name AS name, data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') AS definition
       FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT IN (${BOOKKEEPING})
      UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT IN (${BOOKKEEPING})
      UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT IN (${BOOKKEEPING})
      UNION ALL SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
      UNION ALL SELECT NULL, proname, prosrc FROM pg_proc
      WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
      ORDER BY 1, 2, 3`,
  );

/** The foreign keys of nested rows, which no request violates: their parent is locked. */
const keysOfNestedRows = () =>
  sut.entityMetadatas
    .flatMap(({ oneToManyRelations }) => oneToManyRelations)
    .flatMap(({ inverseRelation }) => inverseRelation?.foreignKeys.map(({ name }) => name) ?? []);

describe('the migrations', () => {
  it('create the schema that the entities describe', async () => {
    await sut.runMigrations({ transaction: 'each' });
    const { upQueries } = await sut.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });

  it('can each be reverted and run again', async () => {
    await sut.runMigrations({ transaction: 'each' });
    const whole = await schema();
    expect(whole.length).toBeGreaterThan(0);
    for (const _ of migrations) await sut.undoLastMigration({ transaction: 'each' });
    expect(await schema()).toEqual([]);
    await sut.runMigrations({ transaction: 'each' });
    expect(await schema()).toEqual(whole);
  });

  it('are in the order of their timestamps', () => {
    const timestamps = sut.migrations.map(({ name }) => String(name).slice(-13));
    expect(timestamps).toEqual(timestamps.toSorted());
  });

  it('create no constraint without a problem for its violation', async () => {
    await sut.runMigrations({ transaction: 'each' });
    const constraints = await database.query<{ conname: string }>(
      `SELECT conname FROM pg_constraint
        WHERE contype IN ('u', 'c', 'f', 'x') AND connamespace = 'public'::regnamespace AND conrelid <> 'migrations'::regclass`,
    );
    const mapped = [...problemCatalog.values()].flatMap(({ constraint }) => constraint?.name ?? []);
    const names = constraints.map(({ conname }) => conname);
    expect(mapped.filter((name) => !names.includes(name))).toEqual([]);
    expect(names.filter((name) => ![...mapped, ...keysOfNestedRows()].includes(name))).toEqual([]);
  });

  it('create no foreign key that rejects a deletion without a problem for it', async () => {
    await sut.runMigrations({ transaction: 'each' });
    const rejecting = await database.query<{ conname: string }>(
      `SELECT conname FROM pg_constraint
        WHERE contype = 'f' AND confdeltype IN ('a', 'r') AND connamespace = 'public'::regnamespace`,
    );
    const mapped = [...problemCatalog.values()].flatMap(({ constraint }) => (constraint?.inUse ? constraint.name : []));
    expect(mapped.toSorted()).toEqual(rejecting.map(({ conname }) => conname).toSorted());
  });
});
