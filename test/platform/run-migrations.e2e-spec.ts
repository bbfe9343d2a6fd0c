import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { QueryRunner } from 'typeorm';
import { loadEnv } from '../../src/platform/config/env.js';
import type { MigrationClass } from '../../src/platform/database/data-source.js';
import { runMigrations } from '../../src/platform/database/run-migrations.js';
import { createLogger } from '../../src/platform/logging/logger.js';
import { until } from '../support/until.js';
import { createTestDatabase, type TestDatabase } from '../support/test-database.js';

let database: TestDatabase;
let lines: string[];
beforeEach(async () => {
  database = await createTestDatabase({ empty: true });
  lines = [];
});
afterEach(() => database.drop());

/** Runs the migrations as migrate.js does. */
async function run(...migrations: MigrationClass[]): Promise<void> {
  const env = loadEnv({ NODE_ENV: 'production', DATABASE_URL: database.url });
  await runMigrations(env, migrations, await createLogger(env, { write: (line) => lines.push(line) }));
}

class CreateNotes1 {
  name = 'CreateNotes1000000000001';
  up = (runner: QueryRunner) => runner.query('CREATE TABLE notes (text text)');
  down = async () => undefined;
}

/** A second migration that runs the statement. */
const migrationOf = (statement: string, transaction?: boolean) =>
  class {
    name = 'Second1000000000002';
    transaction = transaction;
    up = (runner: QueryRunner) => runner.query(statement);
    down = async () => undefined;
  };

/** Delays the index that calls it, by 50 ms per row. */
const SLOW = `CREATE FUNCTION slow(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN $1; END'`;

const indexes = () => database.query(`SELECT indisvalid AS valid FROM pg_index WHERE indrelid = 'notes'::regclass`);

