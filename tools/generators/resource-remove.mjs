// `npm run resource:remove -- NAME`: undoes a resource. Its files, its line in app.module.ts and its problems go, and a
// migration drops its tables. Refuses, before it touches anything, while other code needs it.
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import prettier from 'prettier';
import { unregisterMigration } from './migrations.mjs';

const APP_MODULE = 'src/app.module.ts';
const MIGRATIONS = 'src/migrations';
const PROBLEMS = 'docs/problems.md';
const USAGE = `Usage: npm run resource:remove -- NAME [--delete-migration]
  --delete-migration removes the migration that made the table, in place of adding one that drops it: for a table that no
  deployed database has. --no-openapi leaves openapi.json as it is.`;

const matches = (text, pattern) => [...text.matchAll(pattern)].map(([, match]) => match);
const toPosix = (path) => path.replaceAll('\\', '/');

try {
  const { name, deleteMigration, openapi } = parse();
  await remove(name, deleteMigration);
  if (openapi) withoutPromises(name);
  report(name);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function parse() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      'delete-migration': { type: 'boolean', default: false },
      'no-openapi': { type: 'boolean', default: false },
    },
  });
  if (positionals.length !== 1) throw new Error(USAGE);
  return { name: positionals[0], deleteMigration: values['delete-migration'], openapi: !values['no-openapi'] };
}

async function remove(name, deleteMigration) {
  const folder = findResource(name);
  const own = [...globSync(`${folder}/**/*.ts`), ...testsOf(name)].map(toPosix);
  refuseWhileNeeded(name, folder, own);
  const sources = own.map((file) => readFileSync(file, 'utf8'));
  const codes = sources.flatMap((text) => matches(text, /defineProblem\(\s*'(\w+)'/g));
  const tables = sources.flatMap((text) => matches(text, /@Entity\('(\w+)'/g));

  if (deleteMigration) await removeMigrationOf(name, tables);
  else dropTables(name, tables);
  for (const file of own) rmSync(file);
  rmSync(folder, { recursive: true });
  const [module] = matches(
    readFileSync(APP_MODULE, 'utf8'),
    new RegExp(`import { (\\w+) } from '[^']*/${name}\\.module\\.js'`, 'g'),
  );
  await edit(APP_MODULE, (text) => withoutModule(text, module));
  await edit(PROBLEMS, (text) => text.replaceAll(new RegExp(`^\\| \`(${codes.join('|')})\` .*\\n`, 'gm'), ''));
  for (const file of globSync(['*.md', 'docs/**/*.md', 'test/**/*.toml'])) {
    await edit(file, (text) => withoutTestsThatWent(withoutMarked(text, name), own));
  }
}

/** The document loses the routes, and that this breaks who called them is recorded for the reviewer. */
function withoutPromises(name) {
  const steps = [['tools/dev/openapi.mjs'], ['tools/dev/openapi-breaking.mjs', '--accept', `resource:remove ${name}`]];
  for (const args of steps) {
    const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
    if (status !== 0) throw new Error(`${name} is removed, but for openapi.json. Run: npm run openapi`);
  }
}

function report(name) {
  console.log(`Removed ${name}. Next: npm run check`);
  for (const place of placesThatName(name)) console.log(`  still named in ${place}`);
}

/** Where the resource is: a folder with everything that the generator makes. */
function findResource(name) {
  const resources = globSync('src/**/*.controller.ts')
    .map(toPosix)
    .map((file) => ({ folder: dirname(file), name: basename(file, '.controller.ts') }))
    .filter((each) =>
      ['module', 'service'].every((role) => globSync(`${each.folder}/${each.name}.${role}.ts`).length > 0),
    )
    .filter((each) => globSync(`${each.folder}/*.entity.ts`).length > 0);
  const found = resources.find((resource) => resource.name === name);
  if (found) return found.folder;
  const names = resources.map((resource) => resource.name).join(', ');
  throw new Error(`There is no resource ${name}. ${names ? `There are: ${names}` : 'There is none at all'}`);
}

/** Its tests and what supports them; those of a resource with a longer name, such as order-items, are not its own. */
function testsOf(name) {
  const longer = globSync(`src/**/${name}-*.module.ts`).map((file) => basename(file, '.module.ts'));
  return globSync([`test/**/${name}.*`, `test/**/${name}-*.*`]).filter(
    (file) => !longer.some((other) => basename(file).startsWith(other)),
  );
}

/** Only app.module.ts may import from it. */
function refuseWhileNeeded(name, folder, own) {
  const needs = globSync('{src,test,dev}/**/*.{ts,mjs}')
    .map(toPosix)
    .filter((file) => file !== APP_MODULE && !own.includes(file))
    .filter((file) =>
      matches(readFileSync(file, 'utf8'), /from '(\.[^']+)'/g)
        .map((path) => toPosix(join(dirname(file), path)))
        .some((path) => path.startsWith(`${folder}/`) || own.includes(path.replace(/\.js$/, '.ts'))),
    );
  if (needs.length > 0) {
    throw new Error(`${name} is needed: first change what imports it, then run this again.\n  ${needs.join('\n  ')}`);
  }
}

/** A table that another one references is not dropped: that migration fails, and with it the removal. */
function dropTables(name, tables) {
  const args = ['tools/dev/database.mjs', 'drop', `drop-${name}`, ...tables];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`No migration can drop ${tables.join(', ')}; nothing was changed.`);
}

async function removeMigrationOf(name, tables) {
  const naming = globSync(`${MIGRATIONS}/[0-9]*.ts`)
    .map(toPosix)
    .filter((file) => tables.some((table) => readFileSync(file, 'utf8').includes(`"${table}"`)));
  const [file] = naming;
  if (naming.length !== 1 || !file.endsWith(`-create-${name}.ts`)) {
    throw new Error(`--delete-migration is for a table with one migration; these are about it: ${naming.join(', ')}`);
  }
  const [className] = matches(readFileSync(file, 'utf8'), /export class (\w+)/g);
  rmSync(file);
  await edit(`${MIGRATIONS}/index.ts`, (text) => unregisterMigration(text, className));
}

function withoutModule(text, module) {
  return text
    .replace(new RegExp(`^import { ${module} } from .*\\n`, 'm'), '')
    .replace(new RegExp(`\\b${module},?\\s*`), '');
}

/** Without what stands between `<!-- NAME -->` and `<!-- /NAME -->`, and without its line in a list of folders. */
function withoutMarked(text, name) {
  return text
    .replaceAll(new RegExp(`^(<!--|#) ${name}(?: -->)?\\n[^]*?^\\1 /${name}(?: -->)?\\n`, 'gm'), '')
    .replaceAll(new RegExp(`^ +${name}/ .*\\n`, 'gm'), '');
}

/** Without the rows of tables that point to a test which has gone. */
function withoutTestsThatWent(text, tests) {
  return text.replaceAll(/^\|.*\n/gm, (row) => (tests.some((test) => row.includes(`/${test})`)) ? '' : row));
}

/** Lines that a reader should look at. */
function placesThatName(name) {
  return globSync('{*.md,src/**/*.ts,test/**/*,docs/**/*.md}', { exclude: ['**/migrations/**', 'CHANGELOG.md'] })
    .filter((file) => /\.(md|ts|mjs|toml)$/.test(file))
    .flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line, index) => (new RegExp(`\\b${name}\\b`).test(line) ? [`${toPosix(file)}:${index + 1}`] : [])),
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
