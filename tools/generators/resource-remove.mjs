// `npm run resource:remove -- NAME`: removes a resource with its files, its module import, its problems and its tables.
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import prettier from 'prettier';
import { runCommand, runNode } from '../cli.mjs';
import { unregisterMigration } from './migrations.mjs';

const APP_MODULE = 'src/app.module.ts';
const MIGRATIONS = 'src/migrations';
const PROBLEMS = 'docs/problems.md';

const USAGE = `Usage: npm run resource:remove -- NAME [--delete-migration] [--no-openapi]

Removes a resource, and writes a migration that drops its tables.

  --delete-migration  deletes the migration that creates the table instead: for a table that no deployed database has
  --no-openapi        leaves openapi.json unchanged

Exit codes: 0 on success, 1 if other code imports the resource or another table references it.`;

await runCommand(USAGE, async (options, [name]) => {
  await remove(name, options['delete-migration']);
  if (!options['no-openapi']) updateOpenApi(name);
  console.log(`Removed ${name}. Next: npm run check`);
  for (const place of mentionsOf(name)) console.log(`  still mentioned in ${place}`);
});

function files(...args) {
  return globSync(...args).map(toPosix);
}

function toPosix(path) {
  return path.replaceAll('\\', '/');
}

function matches(text, pattern) {
  return [...text.matchAll(pattern)].map(([, match]) => match);
}

async function remove(name, deleteMigration) {
  const folder = findResource(name);
  const own = [...files(`${folder}/**/*.ts`), ...testsOf(name)];
  rejectIfImported(name, folder, own);
  const sources = own.map((file) => readFileSync(file, 'utf8'));
  const codes = sources.flatMap((text) => matches(text, /defineProblem\(\s*'(\w+)'/g));
  const tables = sources.flatMap((text) => matches(text, /@Entity\('(\w+)'/g));

  if (deleteMigration) await deleteMigrationOf(name, tables);
  else await dropTables(name, tables);
  for (const file of own) rmSync(file);
  rmSync(folder, { recursive: true });
  await edit(APP_MODULE, (text) => withoutModule(text, name));
  await edit(PROBLEMS, (text) => text.replaceAll(new RegExp(`^\\| \`(${codes.join('|')})\` .*\\n`, 'gm'), ''));
  for (const file of files(['*.md', 'docs/**/*.md', 'test/**/*.toml'])) {
    await edit(file, (text) => withoutRowsOf(withoutMarked(text, name), own));
  }
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
    throw new Error(`${name} is imported. Change these files first:\n  ${importing.join('\n  ')}`);
  }
}

async function dropTables(name, tables) {
  const { writeDropMigration } = await import('../dev/database.mjs');
  try {
    await writeDropMigration(`drop-${name}`, tables);
  } catch (error) {
    throw new Error(`${tables.join(', ')} cannot be dropped: ${error.message}. Nothing was changed.`, { cause: error });
  }
}

async function deleteMigrationOf(name, tables) {
  const migrations = files(`${MIGRATIONS}/[0-9]*.ts`).filter((file) =>
    tables.some((table) => readFileSync(file, 'utf8').includes(`"${table}"`)),
  );
  const [file] = migrations;
  if (migrations.length !== 1 || !file.endsWith(`-create-${name}.ts`)) {
    throw new Error(`--delete-migration is for a table with one migration. Migrations: ${migrations.join(', ')}`);
  }
  const [className] = matches(readFileSync(file, 'utf8'), /export class (\w+)/g);
  rmSync(file);
  await edit(`${MIGRATIONS}/index.ts`, (text) => unregisterMigration(text, className));
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
