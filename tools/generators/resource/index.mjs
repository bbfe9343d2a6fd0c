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
import { checkChildFields, childView, parentOf } from './child.mjs';
import { code } from './code.mjs';
import { parseFields } from './fields.mjs';
import { indexesOf } from './indexes.mjs';
import { namesOf } from './names.mjs';
import { nest } from './nest.mjs';
import { addProblemRows, inUseProblem, problemsOf } from './problems.mjs';
import { containsRows, defineInUse, definesInUse, findResource, requireTestSupport, targetsOf } from './references.mjs';

const APP_MODULE = 'src/app.module.ts';
const MIGRATIONS = 'src/migrations';
const PROBLEMS = 'docs/problems.md';
const DEFAULT_FIELDS = 'name:string';

export function resource(options) {
  return (tree, context) => {
    const view = orReject(() => viewOf(options, tree));
    const { plural, folder, timestamp, migration, problems, parent } = view;
    const kind = parent ? 'child/' : '';
    const undefinedInUse = view.restricting.filter((target) => !definesInUse(tree, target));
    const files = (from, to) => mergeWith(apply(url(`./files/${from}`), [applyTemplates(view), move(to)]));
    return chain([
      files(`${kind}src`, folder),
      files(`${kind}migrations`, MIGRATIONS),
      options.spec === false ? noop() : files(`${kind}test`, 'test'),
      view.tools ? files('tools', folder) : noop(),
      view.tools && options.spec !== false ? files('tools-test', 'test') : noop(),
      parent ? nest(view) : options.skipImport ? noop() : declareIn(APP_MODULE, view.Plural, folder),
      edit(`${MIGRATIONS}/index.ts`, (text) => registerMigration(text, migration, `${timestamp}-create-${plural}`)),
      ...undefinedInUse.map(defineInUse),
      edit(PROBLEMS, (text) => addProblemRows(text, [...undefinedInUse.map(inUseProblem), ...problems])),
      format,
      parent ? noop() : () => context.logger.info(costOf(view)),
      () => context.logger.info(`Next: npm run openapi, then npm test -- test/api/${(parent ?? view).plural}`),
    ]);
  };
}

/** Describes the cost of the list's indexes for writers. */
function costOf({ sorts, filters, indexes }) {
  return (
    `The list has ${sorts.length + 1} sort orders and ${filters.length} filters, which need ${indexes.length} indexes. ` +
    'Each makes inserts and updates slower: remove those that no client needs (docs/development.md, "Sort orders and filters").'
  );
}

/** Prints an error about the options as one line, without a stack trace. */
function orReject(work) {
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
    throw new Error('A resource needs REST routes and a separate folder. Omit --crud, --type and --flat');
  }
  const names = namesOf(given);
  const parent = options.parent ? parentOf(options, names, tree) : undefined;
  const { fields, folder } = whatAndWhere(options, names, tree, parent);
  rejectTaken(tree, given, names, fields, parent);
  const references = fields.filter(({ target }) => target);
  const targets = targetsOf(references, folder);
  const restricting = targetsOf(
    references.filter(({ onDelete }) => onDelete === 'RESTRICT'),
    folder,
  );
  const builders = targetsOf(
    references.filter(({ optional }) => !optional),
    folder,
  );
  if (options.spec !== false)
    [...targets, ...(parent ? [parent] : [])].forEach((target) => requireTestSupport(tree, target));

  const problems = problemsOf(names, fields, parent);
  for (const problem of problems) {
    rejectText(
      tree,
      `'${problem.code}'`,
      `${given}: the problem ${problem.code} already exists. Use another name. Nothing was written`,
    );
  }
  const timestamp = options.timestamp ?? nextTimestamp(tree);
  // A short term must begin the first one.
  const searched = fields
    .filter((field) => field.searched)
    .toSorted((a, b) => Number(b.isTitle ?? 0) - Number(a.isTitle ?? 0));
  const sorts = fields.filter(code.isSortable);
  const filters = fields.filter(({ filter }) => filter);
  const required = fields.filter(({ optional }) => !optional);
  const included = options.include === true ? references : [];
  if (options.include === true && included.length === 0)
    throw new Error(`${given}: --include needs a reference such as customerId:ref=customers. Nothing was written`);
  if (included.length > 0 && options.tools === true)
    throw new Error(`${given}: --include and --tools cannot be combined. Nothing was written`);
  const nesting = included.find(({ target, isSelf }) => !isSelf && containsRows(tree, target));
  if (nesting)
    throw new Error(
      `Field ${nesting.name}: --include does not embed the nested rows of ${nesting.target.plural}. Nothing was written`,
    );
  const sameName = included.find(({ relation }) => relation === names.singularVariable);
  if (sameName)
    throw new Error(`Field ${sameName.name}: the resource has the name ${sameName.relation}. Use another name`);
  const isAsync = builders.length > 0;
  const inUse = problems.filter((problem) => problem.code === inUseProblem(names).code);
  const built = required.map(code.builderValue).join();
  const view = {
    ...names,
    ...{ fields, required, filters, searched, references, targets, restricting, builders, included },
    nested: included.length > 0 ? ', EMBEDDED' : '',
    ...{ isAsync, idempotent: options.idempotent === true, tools: options.tools === true },
    plain: fields.filter(({ target }) => !target),
    body: (values) => (isAsync ? `await ${names.aSingular}(sut, ${values})` : `${names.aSingular}(${values})`),
    enums: fields.filter(({ constant }) => constant),
    unique: fields.filter(({ unique }) => unique),
    optional: fields.filter(({ optional }) => optional),
    sorts,
    indexes: parent ? [] : indexesOf(names, { sorts, filters, searched }),
    isBounded: searched.length > 0 || filters.length > 1,
    filterNames: [...(searched.length > 0 ? ['q'] : []), ...filters.map(({ name }) => name)],
    ...{ folder, up: '../'.repeat(folder.split('/').length - 1) },
    ...{ timestamp, migration: `Create${names.Plural}${timestamp}` },
    ...{ problems, notFound: `${names.singularVariable}NotFound`, inUse: inUse.map(({ variable }) => variable) },
    conflicts: problems.flatMap(({ constraint, variable }) => (constraint ? [variable] : [])),
    change: code.object(fields.slice(0, 1), ({ other, target }) => other ?? `(await create${target.Singular}(sut)).id`),
    usesCount: built.includes('++count'),
    usesRandomUuid: built.includes('randomUUID()'),
  };
  const whole = parent ? childView(view, parent, tree) : view;
  return { ...code, ...whole, imports: code.dtoImports(whole) };
}

