// `npm run generate -- order-lines --parent=orders`: rows that have no routes, and are written with their parent.
import { strings } from '@angular-devkit/core';
import { code } from './code.mjs';
import { checkIdentifier, namesOf } from './names.mjs';
import { findResource } from './references.mjs';
import { isReservedInTypeScript } from './reserved-words.mjs';

const NOT_FOR_CHILDREN = ['include', 'idempotent', 'tools'];

/** Names that the methods of the parent's service use. */
const USED = new Set(['id', 'version', 'createdAt', 'updatedAt', 'manager', 'changes', 'ifMatch']);

/**
 * Returns the names of the parent, and the property in which it contains the rows: `lines` for the order-lines of orders.
 *
 * @throws {Error} if the parent cannot contain them
 */
export function parentOf(options, { plural, table }, tree) {
  const taken = NOT_FOR_CHILDREN.find((option) => options[option] === true);
  if (taken) throw new Error(`--parent and --${taken} cannot be combined. Nothing was written`);
  const names = namesOf(options.parent);
  const { folder } = findResource(tree)('--parent', names);
  const { singular, singularVariable, pluralVariable } = names;
  const prefix = `${singular}-`;
  const property = strings.camelize(plural.startsWith(prefix) ? plural.slice(prefix.length) : plural);
  const [entity, dtos] = ['entity', 'dto'].map((part) => tree.read(`${folder}/${singular}.${part}.ts`) ?? '');
  const shown = new RegExp(`^export class ${names.Singular}Dto [^]*?^}`, 'm').exec(dtos) ?? '';
  const isTaken =
    new RegExp(`^ +${property}[?!]?: `, 'm').test(`${entity}${shown}`) ||
    [singularVariable, pluralVariable].includes(property) ||
    USED.has(property) ||
    property in Object.prototype ||
    isReservedInTypeScript(property);
  if (isTaken) throw new Error(`${plural}: ${options.parent} cannot have a property ${property}. Use another name`);
  rejectEmbedded(tree, names);
  const constraint = `FK_${table}_${names.code}`;
  for (const identifier of [constraint, `IX_${table}_${names.code}_id`]) checkIdentifier(plural, identifier);
  return { ...names, folder, property, constraint, key: `${singularVariable}Id`, column: `${names.code}_id` };
}

/** Rejects a parent that another resource embeds: the embedded row would not contain its children. */
function rejectEmbedded(tree, { plural, singular }) {
  tree.getDir('src').visit((path) => {
    if (path.endsWith('.ts') && tree.readText(path).includes(`/${plural}/${singular}.dto.js'`))
      throw new Error(
        `--parent: ${path.slice(1)} embeds ${plural}, and would omit the nested rows. Nothing was written`,
      );
  });
}

/** Rejects fields that the table of a child has anyway, or that change it without its parent. */
export function checkChildFields(fields, { plural, singularVariable, key }) {
  for (const { name, relation, target, isSelf, onDelete } of fields) {
    if (['position', singularVariable, key].includes(name) || relation === singularVariable)
      throw new Error(`Field ${name}: a child of ${plural} has or uses this name. Use another name`);
    if (target?.plural === plural) throw new Error(`Field ${name}: a child has one reference to ${plural}. Remove it`);
    if (isSelf) throw new Error(`Field ${name}: a child cannot have a reference to other children. Remove it`);
    if (target && onDelete !== 'RESTRICT')
      throw new Error(`Field ${name}: rows of ${plural} change only with their parent. Remove ondelete`);
  }
}

/** Returns the variables of the templates that differ from those of a resource. */
export function childView(view, parent, tree) {
  const { table, fields, references, targets, problems } = view;
  const { property, column, key } = parent;
  const support = `test/support/${parent.plural}.ts`;
  const isAsync = tree.exists(support) && tree.readText(support).includes(`async function ${parent.aSingular}(`);
  const index = (columns, properties) => ({
    name: `IX_${table}_${columns[0]}`,
    sql: `(${columns.map((each) => `"${each}"`).join(', ')})`,
    properties,
  });
  return {
    ...view,
    ...{ isChild: true, property, filters: [], searched: [] },
    parent: {
      ...parent,
      body: (values) => (isAsync ? `await ${parent.aSingular}(sut, ${values})` : `${parent.aSingular}(${values})`),
    },
    parentPlural: parent.plural,
    dasherizedProperty: strings.dasherize(property),
    indexes: [
      index([column, 'position'], [key, 'position']),
      ...references.filter(({ unique }) => !unique).map((field) => index([field.column], [field.name])),
    ],
    three: `three${strings.capitalize(property)}`,
    awaits: targets.length > 0 ? 'await ' : '',
    unknownOf: (field) => problems.find(({ constraint }) => constraint.name === field.constraint),
    lineValues: code.object(fields, lineValue),
  };
}

/** A value that no other row has, where the type allows it. */
const lineValue = ({ target, each, sample }) =>
  target ? `(await create${target.Singular}(sut)).id` : (each?.('++count') ?? sample);
