// `npm run db:migrate`, `db:revert`, `db:check` and `db:generate -- NAME`.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import pg from 'pg';
import prettier from 'prettier';
import { getMetadataArgsStorage, DataSource } from 'typeorm';
import { compileIfStale } from '../build/build.mjs';
import { runCommand, runNode, UsageError } from '../cli.mjs';
import { registerMigration } from '../generators/migrations.mjs';
import { dropStatements } from './drop-statements.mjs';
import { accepting, describe, hazardsOf } from './migration-hazards.mjs';
import { withDatabase } from './postgres.mjs';

const MIGRATIONS = 'src/migrations';
const MAX_ROUNDS = 3;

/** Where TypeORM keeps the expressions of generated columns and views, which it compares with those of the entities. */
const METADATA = `CREATE TABLE IF NOT EXISTS "typeorm_metadata" ("type" text NOT NULL, "database" text, "schema" text, "table" text, "name" text, "value" text)`;

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
  check: {
    does: 'Fails if the migrations do not create the schema of the entities, or if one of them loses data, blocks a table or breaks the previous release.',
    run: check,
  },
  generate: {
    operands: ' -- NAME [--allow=RULES]',
    does: `Writes the migration from the schema of the migrations to that of the entities. Stops if it would lose data, block a table or break
the previous release, and prints the safe sequence of deployments.

  --allow=RULES  accepts these hazards, as in --allow=ban-drop-column,renaming-column
`,
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
  const loadAndRun = async (options, [operand]) => {
    if (existsSync('.env')) process.loadEnvFile();
    await run(operand, options);
  };
  await runCommand(usage, loadAndRun, args);
}

async function check() {
  await withScratchDatabase(async (dataSource) => {
    const { upQueries } = await pendingChanges(dataSource);
    if (upQueries.length > 0) {
      throw new Error(`The entities differ from the migrations. Run npm run db:generate -- NAME, which would write:
  ${upQueries.join('\n  ')}`);
    }
    const missing = await missingIndexes(dataSource);
    if (missing.length > 0) {
      throw new Error(`The entities name indexes that the migrations do not create, or drop with a column: ${missing.join(', ')}.
Create another one with CREATE INDEX CONCURRENTLY before the column is dropped, and name it in the entity.`);
    }
    const lists = (await runAndRecord(dataSource)).flatMap(({ name, statements, inTransaction }) => {
      const hazards = hazardsOf(statements, inTransaction);
      return hazards.length > 0 ? [`${name}:\n${describe(hazards)}`] : [];
    });
    if (lists.length === 0) return console.log('The migrations create the schema of the entities, without hazards.');
    throw new Error(`These statements lose data, block a table or break the previous release. Change them as described, or accept one
with a comment as its first line: -- squawk-ignore RULE
${lists.join('\n')}`);
  });
}

/** Returns the indexes that TypeORM does not compare, such as those of a search, and that the database does not have. */
async function missingIndexes(dataSource) {
  const indexes = dataSource.entityMetadatas.flatMap(({ indices }) => indices);
  const names = indexes.filter(({ synchronize }) => !synchronize).map(({ name }) => name);
  const rows = await dataSource.query(
    'SELECT name FROM unnest($1::text[]) AS name EXCEPT SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()',
    [names],
  );
  return rows.map(({ name }) => name);
}

/** Runs the migrations again in an empty schema. Returns the statements of each. */
async function runAndRecord(dataSource) {
  await dataSource.query('DROP SCHEMA public CASCADE');
  await dataSource.query('CREATE SCHEMA public');
  const recorded = [];
  for (const migration of dataSource.migrations) {
    const statements = [];
    recorded.push({ name: migration.name, statements, inTransaction: migration.transaction !== false });
    const up = migration.up.bind(migration);
    migration.up = async (runner) => {
      const query = runner.query.bind(runner);
      runner.query = (sql, ...args) => {
        statements.push(sql);
        return query(sql, ...args);
      };
      await up(runner);
      runner.query = query;
    };
  }
  await dataSource.runMigrations({ transaction: 'each' });
  return recorded;
}

async function generate(name, { allow = '' }) {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    throw new UsageError(`NAME "${name}" must consist of lowercase letters, digits and hyphens, such as add-color`);
  }
  await withScratchDatabase(async (dataSource) => {
    const { up, down } = await applyChanges(dataSource);
    if (up.length === 0) throw new Error('There is nothing to generate: the entities match the migrations.');
    const hazards = hazardsOf(up);
    const allowed = new Set(allow.split(','));
    const rejected = hazards.filter(({ rule }) => !allowed.has(rule));
    if (rejected.length > 0) throw new Error(rejection(name, rejected, hazards));
    console.log(`Wrote ${await writeMigration(name, accepting(up, hazards), down)}. Review it.`);
  });
}

