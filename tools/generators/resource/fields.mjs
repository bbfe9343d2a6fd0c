import { strings } from '@angular-devkit/core';
import { enumType, FIELD_TYPES, referenceType, SUGGESTIONS } from './field-types.mjs';
import { checkIdentifier, enumNames, namesOf } from './names.mjs';
import { isReservedInSql, isReservedInTypeScript } from './reserved-words.mjs';

const TYPES = [...Object.keys(FIELD_TYPES), 'enum=A/B', 'ref=RESOURCE'].join(', ');
const UNIQUE_TYPES = 'string, int, bigint, decimal, uuid, date, datetime, email, url';
const MODIFIERS = ['optional', 'unique', 'ondelete=restrict', 'ondelete=cascade', 'ondelete=setnull'];
/** Every resource has them, or its list has a parameter or its service a variable of this name. */
const OWN = new Set(
  'id version createdAt updatedAt limit cursor sort sorts page pageDto dto q query rows items prototype ifMatch idempotencyKey'.split(
    ' ',
  ),
);

/**
 * Reads `number:string:unique,dueAt:datetime:optional,status:enum=draft/sent,customerId:ref=customers`.
 *
 * @param findResource returns the names and the folder of an existing resource
 * @throws {Error} that names the first field that is wrong, and why
 */
export function parseFields(text, names, findResource) {
  const fields = text.split(',').map((part) => parseField(part.trim(), names, findResource));
  for (const [index, { name, column, constant, relation }] of fields.entries()) {
    const twin = fields.slice(0, index).find((other) => other.column === column);
    if (twin) throw new Error(`The fields ${twin.name} and ${name} have the same column. Rename one of them`);
    const sameConstant = fields.slice(0, index).find((other) => constant && other.constant === constant);
    if (sameConstant)
      throw new Error(`The fields ${sameConstant.name} and ${name} both define ${constant}. Rename one of them`);
    const sameProperty = fields.find((other) => other.name === relation);
    if (sameProperty)
      throw new Error(`The fields ${relation} and ${name} both define the property ${relation}. Rename one of them`);
  }
  return fields;
}

function parseField(part, names, findResource) {
  const [name, typeName, ...modifiers] = part.split(':');
  checkName(name, part, names);
  const type = typeOf(name, typeName, names, findResource);
  for (const [index, modifier] of modifiers.entries()) {
    if (!MODIFIERS.includes(modifier)) {
      throw new Error(`Field ${name}: "${modifier}" is not a modifier. Use ${MODIFIERS.join(', ')}`);
    }
    const [kind] = modifier.split('=');
    if (modifiers.findIndex((other) => other.startsWith(kind)) !== index) {
      throw new Error(`Field ${name}: ${kind} is repeated. Remove one`);
    }
  }
  const column = strings.underscore(name);
  const unique = modifiers.includes('unique');
  if (unique && !type.unique)
    throw new Error(`Field ${name}: ${typeName} cannot be unique. Use ${UNIQUE_TYPES} or ref`);
  checkIdentifier(`Field ${name}`, unique ? `UQ_${names.table}_${column}` : column);
  const field = { ...type, name, column, unique, optional: modifiers.includes('optional') };
  const [, onDelete] = /ondelete=(\w+)/.exec(modifiers.join()) ?? [];
  if (type.target) return reference(field, names, onDelete);
  if (onDelete) throw new Error(`Field ${name}: only a reference has ondelete. Remove it`);
  return field;
}

/** Adds the property of the referenced row, the foreign key, and the action that a deletion of the row causes. */
function reference(field, names, onDelete = 'restrict') {
  const { name, column, target, optional } = field;
  if (!/.Id$/.test(name)) throw new Error(`Field ${name}: the name of a reference must end in Id. Use ${name}Id`);
  if (onDelete === 'setnull' && !optional) throw new Error(`Field ${name}: ondelete=setnull requires optional. Add it`);
  const isSelf = target.plural === names.plural;
  if (isSelf && !optional)
    throw new Error(`Field ${name}: a reference to the same resource must be optional. Add :optional`);
  const relation = name.slice(0, -'Id'.length);
  if (OWN.has(relation))
    throw new Error(`Field ${name}: every resource has or uses a property ${relation}. Use another name`);
  if (relation in Object.prototype)
    throw new Error(`Field ${name}: every JavaScript object has a property ${relation}. Use another name`);
  const constraint = `FK_${names.table}_${strings.underscore(relation)}`;
  checkIdentifier(`Field ${name}`, constraint);
  checkIdentifier(`Field ${name}`, `IX_${names.table}_${column}`);
  return {
    ...field,
    relation,
    isSelf,
    constraint,
    onDelete: onDelete === 'setnull' ? 'SET NULL' : onDelete.toUpperCase(),
  };
}

/** https://www.postgresql.org/docs/current/ddl-system-columns.html */
const SYSTEM_COLUMNS = new Set(['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']);

const wordsOf = (name) => strings.underscore(name).replaceAll('_', ' ');

function checkName(name, part, { singularVariable, pluralVariable }) {
  if (!/^[a-z][A-Za-z0-9]*$/.test(name)) {
    throw new Error(`"${part}" is not a valid field. Use NAME:TYPE, with a name of letters and digits such as dueAt`);
  }
  if (OWN.has(name)) throw new Error(`Field ${name}: every resource has or uses this name. Use another name`);
  if (name in Object.prototype)
    throw new Error(`Field ${name}: every JavaScript object has a property with this name. Use another name`);
  if (name === singularVariable || name === pluralVariable) {
    throw new Error(`Field ${name}: the resource has the same name. Use another name: ${name}Name`);
  }
  if (isReservedInTypeScript(name))
    throw new Error(`Field ${name} is a reserved word of TypeScript. Use another name: ${name}Of`);
  if (isReservedInSql(strings.underscore(name)) || SYSTEM_COLUMNS.has(name)) {
    throw new Error(`Field ${name} is a reserved word of SQL. Use another name: ${name}Value`);
  }
}

function typeOf(name, typeName = '', names, findResource) {
  const type = Object.hasOwn(FIELD_TYPES, typeName) ? FIELD_TYPES[typeName] : undefined;
  if (type) return typeof type === 'function' ? type(wordsOf(name)) : type;
  const [, given] = /^ref=(.+)$/.exec(typeName) ?? [];
  if (given) return referenceType(targetOf(name, given, names, findResource));
  const [, list] = /^enum=(.*)$/.exec(typeName) ?? [];
  if (list === undefined) {
    const suggestion = SUGGESTIONS[typeName.toLowerCase().split('=')[0]];
    throw new Error(`Field ${name}: "${typeName}" is not a type. Use ${suggestion ?? `one of: ${TYPES}`}`);
  }
  const values = list.split('/');
  if (!values.every((value) => /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(value))) {
    throw new Error(
      `Field ${name}: an enum value is not valid. Use letters, digits, - and _, separated by /: enum=draft/sent`,
    );
  }
  if (values.length < 2)
    throw new Error(`Field ${name}: an enum needs at least two values. Separate them with /: enum=draft/sent`);
  if (new Set(values).size < values.length) throw new Error(`Field ${name}: an enum value is repeated. Remove one`);
  const own = enumNames(names, name);
  checkIdentifier(`Field ${name}`, own.sqlType);
  return enumType(own, values);
}

function targetOf(name, given, names, findResource) {
  let target;
  try {
    target = namesOf(given);
  } catch (error) {
    throw new Error(`Field ${name}: ${error.message}`, { cause: error });
  }
  if (target.plural === names.plural) return names;
  return { ...target, ...findResource(`Field ${name}`, target) };
}
