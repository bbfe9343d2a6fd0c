/**
 * The field types. For each type:
 *
 * - `typescript`  its type in the entity and in the DTOs
 * - `columnOptions`  of the entity's column, as code, and `columnReason` for them
 * - `sql`         the column in the migration
 * - `comment`     the description for clients; `example` a value, as code, if it adds information to the type
 * - `openApi`     options that Swagger's plugin cannot infer, and `openApiOptional` for a nullable field
 * - `validators`  decorators of the DTO's property
 * - `sample`, `other`  two values in the tests, as code; `each(n)` a value that differs for every number
 * - `invalid`     values that validation rejects, as code
 * - `sort`        the type by which pages compare it; `filter` decorators of the query parameter; `searched` by ?q=
 * - `unique`      whether the database can hold it to that
 */
export const FIELD_TYPES = {
  string: (words) => ({
    typescript: 'string',
    columnOptions: `type: 'text', collation: 'C'`,
    columnReason: `Byte order, so that sorting does not depend on the database's locale.`,
    sql: 'text COLLATE "C"',
    example: `'some ${words}'`,
    isTelling: true,
    validators: ['IsString()', 'Length(1, 200)'],
    sample: `'some ${words}'`,
    other: `'another ${words}'`,
    each: (n) => `\`${words} \${${n}}\``,
    invalid: [`''`, `'x'.repeat(201)`, `'a \\0 byte'`, '5'],
    sort: 'text',
    searched: true,
    unique: true,
  }),
  text: (words) => ({
    typescript: 'string',
    columnOptions: `type: 'text'`,
    sql: 'text',
    example: `'some ${words}'`,
    validators: ['IsString()', 'Length(1, 10_000)'],
    sample: `'some ${words}'`,
    other: `'another ${words}'`,
    invalid: [`''`, `'x'.repeat(10_001)`, `'a \\0 byte'`, '5'],
    searched: true,
  }),
  int: {
    typescript: 'number',
    columnOptions: `type: 'integer'`,
    sql: 'integer',
    example: '100',
    isTelling: true,
    openApi: `type: 'integer', example: 100`,
    openApiOptional: `type: 'integer', example: 100, nullable: true`,
    validators: ['IsInt()', 'Min(-2_147_483_648)', 'Max(2_147_483_647)'],
    sample: '100',
    other: '-100',
    each: (n) => n,
    invalid: ['1.5', '2_147_483_648', `'5'`, 'true'],
    sort: 'integer',
    unique: true,
  },
  decimal: {
    typescript: 'string',
    columnOptions: `type: 'numeric'`,
    columnReason: 'Without a scale, PostgreSQL keeps the digits as they were given.',
    sql: 'numeric',
    comment: 'Text, so that no digit is lost: up to 15 digits before the point and 4 behind it',
    example: `'12.50'`,
    isTelling: true,
    validators: [
      'IsString()',
      String.raw`Matches(/^(?!-0(\.0+)?$)-?(0|[1-9]\d{0,14})(\.\d{1,4})?$/, { message: 'must be a decimal number as text, such as 12.50' })`,
    ],
    sample: `'12.50'`,
    other: `'-0.0001'`,
    each: (n) => `\`\${${n}}.50\``,
    invalid: ['12.5', `'1.23456'`, `'1e3'`, `'-0'`, `'01'`, `'1'.repeat(16)`],
    sort: 'numeric',
    unique: true,
  },
  boolean: {
    typescript: 'boolean',
    columnOptions: `type: 'boolean'`,
    sql: 'boolean',
    example: 'true',
    validators: ['IsBoolean()'],
    sample: 'true',
    other: 'false',
    invalid: [`'true'`, '1'],
    filter: ['ParseBoolean()', 'IsBoolean()'],
  },
  date: {
    typescript: 'Date',
    columnOptions: `type: 'timestamptz', precision: 3`,
    columnReason: 'Milliseconds, as a Date has them: a page cursor must hold the exact value.',
    sql: 'timestamptz(3)',
    comment: 'With a zone, in the years 2000 to 9999',
    example: `'2030-08-31T22:00:00Z'`,
    validators: ['IsDateTime()'],
    sample: `'2030-08-31T22:00:00.123Z'`,
    other: `'2031-01-01T00:00:00.000Z'`,
    each: (n) => `new Date(Date.UTC(2030, 0, ${n})).toISOString()`,
    invalid: [`'2030-02-31T00:00:00Z'`, `'2030-01-01'`, '5'],
    sort: 'timestamptz',
    unique: true,
  },
  uuid: {
    typescript: 'string',
    columnOptions: `type: 'uuid'`,
    sql: 'uuid',
    example: `'0f8b1c9e-3b7d-4c5a-9f2e-6d1a8b7c5e43'`,
    validators: ['LowerCase()', 'IsUUID()'],
    format: 'uuid',
    sample: `'0f8b1c9e-3b7d-4c5a-9f2e-6d1a8b7c5e43'`,
    other: `'7a2d4e6f-1b3c-4d5e-8f9a-0b1c2d3e4f5a'`,
    each: () => 'randomUUID()',
    invalid: [`'no-uuid'`, '5'],
    filter: ['LowerCase()', 'IsUUID()'],
    unique: true,
  },
  json: {
    typescript: 'Record<string, unknown>',
    columnOptions: `type: 'jsonb'`,
    sql: 'jsonb',
    comment: 'Any JSON object of at most 4096 bytes and 5 levels',
    example: '{ "key": "value" }',
    validators: ['IsJsonObject({ maxBytes: 4096, maxDepth: 5 })'],
    sample: '{ key: [1, { deep: true }] }',
    other: '{ other: null }',
    invalid: ['[]', `'text'`, `{ text: 'x'.repeat(4096) }`],
  },
};

/** One of the values after `enum=`. */
export function enumType({ constant, type, sqlType }, values) {
  const quoted = values.map((value) => `'${value}'`);
  return {
    typescript: type,
    columnOptions: `type: 'enum', enum: ${constant}, enumName: '${sqlType}'`,
    sql: `"${sqlType}"`,
    sqlType,
    constant,
    quoted,
    example: quoted[0],
    openApi: `enum: ${constant}`,
    openApiOptional: `enum: [...${constant}, null], nullable: true`,
    validators: [`IsIn(${constant})`],
    sample: quoted[0],
    other: quoted.at(-1),
    invalid: [`'no-such'`, '5'],
    filter: [`IsIn(${constant})`],
  };
}
