import { strings } from '@angular-devkit/core';
import pluralize from 'pluralize';
import { isReservedInSql, isReservedInTypeScript } from './reserved-words.mjs';

const { camelize, capitalize, classify, underscore } = strings;

// Where pluralize is wrong: https://github.com/plurals/pluralize/issues
pluralize.addSingularRule(/^(.*)caches$/, '$1cache');
pluralize.addUncountableRule('metadata');
for (const word of ['canvas', 'lens', 'atlas']) pluralize.addIrregularRule(word, `${word}es`);

/** PostgreSQL truncates longer names: https://www.postgresql.org/docs/current/sql-syntax-lexical.html */
const MAX_IDENTIFIER = 63;

/** Names that the generated files import or declare in addition to the resource's own. */
const TAKEN_CLASSES = new Set(
  `App Array Body Boolean Check Column Controller Create CreateDateColumn Date Delete Entity EntityManager Env Error Get
   HttpCode IdempotentRequest If IfMatch In Index Injectable JoinColumn List Manager ManyToOne Map MigrationInterface Module
   Number Object OneToMany Page Param PartialType Patch Post PrimaryGeneratedColumn Problem Promise Query QueryRunner Record Relation
   Repository Response Set SortKey String Symbol Test TestApp Type Unique Update UpdateDateColumn
   VersionColumn`.split(/\s+/),
);

/**
 * Returns all forms of a resource's name.
 *
 * @throws {Error} with the reason if one of them is invalid
 */
export function namesOf(given) {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(given)) {
    throw new Error(
      `"${given}" is not a valid resource name. Use lowercase letters, digits and hyphens, and begin with a letter: tax-rates`,
    );
  }
  const words = given.split('-');
  const last = words.pop();
  const inWords = (noun) => [...words, noun].join(' ');
  const names = nounNames(inWords(pluralize.plural(last)), inWords(pluralize.singular(last)));
  for (const word of [names.singularVariable, names.pluralVariable]) {
    if (isReservedInTypeScript(word))
      throw new Error(`${given}: "${word}" is a reserved word of TypeScript. Use a longer name: customer-${given}`);
  }
  if (['migrations', 'typeorm_metadata'].includes(names.table))
    throw new Error(`${given}: TypeORM has a table with this name. Use another name`);
  if (names.table.startsWith('pg_'))
    throw new Error(`${given}: PostgreSQL reserves names that begin with pg_. Use another name`);
  if (isReservedInSql(names.table))
    throw new Error(`${given}: "${names.table}" is a reserved word of SQL. Use a longer name: customer-${given}`);
  if (TAKEN_CLASSES.has(names.Singular)) {
    throw new Error(
      `${given}: the generated code imports another class ${names.Singular}. Use a longer name: customer-${given}`,
    );
  }
  checkIdentifier(given, `IX_${names.table}_created_at`);
  return names;
}

function nounNames(plural, singular) {
  return {
    words: plural,
    word: singular,
    aWord: withArticle(singular),
    AWord: capitalize(withArticle(singular)),
    plural: plural.replaceAll(' ', '-'),
    singular: singular.replaceAll(' ', '-'),
    Plural: classify(plural),
    Singular: classify(singular),
    pluralVariable: camelize(plural),
    singularVariable: camelize(singular),
    aSingular: camelize(withArticle(singular)),
    table: underscore(plural),
    code: underscore(singular),
    CONSTANT: underscore(singular).toUpperCase(),
  };
}

/** As it is spoken: an invoice, a user, an hour. */
function withArticle(noun) {
  const vowel = /^([aeio]|u(?!ni|s[aeiu]|rl|til)|hour|heir|honou?r)/.test(noun) && !/^(eu|one)/.test(noun);
  return `${vowel ? 'an' : 'a'} ${noun}`;
}

/** The values of a field, as one: INVOICE_STATUSES, InvoiceStatus. */
export function enumNames({ Singular, code, table }, field) {
  return {
    constant: `${code}_${underscore(pluralize.plural(field))}`.toUpperCase(),
    type: Singular + classify(field),
    sqlType: `${table}_${underscore(field)}`,
  };
}

export function checkIdentifier(given, identifier) {
  if (identifier.length > MAX_IDENTIFIER) {
    throw new Error(
      `${given} is too long: ${identifier} has more than ${MAX_IDENTIFIER} characters, the limit of PostgreSQL. Use a shorter name`,
    );
  }
}
