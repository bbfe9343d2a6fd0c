const BYTE_ORDER = `Byte order, so that sorting does not depend on the database's locale.`;

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
 * - `found`       a value that contains `found`, if ?q= searches the field
 * - `invalid`     values that validation rejects, as code
 * - `sort`        the type by which pages compare it; `filter` decorators of the query parameter; `searched` by ?q=
 * - `isTitle`     whether a short term of ?q= is compared with its beginning, rather than with another field's
 * - `unique`      whether the database can hold it to that
 *
 * A reference also has `relation`, the property of the referenced row, and the names of its foreign key and problems.
 */
export const FIELD_TYPES = {
  string: (words) => ({
    typescript: 'string',
    columnOptions: `type: 'text', collation: 'C'`,
    columnReason: BYTE_ORDER,
    sql: 'text COLLATE "C"',
    example: `'some ${words}'`,
    isTelling: true,
    validators: ['IsString()', 'Length(1, 200)'],
    sample: `'some ${words}'`,
    other: `'another ${words}'`,
    each: (n) => `\`${words} \${${n}}\``,
    invalid: [`''`, `'x'.repeat(201)`, `'a \\0 byte'`, '5'],
    found: `'Found'`,
    sort: 'text',
    searched: true,
    isTitle: true,
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
    each: (n) => `\`${words} \${${n}}\``,
    invalid: [`''`, `'x'.repeat(10_001)`, `'a \\0 byte'`, '5'],
    found: `'Found'`,
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
  bigint: {
    typescript: 'string',
    columnOptions: `type: 'bigint'`,
    sql: 'bigint',
    comment: 'Text, so that no digit is lost: an integer of up to 18 digits',
    example: `'9007199254740993'`,
    isTelling: true,
    validators: [
      'IsString()',
      String.raw`Matches(/^(0|-?[1-9]\d{0,17})$/, { message: 'must be an integer as text, such as 9007199254740993' })`,
    ],
    sample: `'9007199254740993'`,
    other: `'-1'`,
    each: (n) => `String(${n})`,
    invalid: ['5', `'1.5'`, `'-0'`, `'01'`, `'1'.repeat(19)`],
    sort: 'bigint',
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
    typescript: 'string',
    columnOptions: `type: 'date'`,
    sql: 'date',
    example: `'2030-08-31'`,
    isTelling: true,
    validators: ['IsCalendarDate()'],
    format: 'date',
    sample: `'2030-08-31'`,
    other: `'1999-12-31'`,
    each: (n) => `new Date(Date.UTC(2030, 0, ${n})).toISOString().slice(0, 10)`,
    invalid: [`'2030-02-31'`, `'2030-08-31T00:00:00Z'`, '5'],
    sort: 'date',
    unique: true,
  },
  datetime: {
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
  email: {
    typescript: 'string',
    columnOptions: `type: 'text', collation: 'C'`,
    columnReason: BYTE_ORDER,
    sql: 'text COLLATE "C"',
    comment: 'Stored in lower case',
    example: `'ada@example.com'`,
    isTelling: true,
    validators: ['LowerCase()', 'IsEmail()'],
    format: 'email',
    sample: `'ada@example.com'`,
    other: `'grace@example.com'`,
    found: `'found@example.com'`,
    each: (n) => `\`person-\${${n}}@example.com\``,
    invalid: [`'ada'`, `'ada@'`, `\`\${'x'.repeat(65)}@example.com\``, '5'],
    sort: 'text',
    searched: true,
    unique: true,
  },
  url: {
    typescript: 'string',
    columnOptions: `type: 'text', collation: 'C'`,
    columnReason: BYTE_ORDER,
    sql: 'text COLLATE "C"',
    example: `'https://example.com/'`,
    isTelling: true,
    validators: [`IsUrl({ protocols: ['http', 'https'], require_protocol: true })`, 'MaxLength(2_000)'],
    format: 'uri',
    sample: `'https://example.com/a?b=c'`,
    other: `'http://www.example.org:8080'`,
    found: `'https://found.example.com'`,
    each: (n) => `\`https://example.com/\${${n}}\``,
    invalid: [`'example.com'`, `'javascript:alert(1)'`, `\`https://example.com/\${'x'.repeat(2_000)}\``, '5'],
    sort: 'text',
    searched: true,
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

/** The id of a row of another resource, or of the same one. */
export function referenceType(target) {
  const { sample: _, other: __, each: ___, example: ____, ...uuid } = FIELD_TYPES.uuid;
  return { ...uuid, target, comment: `The id of ${target.aWord}` };
}

/** Other names of the types, and what to write instead. */
export const SUGGESTIONS = {
  ...{ timestamp: 'datetime', timestamptz: 'datetime', instant: 'datetime', time: 'datetime', day: 'date' },
  ...{ number: 'int or decimal', integer: 'int', smallint: 'int', long: 'bigint', bigserial: 'bigint', int8: 'bigint' },
  ...{ float: 'decimal', double: 'decimal', real: 'decimal', numeric: 'decimal', money: 'decimal' },
  ...{ str: 'string', varchar: 'string', char: 'string', bool: 'boolean', guid: 'uuid', id: 'uuid' },
  ...{ object: 'json', jsonb: 'json', mail: 'email', uri: 'url', link: 'url' },
  ...{ enum: 'enum=A/B', reference: 'ref=RESOURCE', references: 'ref=RESOURCE', relation: 'ref=RESOURCE' },
  ...{ belongsto: 'ref=RESOURCE', fk: 'ref=RESOURCE', ref: 'ref=RESOURCE' },
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