/**
 * nest passes one argument after the name: the fields or a folder. It accepts no custom options. After `--`, it passes
 * `--fields=…` as that argument.
 */
function whatAndWhere({ path = '', fields = '' }, names, tree, owner) {
  const argument = path.replace(/^--fields=/, '');
  const areFields = argument.includes(':');
  if (areFields && fields) throw new Error('The fields are given twice. Use either the argument or --fields');
  const parent = areFields ? '' : argument.replace(/^src\//, '').replace(/\/$/, '');
  if (!/^([a-z][a-z0-9-]*(\/[a-z][a-z0-9-]*)*)?$/.test(parent)) {
    throw new Error(
      `"${argument}" is not a list of fields and not a folder. Use fields such as number:string:unique,dueAt:datetime:optional`,
    );
  }
  if (owner && parent) throw new Error('--parent and --folder cannot be combined. Nothing was written');
  const parsed = parseFields(fields || (areFields && argument) || DEFAULT_FIELDS, names, findResource(tree));
  if (owner) checkChildFields(parsed, owner);
  return { fields: parsed, folder: owner?.folder ?? ['src', parent, names.plural].filter(Boolean).join('/') };
}

/** Rejects a name that an existing file, module, table, type or class has. */
function rejectTaken(tree, given, names, fields, parent) {
  const { plural, singular, table, Plural, Singular } = names;
  const folders = [given, singular, plural].map((folder) => `src/${folder}`);
  const ofChild = parent ? [`test/api/${parent.plural}-${parent.property}.e2e-spec.ts`] : [];
  const tests = [
    ...ofChild,
    `test/api/${plural}.e2e-spec.ts`,
    `test/api/${plural}-tools.e2e-spec.ts`,
    `test/support/${plural}.ts`,
  ];
  const taken = [
    ...folders.filter((path) => tree.getDir(path).subfiles.length > 0),
    ...tests.filter((path) => tree.exists(path)),
  ];
  if (taken.length > 0) throw new Error(`${given}: ${taken[0]} already exists. Use another name. Nothing was written`);
  const enums = fields.flatMap(({ sqlType }) => (sqlType ? [`@Entity('${sqlType}')`] : []));
  for (const text of [`${plural}.module.js'`, `@Entity('${table}')`, `enumName: '${table}'`, ...enums]) {
    rejectText(
      tree,
      text,
      `${given}: a resource or table with this name already exists. Use another name. Nothing was written`,
    );
  }
  const dtos = [
    `Create${Singular}Dto`,
    `Update${Singular}Dto`,
    `List${Plural}Dto`,
    `${Singular}Dto`,
    `${Singular}PageDto`,
  ];
  for (const name of [
    Singular,
    `${Plural}Service`,
    `${Plural}Controller`,
    `${Plural}Module`,
    `${Plural}Tools`,
    ...dtos,
  ]) {
    rejectText(
      tree,
      `class ${name} `,
      `${given}: a class ${name} already exists. Use another name. Nothing was written`,
    );
  }
}

function rejectText(tree, text, message) {
  tree.getDir('src').visit((path) => {
    if (/(?<!\.spec)\.ts$/.test(path) && tree.readText(path).includes(text)) throw new Error(message);
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
      throw new SchematicsException(`${module} has no list \`imports: […]\`. Add one, then run the command again`);
    }
    tree.overwrite(module, text);
  };
}
