// `npm run resource:remove -- NAME`: removes a resource with its files, its module import, its problems and its tables.
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import prettier from 'prettier';
import { runCommand, runNode } from '../cli.mjs';
import { unregisterMigration } from './migrations.mjs';

const APP_MODULE = 'src/app.module.ts';
const MIGRATIONS = 'src/migrations';
const PROBLEMS = 'docs/problems.md';

const USAGE = `Usage: npm run resource:remove -- NAME [--delete-migration] [--no-openapi] [--json]

Removes a resource, and writes a migration that drops its tables.

  --delete-migration  deletes the migrations of the table instead: for a table that no deployed database has
  --no-openapi        leaves openapi.json unchanged
  --json              prints the deleted files and the remaining mentions as JSON

Exit codes: 0 on success, 1 if other resources reference it or other code imports it.`;

await runCommand(USAGE, async (options, [name]) => {
  const deleted = await remove(name, options['delete-migration']);
  if (!options['no-openapi']) updateOpenApi(name);
  console.log(`Removed ${name}. Next: npm run check`);
  const mentions = mentionsOf(name);
  for (const place of mentions) console.log(`  still mentioned in ${place}`);
  return { deleted, mentions, next: ['npm run check'] };
});

function files(...args) {
  return globSync(...args).map(toPosix);
}

function toPosix(path) {
  return path.replaceAll('\\', '/');
}

function resourceOf(entityFile) {
  return basename(dirname(entityFile));
}

function matches(text, pattern) {
  return [...text.matchAll(pattern)].map(([, match]) => match);
}