function rejection(name, rejected, hazards) {
  const rules = [...new Set(hazards.map(({ rule }) => rule))].join();
  return `Nothing was written. The migration would lose data, block a table or break the previous release:
${describe(rejected)}
Each number is a deployment: see docs/schema-changes.md. Without traffic, run: npm run db:generate -- ${name} --allow=${rules}`;
}

/**
 * Runs the statements that TypeORM generates in the scratch database, before anything is written, until none is left: a
 * column that is dropped and added again also loses its constraints.
 */
async function applyChanges(dataSource) {
  const up = [];
  const down = [];
  for (let round = 1; ; round++) {
    const { upQueries, downQueries } = await pendingChanges(dataSource);
    if (upQueries.length === 0) break;
    if (round > MAX_ROUNDS) {
      throw new Error(
        `TypeORM cannot generate this migration: write it by hand. It repeats:\n  ${upQueries.join('\n  ')}`,
      );
    }
    const isKept = keptIndexes(upQueries, downQueries);
    up.push(
      ...(await execute(
        dataSource,
        upQueries.filter((query) => !isKept(query)),
      )),
    );
    down.unshift(...downQueries.filter((query) => !isKept(query)).toReversed());
  }
  return { up, down: await execute(dataSource, down) };
}

/** TypeORM drops the indexes of a changed column and creates them again; PostgreSQL keeps them. */
function keptIndexes(upQueries, downQueries) {
  // The definition from the database names the default method, and its columns are in another order.
  const definition = (query) =>
    query
      .replace(' USING btree', '')
      .replace(/\((.*)\)/, (_, columns) => columns.split(', ').toSorted().join())
      .replaceAll(/\s+/g, ' ')
      .trim();
  const dropped = new Set(downQueries.map(definition));
  const kept = upQueries.map(definition).flatMap((query) => {
    const [, name] = /^CREATE (?:UNIQUE )?INDEX ("[^"]+")/.exec(query) ?? [];
    return name && dropped.has(query) ? [{ name, query }] : [];
  });
  return (query) =>
    kept.some(
      (index) => definition(query) === index.query || (query.startsWith('DROP INDEX ') && query.endsWith(index.name)),
    );
}

/**
 * Executes the statements. Changes the type of a column instead of dropping and adding it, which would lose its values.
 *
 * @returns the executed statements
 */
async function execute(dataSource, queries) {
  const executed = [];
  const replaced = new Set();
  for (const query of queries) {
    if (replaced.has(query)) continue;
    const { added, alternatives } = typeChange(query, queries);
    const statements = (await firstThatRuns(dataSource, alternatives)) ?? [query];
    if (statements[0] === query) await runStatement(dataSource, query);
    else replaced.add(added);
    executed.push(...statements);
  }
  return executed;
}

/** Returns the statements that change the type of a column, of which PostgreSQL accepts the first that loses nothing. */
function typeChange(query, queries) {
  const [, table, column] = /^ALTER TABLE (\S+) DROP COLUMN (\S+)$/.exec(query) ?? [];
  const addition = `ALTER TABLE ${table} ADD ${column} `;
  const added = queries.find((other) => other.startsWith(addition));
  if (!added || added.includes(' GENERATED ')) return { alternatives: [] };
  const [type] = /^.+?(?= NOT NULL| DEFAULT |$)/.exec(added.slice(addition.length));
  const alter = `ALTER TABLE ${table} ALTER COLUMN ${column}`;
  const cast = `${alter} TYPE ${type} USING ${column}::${type.replace(/ COLLATE .*/, '')}`;
  return { added, alternatives: [[`${alter} TYPE ${type}`], [cast], [`${alter} DROP DEFAULT`, cast]] };
}

async function firstThatRuns(dataSource, alternatives) {
  for (const statements of alternatives) {
    try {
      await dataSource.transaction(async (manager) => {
        for (const statement of statements) await manager.query(statement);
      });
      return statements;
    } catch {
      // PostgreSQL has no such cast
    }
  }
  return undefined;
}

async function runStatement(dataSource, query) {
  await dataSource.query(query).catch((error) => {
    throw new Error(`TypeORM cannot generate this migration: write it by hand. ${error.message} at:\n  ${query}`);
  });
}

/**
 * Writes a migration that drops the tables of entities, with their functions and types, and creates them empty when it is
 * reverted.
 *
 * @param {string} name
 * @param {string[]} tables
 * @param {(table: string) => boolean} isOwn whether a table without an entity is dropped too
 */
