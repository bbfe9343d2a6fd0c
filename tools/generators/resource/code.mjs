// The parts of the templates that depend on the fields. Whitespace does not matter, because the output is formatted.

const lines = (parts) => parts.filter(Boolean).join('\n');
const nullable = ({ typescript, optional }) => (optional ? `${typescript} | null` : typescript);

const NULLABLE_SORTS = new Set(['date', 'timestamptz']);
const isSortable = ({ sort, optional }) => sort !== undefined && (!optional || NULLABLE_SORTS.has(sort));

function entityColumn(field, index, fields) {
  const { name, column, optional, columnReason } = field;
  const isFirst = fields.findIndex((other) => other.columnReason === columnReason) === index;
  const options = [name === column ? '' : `name: '${column}'`, field.columnOptions, optional ? 'nullable: true' : ''];
  return lines([
    columnReason && isFirst && `// ${columnReason}`,
    `@Column({ ${options.filter(Boolean).join(', ')} })`,
    `${name}!: ${nullable(field)};`,
    field.target && relation(field),
  ]);
}

function relation({ relation: name, column, target, constraint, onDelete, optional }) {
  return lines([
    '\n',
    `@ManyToOne(() => ${target.Singular}, { onDelete: '${onDelete}' })`,
    `@JoinColumn({ name: '${column}', foreignKeyConstraintName: '${constraint}' })`,
    `${name}?: Relation<${target.Singular}>${optional ? ' | null' : ''};`,
  ]);
}

function createProperty(field) {
  const { name, optional, comment, format, example, openApi, openApiOptional, validators } = field;
  return lines([
    docComment([comment, format && `@format ${format}`, example && !openApi && `@example ${example}`]),
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
function sortKey({ name, sort, optional }, alias) {
  const text = { integer: `String(${name})`, timestamptz: `${name}${optional ? '?' : ''}.toISOString()` }[sort] ?? name;
  const sql = optional ? `\`coalesce(${alias}.${name}, 'infinity')\`` : `'${alias}.${name}'`;
  const value = optional ? `${text} ?? 'infinity'` : text;
  return `${name}: { sql: ${sql}, type: '${sort}', valueOf: ({ ${name} }) => ${value} },`;
}

/** The columns of `?q=`, as code. */
const searchColumns = (fields, alias) => `[${fields.map(({ name }) => `'${alias}.${name}'`).join(', ')}]`;

/** The index of the entity. TypeORM ignores one with an expression. */
const entityIndex = ({ name, properties }) =>
  properties
    ? `@Index('${name}', [${properties.map((property) => `'${property}'`).join(', ')}])`
    : `@Index('${name}', { synchronize: false })`;

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
const builderValue = ({ unique, each, sample, name, target }) => {
  if (target) return `fields.${name} ?? (await create${target.Singular}(app)).id`;
  return unique ? each('++count') : sample;
};

/** A referenced row in the response. */
function includedProperty({ relation: name, target }) {
  return lines([
    `/** Only with \`include=${name}\` */`,
    `@ApiPropertyOptional({ type: () => ${target.Singular}Dto, nullable: true })`,
    `${name}?: ${target.Singular}Dto | null;`,
  ]);
}

/** The imports of the DTOs: the names that their decorators and types use. */
function dtoImports({ fields, filters, searched, enums, included, targets, singular, up, isChild }) {
  const properties = [
    ...fields.map(createProperty),
    ...filters.map(filterProperty),
    ...fields.map(shownProperty),
  ].join();
  const always = isChild ? [] : ['ApiPropertyOptional', 'PartialType', 'IsIn', 'PageQueryDto'];
  const search = searched.length > 0 ? ['IsOptional', 'IsString', 'Length'] : [];
  const include = included.length > 0 ? ['IsOptional', 'PickType', 'ParseList'] : [];
  const used = new Set([
    ...always,
    ...search,
    ...include,
    ...Array.from(properties.matchAll(/@(\w+)\(/g), ([, name]) => name),
  ]);
  const from = (module, ...names) => {
    const wanted = names.filter((name) => used.has(name));
    return wanted.length > 0 && `import { ${wanted.join(', ')} } from '${module}';`;
  };
  const entity = enums.flatMap(({ constant, typescript }) => [constant, `type ${typescript}`]);
  return lines([
    from('@nestjs/swagger', 'ApiProperty', 'ApiPropertyOptional', 'PartialType', 'PickType'),
    from(
      'class-validator',
      ...[
        'IsBoolean',
        'IsEmail',
        'IsIn',
        'IsInt',
        'IsOptional',
        'IsString',
        'IsUrl',
        'IsUUID',
        'Matches',
        'Max',
        'Min',
      ],
    ),
    from(`${up}platform/http/page-query.dto.js`, 'PageQueryDto'),
    from(
      `${up}platform/http/validators.js`,
      ...[
        'IsCalendarDate',
        'IsDateTime',
        'IsJsonObject',
        'Length',
        'LowerCase',
        'MaxLength',
        'ParseBoolean',
        'ParseList',
      ],
    ),
    ...(included.length > 0 ? targets : []).map(
      (target) => `import { ${target.Singular}Dto } from '${target.path}/${target.singular}.dto.js';`,
    ),
    entity.length > 0 && `import { ${entity.join(', ')} } from './${singular}.entity.js';`,
  ]);
}

export const code = {
  ...{ object, wordList },
  ...{ entityColumn, entityIndex, sqlColumn },
  ...{ dtoImports, createProperty, filterProperty, shownProperty, includedProperty },
  ...{ isSortable, sortKey, searchColumns },
  builderValue,
};
