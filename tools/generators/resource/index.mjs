// `npx nest generate resource NAME [FIELDS]`, and `npm run generate -- NAME --fields=FIELDS` for scripts.
// How schematics work: https://angular.dev/tools/cli/schematics-authoring
import {
  apply,
  applyTemplates,
  chain,
  mergeWith,
  move,
  noop,
  SchematicsException,
  url,
} from '@angular-devkit/schematics';
import { isEsmProject, ModuleDeclarator } from '@nestjs/schematics';
import { format } from '../format.mjs';
import { registerMigration } from '../migrations.mjs';
import { code } from './code.mjs';
import { parseFields } from './fields.mjs';
import { namesOf } from './names.mjs';
import { addProblemRows, problemsOf } from './problems.mjs';

const APP_MODULE = 'src/app.module.ts';
const MIGRATIONS = 'src/migrations';
const PROBLEMS = 'docs/problems.md';
const DEFAULT_FIELDS = 'name:string';

export function resource(options) {
  return (tree, context) => {
    const view = orRefuse(() => viewOf(options, tree));
    const { plural, folder, timestamp, migration, problems } = view;
    const files = (from, to) => mergeWith(apply(url(`./files/${from}`), [applyTemplates(view), move(to)]));
    return chain([
      files('src', folder),
      files('migrations', MIGRATIONS),
      options.spec === false ? noop() : files('test', 'test'),
      options.skipImport ? noop() : declareIn(APP_MODULE, view.Plural, folder),
      edit(`${MIGRATIONS}/index.ts`, (text) => registerMigration(text, migration, `${timestamp}-create-${plural}`)),
      edit(PROBLEMS, (text) => addProblemRows(text, problems)),
      format,
      () => context.logger.info(`Next: npm run openapi, then npm test -- test/api/${plural}`),
    ]);
  };
}

/** Prints an error about the options as one line, without a stack trace. */
function orRefuse(work) {
  try {
    return work();
  } catch (error) {
    throw new SchematicsException(error.message);
  }
}

/** Returns the variables of the templates. */
function viewOf(options, tree) {
  const { crud, type, flat, name: given } = options;
  if (crud === false || type || flat) {
    throw new Error('A resource requires REST routes and its own folder: omit --crud, --type and --flat');
  }
  const names = namesOf(given);
  const { fields, folder } = whatAndWhere(options, names);
  refuseTaken(tree, given, names);

  const problems = problemsOf(names, fields);
  for (const problem of problems) {
    refuseText(tree, `'${problem.code}'`, `${given}: there is a problem ${problem.code} already; nothing was written`);
  }
  const timestamp = options.timestamp ?? nextTimestamp(tree);
  const searched = fields.filter((field) => field.searched);
  const filters = fields.filter(({ filter }) => filter);
  const required = fields.filter(({ optional }) => !optional);
  const built = required.map(code.builderValue).join();
  const view = {
    ...names,
    ...{ fields, required, filters, searched },
    enums: fields.filter(({ constant }) => constant),
    unique: fields.filter(({ unique }) => unique),
    optional: fields.filter(({ optional }) => optional),
    sorts: fields.filter(code.isSortable),
    filterNames: [...(searched.length > 0 ? ['q'] : []), ...filters.map(({ name }) => name)],
    ...{ folder, up: '../'.repeat(folder.split('/').length - 1) },
    ...{ timestamp, migration: `Create${names.Plural}${timestamp}` },
    ...{ problems, notFound: problems[0].variable, conflicts: problems.slice(1).map(({ variable }) => variable) },
    change: code.object(fields.slice(0, 1), ({ other }) => other),

    usesCount: built.includes('++count'),
    usesRandomUuid: built.includes('randomUUID()'),
  };
  return { ...code, ...view, imports: code.dtoImports(view) };
}

/**
 * nest passes one argument after the name: the fields or a folder. It accepts no custom options. After `--`, it passes
 * `--fields=…` as that argument.
 */
function whatAndWhere({ path = '', fields = '' }, names) {
  const argument = path.replace(/^--fields=/, '');
  const areFields = argument.includes(':');
  if (areFields && fields) throw new Error('The fields are given twice');
  const parent = areFields ? '' : argument.replace(/^src\//, '').replace(/\/$/, '');
  if (!/^([a-z][a-z0-9-]*(\/[a-z][a-z0-9-]*)*)?$/.test(parent)) {
    throw new Error(`"${argument}" is neither fields, as in number:string:unique,dueAt:date:optional, nor a folder`);
  }
  return {
    fields: parseFields(fields || (areFields && argument) || DEFAULT_FIELDS, names),
    folder: ['src', parent, names.plural].filter(Boolean).join('/'),
  };
}

/** Rejects a name that an existing file, module or table has. */
function refuseTaken(tree, given, { plural, singular, table }) {
  const folders = [given, singular, plural].map((folder) => `src/${folder}`);
  const tests = [`test/api/${plural}.e2e-spec.ts`, `test/support/${plural}.ts`];
  const taken = [
    ...folders.filter((path) => tree.getDir(path).subfiles.length > 0),
    ...tests.filter((path) => tree.exists(path)),
  ];
  if (taken.length > 0) throw new Error(`${given}: ${taken[0]} exists already; nothing was written`);
  for (const text of [`${plural}.module.js'`, `@Entity('${table}')`]) {
    refuseText(tree, text, `${given}: there is a resource or a table of this name already; nothing was written`);
  }
}

function refuseText(tree, text, message) {
  tree.getDir('src').visit((path) => {
    if (path.endsWith('.ts') && tree.readText(path).includes(text)) throw new Error(message);
  });
}

/** Migrations run in the order of their timestamps. */
function nextTimestamp(tree) {
  const present = tree.getDir(MIGRATIONS).subfiles.map((file) => Number.parseInt(file, 10));
  return Math.max(Date.now(), ...present.filter(Boolean).map((timestamp) => timestamp + 1));
}

const edit = (path, change) => (tree) => tree.overwrite(path, change(tree.readText(path)));

/** Adds the module to the `imports` of another. */
function declareIn(module, Plural, folder) {
  return (tree) => {
    const plural = folder.split('/').at(-1);
    const text = new ModuleDeclarator().declare(tree.readText(module), {
      ...{ metadata: 'imports', type: 'module', name: plural, path: `/${folder}`, module: `/${module}` },
      isEsm: isEsmProject(tree),
    });
    // If `imports` is not a literal array, the declarator adds only the import statement.
    const [, imports = ''] = /imports: \[([^\]]*)\]/.exec(text) ?? [];
    if (!imports.includes(`${Plural}Module`)) {
      throw new SchematicsException(`${module} has no list \`imports: […]\` that ${Plural}Module could join`);
    }
    tree.overwrite(module, text);
  };
}