async function remove(name, deleteMigration) {
  const folder = findResource(name);
  const own = [...files(`${folder}/**/*.ts`), ...testsOf(name)];
  rejectIfImported(name, folder, own);
  const sources = own.map((file) => readFileSync(file, 'utf8'));
  const inUse = new Set(sources.flatMap((text) => matches(text, /\binUse: (\w+)/g)));
  const codes = sources.flatMap((text) => matches(text, /defineProblem\(\s*'(\w+)'/g));
  const tables = sources.flatMap((text) => matches(text, /@Entity\('(\w+)'/g));

  if (deleteMigration) await deleteMigrationsOf(name, tables);
  else await dropTables(name, tables, own);
  for (const file of own) rmSync(file);
  rmSync(folder, { recursive: true });
  for (const problem of inUse) await removeUnusedInUse(problem);
  await edit(APP_MODULE, (text) => withoutModule(text, name));
  await edit(PROBLEMS, (text) => withoutProblems(text, codes));
  for (const file of files(['*.md', 'docs/**/*.md', 'test/**/*.toml'])) {
    await edit(file, (text) => withoutRowsOf(withoutMarked(text, name), own));
  }
  return own;
}

/** Writes openapi.json, and records for the reviewer that it breaks clients of the resource. */
function updateOpenApi(name) {
  const steps = [['tools/dev/openapi.mjs'], ['tools/dev/openapi-breaking.mjs', '--accept', `resource:remove ${name}`]];
  for (const args of steps) {
    if (!runNode(args)) throw new Error(`${name} was removed, but openapi.json is stale. Run: npm run openapi`);
  }
}

/** Returns the folder of the resource: one with a controller, a module, a service and an entity. */
function findResource(name) {
  const resources = files('src/**/*.controller.ts')
    .map((file) => ({ folder: dirname(file), name: basename(file, '.controller.ts') }))
    .filter((each) => files(`${each.folder}/${each.name}.{module,service}.ts`).length === 2)
    .filter((each) => files(`${each.folder}/*.entity.ts`).length > 0);
  const found = resources.find((resource) => resource.name === name);
  if (found) return found.folder;
  const nested = files('src/*/**/*.entity.ts').find((file) =>
    readFileSync(file, 'utf8').includes(`@Entity('${name.replaceAll('-', '_')}')`),
  );
  if (nested) {
    const parent = resourceOf(nested);
    throw new Error(
      `${name} are nested rows of ${parent}. Remove ${parent}, or remove the rows by hand: docs/development.md#nested-rows`,
    );
  }
  throw new Error(
    `No resource is named ${name}. Resources: ${resources.map((each) => each.name).join(', ') || 'none'}`,
  );
}

/** Returns its tests and their support files, without those of a resource with a longer name, such as order-items. */
function testsOf(name) {
  const longer = files(`src/**/${name}-*.module.ts`).map((file) => basename(file, '.module.ts'));
  return files([`test/**/${name}.*`, `test/**/${name}-*.*`]).filter(
    (file) => !longer.some((other) => basename(file).startsWith(other)),
  );
}

/** Removes the problem of a referenced resource, such as `customerInUse`, if no other resource references it. */
async function removeUnusedInUse(problem) {
  const sources = files('src/**/*.ts');
  if (sources.some((file) => readFileSync(file, 'utf8').includes(`inUse: ${problem}`))) return;
  const definition = new RegExp(`^export const ${problem} = defineProblem\\(\\s*'(\\w+)'[^;]*;\\n`, 'm');
  for (const file of sources) {
    const [, code] = definition.exec(readFileSync(file, 'utf8')) ?? [];
    await edit(file, (text) => text.replace(definition, '').replaceAll(`, problems.${problem}`, ''));
    if (code) await edit(PROBLEMS, (text) => withoutProblems(text, [code]));
  }
}

function withoutProblems(text, codes) {
  return text.replaceAll(new RegExp(`^\\| \`(${codes.join('|')})\` .*\\n`, 'gm'), '');
}

/** Only app.module.ts may import from it. */
function rejectIfImported(name, folder, own) {
  const importing = files('{src,test}/**/*.{ts,mjs}')
    .filter((file) => file !== APP_MODULE && !own.includes(file))
    .filter((file) =>
      matches(readFileSync(file, 'utf8'), /from '(\.[^']+)'/g)
        .map((path) => toPosix(join(dirname(file), path)))
        .some((path) => path.startsWith(`${folder}/`) || own.includes(path.replace(/\.js$/, '.ts'))),
    );
  if (importing.length > 0) {
    const referencing = [...new Set(importing.filter((file) => file.endsWith('.entity.ts')).map(resourceOf))];
    const remedy = referencing.length > 0 ? `Remove ${referencing.join(', ')} first, or change` : 'Change';
    throw new Error(`${name} is imported. ${remedy} these files:\n  ${importing.join('\n  ')}`);
  }
}

/** Also drops the tables without an entity that no other code mentions. */
async function dropTables(name, tables, own) {
  const { writeDropMigration } = await import('../dev/database.mjs');
  const others = files('{src,test}/**/*.{ts,mjs}', { exclude: ['src/migrations/**'] }).filter(
    (file) => !own.includes(file),
  );
  const mention = (paths, table) => paths.some((file) => new RegExp(`\\b${table}\\b`).test(readFileSync(file, 'utf8')));
  try {
    await writeDropMigration(`drop-${name}`, tables, (table) => mention(own, table) && !mention(others, table));
  } catch (error) {
    throw new Error(`${tables.join(', ')} cannot be dropped: ${error.message}. Nothing was changed.`, { cause: error });
  }
}

/** Deletes the migrations that create the tables, and later migrations of these tables only. */
async function deleteMigrationsOf(name, tables) {
  const entities = files('src/**/*.entity.ts').map((file) => readFileSync(file, 'utf8'));
  const others = entities
    .flatMap((text) => matches(text, /@Entity\('(\w+)'/g))
    .filter((table) => !tables.includes(table));
  const mentions = (file, names) => names.some((table) => readFileSync(file, 'utf8').includes(`"${table}"`));
  const migrations = files(`${MIGRATIONS}/[0-9]*.ts`).filter((file) => mentions(file, tables));
  const creates = (file) => tables.some((table) => file.endsWith(`-create-${table.replaceAll('_', '-')}.ts`));
  const later = migrations.filter((file) => !creates(file));
  if (later.length === migrations.length || later.some((file) => mentions(file, others))) {
    const found = migrations.join(', ');
    throw new Error(
      `--delete-migration is for a table whose later migrations change no other table. Migrations: ${found}`,
    );
  }
  for (const file of migrations) {
    const [className] = matches(readFileSync(file, 'utf8'), /export class (\w+)/g);
    rmSync(file);
    await edit(`${MIGRATIONS}/index.ts`, (text) => unregisterMigration(text, className));
  }
}

function withoutModule(text, name) {
  const [module] = matches(text, new RegExp(`import { (\\w+) } from '[^']*/${name}\\.module\\.js'`, 'g'));
  return text
    .replace(new RegExp(`^import { ${module} } from .*\\n`, 'm'), '')
    .replace(new RegExp(`\\b${module},?\\s*`), '');
}

/** Removes the text between `<!-- NAME -->` and `<!-- /NAME -->`, and the resource's line in a list of folders. */
function withoutMarked(text, name) {
  return text
    .replaceAll(new RegExp(`^(<!--|#) ${name}(?: -->)?\\n[^]*?^\\1 /${name}(?: -->)?\\n`, 'gm'), '')
    .replaceAll(new RegExp(`^ +${name}/ .*\\n`, 'gm'), '');
}

/** Removes table rows with a link to a deleted test. */
function withoutRowsOf(text, tests) {
  return text.replaceAll(/^\|.*\n/gm, (row) => (tests.some((test) => row.includes(`/${test})`)) ? '' : row));
}

/** Returns the lines that still contain the name. */
function mentionsOf(name) {
  const word = new RegExp(`\\b${name}\\b`);
  return files(['*.md', 'docs/**/*.md', 'src/**/*.ts', 'test/**/*.{ts,mjs,toml}'], {
    exclude: ['**/migrations/**', 'CHANGELOG.md'],
  }).flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, index) => (word.test(line) ? [`${file}:${index + 1}`] : [])),
  );
}

async function edit(file, change) {
  const before = readFileSync(file, 'utf8');
  const after = change(before);
  if (after === before) return;
  const { inferredParser: parser } = await prettier.getFileInfo(file);
  const options = await prettier.resolveConfig(file);
  writeFileSync(file, parser ? await prettier.format(after, { ...options, parser }) : after);
}
