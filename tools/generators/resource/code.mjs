// The parts of the templates that depend on the fields. Whitespace does not matter, because the output is formatted.

const lines = (parts) => parts.filter(Boolean).join('\n');
const nullable = ({ typescript, optional }) => (optional ? `${typescript} | null` : typescript);

const isSortable = ({ sort, optional }) => sort !== undefined && (!optional || sort === 'timestamptz');

function entityColumn(field, index, fields) {
  const { name, column, optional, columnReason } = field;
  const isFirst = fields.findIndex((other) => other.columnReason === columnReason) === index;
  const options = [name === column ? '' : `name: '${column}'`, field.columnOptions, optional ? 'nullable: true' : ''];
  return lines([
    columnReason && isFirst && `// ${columnReason}`,
    `@Column({ ${options.filter(Boolean).join(', ')} })`,
    `${name}!: ${nullable(field)};`,
  ]);
}

function createProperty(field) {
  const { name, optional, comment, example, openApi, openApiOptional, validators } = field;
  return lines([
    docComment([comment, !openApi && `@example ${example}`]),
    openApi && (optional ? `@ApiPropertyOptional({ ${openApiOptional} })` : `@ApiProperty({ ${openApi} })`),
    optional && '@IsOptional()',
    ...validators.map((validator) => `@${validator}`),
    `${name}${optional ? '?' : '!'}: ${nullable(field)};`,
  ]);
}

function filterProperty({ name, typescript, filter, format, constant }) {
  return lines([
    docComment([format && `@format ${format}`]),
    constant && `@ApiPropertyOptional({ enum: ${constant} })`,
    '@IsOptional()',
    ...filter.map((decorator) => `@${decorator}`),
    `${name}?: ${typescript};`,
  ]);
}

function shownProperty(field) {
  const { name, example, isTelling, format, constant, optional, openApi, openApiOptional } = field;
  return lines([
    docComment([format && `@format ${format}`, isTelling && `@example ${example}`]),
    constant && `@ApiProperty({ ${optional ? openApiOptional : openApi} })`,
    `${name}!: ${nullable(field)};`,
  ]);
}

function docComment(parts) {
  const present = parts.filter(Boolean);
  if (present.length < 2) return present.length === 1 ? `/** ${present[0]} */` : '';
  return ['/**', ...present.map((part) => ` * ${part}`), ' */'].join('\n');
}

/** Returns an entry of SORT_KEYS. Null sorts after every date. */
function sortKey({ name, column, sort, optional }) {
  const valueOf = {
    text: name,
    integer: `String(${name})`,
    numeric: name,
    timestamptz: optional ? `${name}?.toISOString() ?? 'infinity'` : `${name}.toISOString()`,
  };
  const sql = optional ? `\`coalesce(${column}, 'infinity')\`` : `'${column}'`;
  return `${name}: { sql: ${sql}, type: '${sort}', valueOf: ({ ${name} }) => ${valueOf[sort]} },`;
}

/** The condition of `?q=`. */
function searchCondition(fields) {
  const conditions = fields.map(({ column }) => `strpos(lower(${column}), lower(:q)) > 0`);
  return conditions.length === 1 ? conditions[0] : `(${conditions.join(' OR ')})`;
}

/** "number, title or notes" */
function wordList(words, conjunction) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${conjunction} ${words.at(-1)}`;
}

function sqlColumn({ column, sql, optional }) {
  return `"${column}" ${sql}${optional ? '' : ' NOT NULL'},`;
}

/** Properties of an object, with the values that `valueOf` gives them. */
const object = (fields, valueOf) => `{ ${fields.map((field) => `${field.name}: ${valueOf(field)}`).join(', ')} }`;

/** A value that no other record has, where that is required. */
const builderValue = ({ unique, each, sample }) => (unique ? each('++count') : sample);

/** The imports of the DTOs: the names that their decorators and types use. */
function dtoImports({ fields, filters, searched, enums, singular, up }) {
  const properties = [
    ...fields.map(createProperty),
    ...filters.map(filterProperty),
    ...fields.map(shownProperty),
  ].join();
  const always = ['ApiPropertyOptional', 'PartialType', 'IsIn', 'PageQueryDto'];
  const search = searched.length > 0 ? ['IsOptional', 'IsString', 'Length'] : [];
  const used = new Set([...always, ...search, ...Array.from(properties.matchAll(/@(\w+)\(/g), ([, name]) => name)]);
  const from = (module, ...names) => {
    const wanted = names.filter((name) => used.has(name));
    return wanted.length > 0 && `import { ${wanted.join(', ')} } from '${module}';`;
  };
  const entity = enums.flatMap(({ constant, typescript }) => [constant, `type ${typescript}`]);
  return lines([
    from('@nestjs/swagger', 'ApiProperty', 'ApiPropertyOptional', 'PartialType'),
    from(
      'class-validator',
      ...['IsBoolean', 'IsIn', 'IsInt', 'IsOptional', 'IsString', 'IsUUID', 'Length', 'Matches', 'Max', 'Min'],
    ),
    from(`${up}platform/http/page-query.dto.js`, 'PageQueryDto'),
    from(`${up}platform/http/validators.js`, 'IsDateTime', 'IsJsonObject', 'LowerCase', 'ParseBoolean'),
    entity.length > 0 && `import { ${entity.join(', ')} } from './${singular}.entity.js';`,
  ]);
}

export const code = {
  ...{ object, wordList },
  ...{ entityColumn, sqlColumn },
  ...{ dtoImports, createProperty, filterProperty, shownProperty },
  ...{ isSortable, sortKey, searchCondition },
  builderValue,
};
