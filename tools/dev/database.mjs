// The database commands: npm run db:migrate, db:revert, db:check, db:generate -- NAME
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { loadEnvFile } from 'node:process';
import { parseArgs } from 'node:util';
import pg from 'pg';
import prettier from 'prettier';
import { registerMigration } from '../generators/migrations.mjs';
import { getMetadataArgsStorage, DataSource } from 'typeorm';
import { compileIfStale } from '../build/build.mjs';
import { withDatabase } from './postgres.mjs';

const MIGRATIONS = 'src/migrations';
const USAGE = 'Usage: node tools/dev/database.mjs migrate | revert | check | generate NAME | drop NAME TABLE…';

const commands = {
  /** Applies what is pending. */
  migrate: () => withDatabase(migrate),

  /** Undoes the migration that ran last, in the development database or that of DATABASE_URL. */
  revert: () =>
    withDatabase(async (url) => {
      await withDataSource(url, (dataSource) => dataSource.undoLastMigration());
      console.log('Reverted the last migration.');
    }),

  /** Fails when the entities ask for another schema than the migrations make. */
  check: () =>
    withScratchDatabase(async (dataSource) => {
      const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
      if (upQueries.length === 0) return console.log('The migrations make what the entities ask for.');
      console.error('The entities ask for more than the migrations make; run npm run db:generate -- NAME for:');
      for (const { query } of upQueries) console.error(`  ${query}`);
      process.exitCode = 1;
    }),

  /** Writes the migration from what the migrations make to what the entities ask for, and registers it. */
  async generate(name) {
    if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name ?? '')) {
      throw new Error('A migration needs a name of small letters, digits and -: npm run db:generate -- add-colour');
    }
    await withScratchDatabase(async (dataSource) => {
      const { upQueries, downQueries } = await dataSource.driver.createSchemaBuilder().log();
      if (upQueries.length === 0) throw new Error('There is nothing to do: the entities match the migrations.');
      const file = await writeMigration(name, upQueries, downQueries.toReversed());
      console.log(`Wrote ${file}. Read it: a renamed column shows as one dropped and one added.`);
    });
  },

  /** Writes the migration that drops tables, and makes them again, empty, when it is undone. For resource:remove. */
  async drop(name, ...tables) {
    await withScratchDatabase(async (dataSource) => {
      const pending = await dataSource.driver.createSchemaBuilder().log();
      if (pending.upQueries.length > 0)
        throw new Error('The entities do not match the migrations. Run: npm run db:check');
      const types = await enumTypesOf(dataSource, tables);
      const drop = [`DROP TABLE ${tables.map(quoted).join(', ')}`, ...types.map((type) => `DROP TYPE ${quoted(type)}`)];
      for (const query of drop) await dataSource.query(query);
      const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
      console.log(
        `Wrote ${await writeMigration(
          name,
          drop.map((query) => ({ query })),
          upQueries,
        )}`,
      );
    });
  },
};

const quoted = (name) => `"${name}"`;

/** The enums of the tables' columns, which stay behind when a table is dropped. */
async function enumTypesOf(dataSource, tables) {
  const rows = await dataSource.query(
    `SELECT DISTINCT typname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
      WHERE typtype = 'e' AND attrelid = ANY ($1::regclass[]) ORDER BY typname`,
    [tables.map(quoted)],
  );
  return rows.map(({ typname }) => typname);
}

async function migrate(url) {
  const { status } = spawnSync(process.execPath, ['build/migrate.js'], {
    env: { ...process.env, DATABASE_URL: url },
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('The migrations failed.');
}

/** A database of its own beside the given one, migrated, and gone afterwards. */
function withScratchDatabase(run) {
  return withDatabase(async (server) => {
    const name = `scratch_${randomBytes(6).toString('hex')}`;
    const url = Object.assign(new URL(server), { pathname: `/${name}` }).href;
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    await client.query(`CREATE DATABASE ${name}`);
    try {
      await migrate(url);
      await withDataSource(url, run);
    } finally {
      await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await client.end();
    }
  });
}

/** Connects with every entity that the application has. */
async function withDataSource(url, run) {
  await import('../../build/app.module.js');
  const { loadEnv } = await import('../../build/platform/config/env.js');
  const { dataSourceOptions } = await import('../../build/platform/database/data-source.js');
  const { migrations } = await import('../../build/migrations/index.js');
  const entities = getMetadataArgsStorage().tables.map(({ target }) => target);
  const dataSource = new DataSource({ ...dataSourceOptions(loadEnv({ DATABASE_URL: url }), migrations), entities });
  await dataSource.initialize();
  try {
    return await run(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

async function writeMigration(name, up, down) {
  const timestamp = Date.now();
  const words = name.split('-').map((word) => word[0].toUpperCase() + word.slice(1));
  const className = `${words.join('')}${timestamp}`;
  const statements = (queries) =>
    queries.map(({ query }) => `await queryRunner.query(\`${query.replaceAll(/[\\`]|\$\{/g, '\\$&')}\`);`).join('\n');
  const file = `${MIGRATIONS}/${timestamp}-${name}.ts`;
  await write(
    file,
    `import type { MigrationInterface, QueryRunner } from 'typeorm';

    export class ${className} implements MigrationInterface {
      name = '${className}';

      async up(queryRunner: QueryRunner): Promise<void> { ${statements(up)} }

      async down(queryRunner: QueryRunner): Promise<void> { ${statements(down)} }
    }`,
  );
  const index = `${MIGRATIONS}/index.ts`;
  await write(index, registerMigration(readFileSync(index, 'utf8'), className, `${timestamp}-${name}`));
  return file;
}

async function write(file, text) {
  const options = await prettier.resolveConfig(file);
  writeFileSync(file, await prettier.format(text, { ...options, filepath: file }));
}

const { positionals } = parseArgs({ allowPositionals: true });
const [command, ...operands] = positionals;
try {
  loadEnvFile();
} catch {
  // there need not be a .env
}
try {
  if (!Object.hasOwn(commands, command)) throw new Error(USAGE);
  compileIfStale();
  await commands[command](...operands);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