describe('runMigrations', () => {
  it.each([
    [
      'ALTER TABLE notes ADD "text" text',
      '42701',
      'column "text" of relation "notes" already exists',
      'drop the existing object',
    ],
    ['ALTER TABLE missing ADD a int', '42P01', 'relation "missing" does not exist', 'correct the name'],
    ['VACUUM notes', '25001', 'VACUUM cannot run inside a transaction block', '`transaction = false`'],
    ['INSERT INTO notes VALUE', '42601', 'syntax error', 'correct the cause'],
  ])('names the migration, the statement, the cause and the remedy: %s', async (statement, sqlState, cause, remedy) => {
    const failed = run(CreateNotes1, migrationOf(statement));
    await expect(failed).rejects.toMatchObject({
      name: 'StartupError',
      message: expect.stringMatching(
        /^Migration Second1000000000002 failed: .*Applied before it: CreateNotes1000000000001$/,
      ),
      fields: { migration: 'Second1000000000002', statement, sqlState },
    });
    const { message } = (await failed.catch((error: Error) => error)) as Error;
    for (const part of [statement, `SQLSTATE ${sqlState}`, cause, remedy]) expect(message).toContain(part);
    expect(await database.query('SELECT name FROM migrations')).toEqual([{ name: 'CreateNotes1000000000001' }]);
  });

  it('names the violated rule when a deferred constraint fails the commit', async () => {
    const statement = `ALTER TABLE notes ADD UNIQUE (text) DEFERRABLE INITIALLY DEFERRED; INSERT INTO notes VALUES ('a'), ('a')`;
    await expect(run(CreateNotes1, migrationOf(statement))).rejects.toMatchObject({ fields: { sqlState: '23505' } });
  });

  it('limits the wait for a lock in a migration with a transaction', async () => {
    class ReadTimeout {
      name = 'ReadTimeout1000000000002';
      up = (runner: QueryRunner) => runner.query(`INSERT INTO notes VALUES (current_setting('lock_timeout'))`);
      down = async () => undefined;
    }
    await run(CreateNotes1, ReadTimeout);
    expect(await database.query('SELECT text FROM notes')).toEqual([{ text: '500ms' }]);
    // Requests that wait behind the migration do not fail before it.
    expect(loadEnv({ DATABASE_URL: database.url }).DATABASE_POOL_ACQUIRE_TIMEOUT_MS).toBeGreaterThan(500);
  });

  it('repeats a migration that did not get its lock in time', async () => {
    await run(CreateNotes1);
    const lock = await database.hold('LOCK TABLE notes');
    const migrated = run(CreateNotes1, migrationOf('ALTER TABLE notes ADD COLUMN done boolean'));
    await until(() => lines.some((line) => line.includes('Migration Second1000000000002 waited 500ms for a lock')));
    await lock.release();
    await migrated;
    expect(lines.at(-1)).toContain('Applied Second1000000000002');
  });

  it('waits for the lock of an autovacuum without blocking requests', async () => {
    await run(CreateNotes1);
    const vacuum = await database.hold('LOCK TABLE notes IN SHARE UPDATE EXCLUSIVE MODE');
    const migrated = run(CreateNotes1, migrationOf('ALTER TABLE notes ADD COLUMN done boolean'));
    const isWaiting = `SELECT FROM pg_locks WHERE relation = 'notes'::regclass AND mode = 'ShareUpdateExclusiveLock' AND NOT granted`;
    await until(async () => (await database.query(isWaiting)).length > 0);
    await database.query(`SET LOCAL lock_timeout = '1s'; INSERT INTO notes VALUES ('a')`);
    await vacuum.release(); // PostgreSQL cancels an autovacuum that blocks another session
    await migrated;
    expect(lines.at(-1)).toContain('Applied Second1000000000002');
  });

  it('reports a migration that never gets its lock', async () => {
    await run(CreateNotes1);
    const lock = await database.hold('LOCK TABLE notes');
    const migrated = run(CreateNotes1, migrationOf('ALTER TABLE notes ADD COLUMN done boolean'));
    await expect(migrated).rejects.toMatchObject({ fields: { sqlState: '55P03' } });
    await lock.release();
  });

  it('reports a migration that fails in its code, with the cause', async () => {
    class Broken {
      name = 'Broken1000000000002';
      up = async () => {
        throw new TypeError('no such helper');
      };
      down = async () => undefined;
    }
    await expect(run(CreateNotes1, Broken)).rejects.toMatchObject({
      message: expect.stringContaining('Migration Broken1000000000002 failed: no such helper'),
      cause: expect.any(TypeError),
    });
  });

  it('waits for another process, and both finish, also with CREATE INDEX CONCURRENTLY', async () => {
    await run(CreateNotes1);
    await database.query(`INSERT INTO notes SELECT 'a' FROM generate_series(1, 20)`);
    // Long enough that the second process waits while the index is created.
    await database.query(SLOW);
    const slow = migrationOf('CREATE INDEX CONCURRENTLY ON notes (slow(text))', false);
    await Promise.all([run(CreateNotes1, slow), run(CreateNotes1, slow)]);
    const messages = lines.map((line) => JSON.parse(line).message as string);
    expect(messages.filter((message) => message.startsWith('Applied Second'))).toHaveLength(1);
    expect(messages).toContainEqual(
      expect.stringMatching(/^Another process runs migrations: waiting for its lock for 0 s/),
    );
    expect(
      await database.query(
        `SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      ),
    ).toEqual([]);
  });

  it('accepts writes while CREATE INDEX CONCURRENTLY builds an index', async () => {
    await run(CreateNotes1);
    await database.query(`INSERT INTO notes SELECT 'a' FROM generate_series(1, 20)`);
    await database.query(SLOW);
    // Shorter than the build. The default of a database applies to migrations through a pooler only.
    if (!process.env.TEST_POOLER) {
      await database.query(
        `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout = ''1s''', current_database()); END $$`,
      );
    }
    const built = run(CreateNotes1, migrationOf('CREATE INDEX CONCURRENTLY notes_slow ON notes (slow(text))', false));
    let writes = 0;
    const isBuilding = async () => {
      const [row] = await database.query(`SELECT FROM pg_stat_progress_create_index WHERE relid = 'notes'::regclass`);
      return row !== undefined;
    };
    await until(isBuilding);
    while (await isBuilding()) {
      // The index needs 50 ms for each new row, so faster writes would extend the build without limit.
      await database.query(`INSERT INTO notes SELECT '${'b'.repeat(++writes)}' FROM pg_sleep(0.05)`);
      await database.query(`UPDATE notes SET text = 'c' WHERE text = 'b'`);
    }
    await built;
    expect(writes).toBeGreaterThan(3);
    expect(await indexes()).toEqual([{ valid: true }]);
  });

  it('drops the invalid index of a failed CREATE INDEX CONCURRENTLY and builds it again', async () => {
    await run(CreateNotes1);
    await database.query(`INSERT INTO notes VALUES ('a'), ('a')`);
    const unique = migrationOf('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS notes_text ON notes (text)', false);
    await expect(run(CreateNotes1, unique)).rejects.toMatchObject({ fields: { sqlState: '23505' } });
    expect(await indexes()).toEqual([{ valid: false }]);

    await database.query('DELETE FROM notes');
    await run(CreateNotes1, unique);
    expect(await indexes()).toEqual([{ valid: true }]);
    expect(lines.join()).toContain('Dropped the invalid index notes_text');
  });

  it('names the role that must create an extension', async () => {
    const failed = run(CreateNotes1, migrationOf('CREATE EXTENSION IF NOT EXISTS no_such'));
    await expect(failed).rejects.toMatchObject({
      message: expect.stringContaining('run CREATE EXTENSION no_such as a role with CREATE on the database'),
    });
  });
});
