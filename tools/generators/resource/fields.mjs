import { strings } from '@angular-devkit/core';
import { enumType, FIELD_TYPES } from './field-types.mjs';
import { checkIdentifier, enumNames } from './names.mjs';
import { isReservedInSql, isReservedInTypeScript } from './reserved-words.mjs';

const TYPES = [...Object.keys(FIELD_TYPES), 'enum=A/B'].join(', ');
/** Every resource has them, or its list has a parameter or its service a variable of this name. */
const OWN = new Set('id version createdAt updatedAt limit cursor sort page q query items prototype'.split(' '));

/**
 * Reads `number:string:unique,dueAt:date:optional,status:enum=draft/sent`.
 *
 * @throws {Error} that names the first field that is wrong, and why
 */
export function parseFields(text, names) {
  const fields = text.split(',').map((part) => parseField(part.trim(), names));
  for (const [index, { name, column }] of fields.entries()) {
    const twin = fields.slice(0, index).find((other) => other.column === column);
    if (twin) throw new Error(`The fields ${twin.name} and ${name} would be the same column`);
  }
  return fields;
}

function parseField(part, names) {
  const [name, typeName, ...modifiers] = part.split(':');
  checkName(name, part, names);
  const type = typeOf(name, typeName, names);
  for (const [index, modifier] of modifiers.entries()) {
    if (!['optional', 'unique'].includes(modifier)) {
      throw new Error(`Field ${name}: "${modifier}" is neither optional nor unique`);
    }
    if (modifiers.indexOf(modifier) !== index) throw new Error(`Field ${name}: ${modifier} stands twice`);
  }
  const column = strings.underscore(name);
  const unique = modifiers.includes('unique');
  if (unique && !type.unique)
    throw new Error(`Field ${name}: ${typeName} cannot be unique; string, int, decimal, date and uuid can`);
  checkIdentifier(`Field ${name}`, unique ? `UQ_${names.table}_${column}` : column);
  return { ...type, name, column, unique, optional: modifiers.includes('optional') };
}

const wordsOf = (name) => strings.underscore(name).replaceAll('_', ' ');

function checkName(name, part, { singularVariable, pluralVariable }) {
  if (!/^[a-z][A-Za-z0-9]*$/.test(name)) {
    throw new Error(`"${part}" is no field: NAME:TYPE, the name in letters and digits as in dueAt`);
  }
  if (OWN.has(name)) throw new Error(`Field ${name}: every resource has or uses one of this name already`);
  if (name in Object.prototype) throw new Error(`Field ${name}: JavaScript's objects have one of this name already`);
  if (name === singularVariable || name === pluralVariable) {
    throw new Error(`Field ${name}: it has the name of the resource. Say more: ${name}Name`);
  }
  if (isReservedInTypeScript(name))
    throw new Error(`Field ${name}: a reserved word of TypeScript. Say more: ${name}Of`);
  if (isReservedInSql(strings.underscore(name))) {
    throw new Error(`Field ${name}: a reserved word of SQL. Say more: ${name}Value`);
  }
}

function typeOf(name, typeName = '', names) {
  const type = Object.hasOwn(FIELD_TYPES, typeName) ? FIELD_TYPES[typeName] : undefined;
  if (type) return typeof type === 'function' ? type(wordsOf(name)) : type;
  const [, list] = /^enum=(.*)$/.exec(typeName) ?? [];
  if (list === undefined) throw new Error(`Field ${name}: "${typeName}" is no type. There are: ${TYPES}`);
  const values = list.split('/');
  if (!values.every((value) => /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(value))) {
    throw new Error(`Field ${name}: the values of an enum are letters, digits, - and _, with / between them`);
  }
  if (values.length < 2) throw new Error(`Field ${name}: an enum has two values at least`);
  if (new Set(values).size < values.length) throw new Error(`Field ${name}: a value stands twice`);
  const own = enumNames(names, name);
  checkIdentifier(`Field ${name}`, own.sqlType);
  return enumType(own, values);
}
