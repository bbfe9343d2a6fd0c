// `npm run db:migrate`, `db:revert`, `db:check` and `db:generate -- NAME`.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import prettier from 'prettier';
import { getMetadataArgsStorage, DataSource } from 'typeorm';
import { compileIfStale } from '../build/build.mjs';
import { runCommand, runNode, UsageError } from '../cli.mjs';
import { registerMigration } from '../generators/migrations.mjs';
import { withDatabase } from './postgres.mjs';

const MIGRATIONS = 'src/migrations';

const COMMANDS = {
  migrate: { does: 'Applies the pending migrations.', run: () => withDatabase(migrate) },
  revert: {
    does: 'Reverts the last migration.',
    run: () =>
      withDatabase(async (url) => {
        await withDataSource(url, (dataSource) => dataSource.undoLastMigration());
        console.log('Reverted the last migration.');
      }),
  },
  check: { does: 'Fails if the migrations do not create the schema of the entities.', run: check },
  generate: {
    operands: ' -- NAME',
    does: 'Writes the migration from the schema of the migrations to that of the entities.',
    run: generate,
  },
};

if (import.meta.main) {
  const [name, ...args] = process.argv.slice(2);
  const { operands = '', does, run } = COMMANDS[name];
  const usage = `Usage: npm run db:${name}${operands}

${does}
Uses the database in DATABASE_URL (a file .env is read), or else the embedded one of npm start.

Exit codes: 0 on success, 1 on failure.`;
  const loadAndRun = async (_, [operand]) => {
    if (existsSync('.env')) process.loadEnvFile();
    await run(operand);
  };
  await runCommand(usage, loadAndRun, args);
}

async function check() {
  await withScratchDatabase(async (dataSource) => {
    const { upQueries } = await pendingChanges(dataSource);
    if (upQueries.length === 0) return console.log('The migrations create the schema of the entities.');
    throw new Error(`The entities differ from the migrations. Run npm run db:generate -- NAME, which would write:
  ${upQueries.map(({ query }) => query).join('\n  ')}`);
  });
}

async function generate(name) {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    throw new UsageError(`NAME "${name}" must consist of lowercase letters, digits and hyphens, such as add-color`);
  }
  await withScratchDatabase(async (dataSource) => {
    const { upQueries, downQueries } = await pendingChanges(dataSource);
    if (upQueries.length === 0) throw new Error('There is nothing to generate: the entities match the migrations.');
    const file = await writeMigration(name, upQueries, downQueries.toReversed());
    console.log(`Wrote ${file}. Review it: TypeORM may drop and add a column that you have renamed.`);
  });
}

/** Writes a migration that drops the tables, and creates them empty when it is reverted. */
export async function writeDropMigration(name, tables) {
  await withScratchDatabase(async (dataSource) => {
    if ((await pendingChanges(dataSource)).upQueries.length > 0) {
      throw new Error('The entities differ from the migrations. Run: npm run db:check');
    }
    const types = await enumTypesOf(dataSource, tables);
    const drop = [`DROP TABLE ${tables.map(quoted).join(', ')}`, ...types.map((type) => `DROP TYPE ${quoted(type)}`)];
    for (const query of drop) await dataSource.query(query);
    const { upQueries } = await pendingChanges(dataSource);
    const file = await writeMigration(
      name,
      drop.map((query) => ({ query })),
      upQueries,
    );
    console.log(`Wrote ${file}.`);
  });
}

function quoted(name) {
  return `"${name}"`;
}

/** Returns the enum types of the tables' columns: DROP TABLE keeps them. */
async function enumTypesOf(dataSource, tables) {
  const rows = await dataSource.query(
    `SELECT DISTINCT typname FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
      WHERE typtype = 'e' AND attrelid = ANY ($1::regclass[]) ORDER BY typname`,
    [tables.map(quoted)],
  );
  return rows.map(({ typname }) => typname);
}

function pendingChanges(dataSource) {
  return dataSource.driver.createSchemaBuilder().log();
}

async function migrate(url) {
  compileIfStale();
  if (!runNode(['build/migrate.js'], { DATABASE_URL: url })) throw new Error('The migrations failed.');
}

/** Runs the migrations in a new database on the same server, and drops it afterwards. */
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

/** Connects with every entity of the application. */
async function withDataSource(url, run) {
  compileIfStale();
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