export async function writeDropMigration(name, tables, isOwn) {
  await withScratchDatabase(async (dataSource) => {
    if ((await pendingChanges(dataSource)).upQueries.length > 0) {
      throw new Error('The entities differ from the migrations. Run: npm run db:check');
    }
    const { drop, create, missing } = await dropStatements(dataSource, tables, isOwn);
    for (const statement of drop) await dataSource.query(statement);
    const { upQueries } = await pendingChanges(dataSource);
    const down = [...upQueries, ...create];
    for (const statement of down) await dataSource.query(statement);
    down.push(...(await missing()));
    const file = await writeMigration(name, accepting(drop, hazardsOf(drop)), down);
    console.log(`Wrote ${file}.`);
  });
}

/** Returns the statements between the schema of the database and that of the entities, as SQL without parameters. */
async function pendingChanges(dataSource) {
  const builder = dataSource.driver.createSchemaBuilder();
  const runner = dataSource.createQueryRunner();
  await builder.createMetadataTableIfNecessary(runner);
  await runner.release();
  const { upQueries, downQueries } = await builder.log();
  const statements = (queries) => queries.map(({ query, parameters }) => withLiterals(query, parameters, dataSource));
  const up = statements(upQueries);
  return {
    upQueries: up.some((query) => query.includes('"typeorm_metadata"')) ? [METADATA, ...up] : up,
    downQueries: statements(downQueries),
  };
}

/** Replaces the parameters of a statement. The name of the scratch database becomes that of the migrated one. */
function withLiterals(query, parameters, { driver }) {
  return query.replaceAll(/\$(\d+)/g, (placeholder, index) => {
    const value = parameters?.[index - 1];
    if (value === undefined) return placeholder;
    return value === driver.database ? 'current_database()' : literalOf(value);
  });
}

function literalOf(value) {
  return value === null ? 'NULL' : `'${String(value).replaceAll("'", "''")}'`;
}

async function migrate(url) {
  compileIfStale();
  if (!runNode(['build/migrate.js'], { DATABASE_URL: url })) throw new Error('The migrations failed.');
}

/** Runs the migrations in a new database on the same server, and drops it afterwards. */
function withScratchDatabase(run) {
  return withDatabase(async (server) => {
    const name = `scratch_${randomBytes(6).toString('hex')}`;
    const url = server.replace(/^(\w+:\/\/[^/?]*)\/?[^?]*/, `$1/${name}`);
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
  const { loadDatabaseEnv } = await import('../../build/platform/config/env.js');
  const { dataSourceOptions } = await import('../../build/platform/database/data-source.js');
  const { migrations } = await import('../../build/migrations/index.js');
  const entities = getMetadataArgsStorage().tables.map(({ target }) => target);
  const dataSource = new DataSource({
    ...dataSourceOptions(loadDatabaseEnv({ DATABASE_URL: url }), migrations),
    entities,
  });
  await dataSource.initialize();
  try {
    return await run(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

async function writeMigration(name, up, down) {
  // Migrations run in the order of their timestamps.
  const present = readdirSync(MIGRATIONS).map((file) => Number.parseInt(file, 10) || 0);
  const timestamp = Math.max(Date.now(), ...present.map((other) => other + 1));
  const words = name.split('-').map((word) => word[0].toUpperCase() + word.slice(1));
  const className = `${words.join('')}${timestamp}`;
  const statements = (queries) =>
    queries.map((query) => `await queryRunner.query(\`${query.replaceAll(/[\\`]|\$\{/g, '\\$&')}\`);`).join('\n');
  const file = `${MIGRATIONS}/${timestamp}-${name}.ts`;
  const index = `${MIGRATIONS}/index.ts`;
  const texts = {
    [file]: `import type { MigrationInterface, QueryRunner } from 'typeorm';

    export class ${className} implements MigrationInterface {
      name = '${className}';

      async up(queryRunner: QueryRunner): Promise<void> { ${statements(up)} }

      async down(queryRunner: QueryRunner): Promise<void> { ${statements(down)} }
    }`,
    [index]: registerMigration(readFileSync(index, 'utf8'), className, `${timestamp}-${name}`),
  };
  const formatted = await Promise.all(
    Object.entries(texts).map(async ([path, text]) => [path, await format(path, text)]),
  );
  for (const [path, text] of formatted) writeFileSync(path, text);
  return file;
}

async function format(file, text) {
  const options = await prettier.resolveConfig(file);
  return prettier.format(text, { ...options, filepath: file });
}
