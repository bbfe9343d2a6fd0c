import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource, getMetadataArgsStorage } from 'typeorm';
import '../../src/app.module.js';
import { migrations } from '../../src/migrations/index.js';
import { loadEnv } from '../../src/platform/config/env.js';
import { dataSourceOptions } from '../../src/platform/database/data-source.js';
import { problemCatalog } from '../../src/platform/problems/problem.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;
let sut: DataSource;
beforeEach(async () => {
  database = await createTestDatabase({ empty: true });
  const entities = getMetadataArgsStorage().tables.map(({ target }) => target as new () => unknown);
  sut = new DataSource({ ...dataSourceOptions(loadEnv({ DATABASE_URL: database.url }), migrations), entities });
  await sut.initialize();
});
afterEach(async () => {
  await sut.destroy();
  await database.drop();
});

/** Every column, constraint and index of the schema. */
const schema = () =>
  database.query(
    `SELECT table_name AS "table", column_name AS name, data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') AS definition
       FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'migrations'
      UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace AND conrelid <> 'migrations'::regclass
      UNION ALL SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'migrations'
      ORDER BY 1, 2, 3`,
  );

describe('the migrations', () => {
  it('create the schema that the entities describe', async () => {
    await sut.runMigrations();
    const { upQueries } = await sut.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });

  it('can each be reverted and run again', async () => {
    await sut.runMigrations();
    const whole = await schema();
    expect(whole.length).toBeGreaterThan(0);
    for (const _ of migrations) await sut.undoLastMigration();
    expect(await schema()).toEqual([]);
    await sut.runMigrations();
    expect(await schema()).toEqual(whole);
  });

  it('are in the order of their timestamps', () => {
    const timestamps = sut.migrations.map(({ name }) => String(name).slice(-13));
    expect(timestamps).toEqual(timestamps.toSorted());
  });

  it('create no constraint without a problem for its violation', async () => {
    await sut.runMigrations();
    const constraints = await database.query<{ conname: string }>(
      `SELECT conname FROM pg_constraint
        WHERE contype IN ('u', 'c', 'f', 'x') AND connamespace = 'public'::regnamespace AND conrelid <> 'migrations'::regclass`,
    );
    const mapped = [...problemCatalog.values()].flatMap(({ constraint }) => constraint?.name ?? []);
    expect(mapped.toSorted()).toEqual(constraints.map(({ conname }) => conname).toSorted());
  });
});
