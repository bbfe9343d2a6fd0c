// Edits the files of a generated resource, so that its rows contain those of another table: "Nested rows" in docs/development.md.
import { strings } from '@angular-devkit/core';
import { Source } from './source.mjs';

/** A rule that adds the children to their parent. It throws before anything is written if an edited place was changed. */
export function nest(view) {
  const { parent, property, plural, singular, Singular, up, problems } = view;
  const file = (name) => `${parent.folder}/${name}.ts`;
  const { Singular: Parent, singularVariable: row } = parent;
  return (tree) => {
    const edit = (path, change) => {
      const source = new Source(tree, path, plural);
      change(source);
      tree.overwrite(path, source.text);
    };
    edit(file(`${parent.singular}.entity`), (entity) => {
      entity.import(`./${singular}.entity.js`, [Singular], 'import type');
      entity.import('typeorm', ['OneToMany']);
      entity.before(
        '@VersionColumn({ default: 1 })',
        `// By name, because imports in both directions would be a cycle.
  @OneToMany('${Singular}', '${row}')
  ${property}!: ${Singular}[];\n\n  `,
      );
    });
    edit(file(`${parent.singular}.dto`), (dto) => {
      dto.import('class-transformer', ['Type']);
      dto.import('class-validator', ['ArrayMaxSize', 'IsArray', 'ValidateNested']);
      dto.import(`${up}platform/http/validators.js`, ['OptionalNotNull']);
      dto.import(`./${singular}.dto.js`, [`Create${Singular}Dto`, `${Singular}Dto`]);
      dto.before(
        `} export class Update${Parent}Dto extends PartialType(Create${Parent}Dto`,
        `\n  /** At most 100; PATCH replaces them */
  @OptionalNotNull()
  @IsArray()
  @ArrayMaxSize(100)
  @ValidateNested({ each: true })
  @Type(() => Create${Singular}Dto)
  ${property}?: Create${Singular}Dto[];\n`,
      );
      dto.before('/** * Incremented by every change; the ETag', `${property}!: ${Singular}Dto[];\n  `);
    });
    edit(file(`${parent.plural}.service`), (service) => editService(service, view));
    edit(file(`${parent.plural}.controller`), (controller) => {
      documentProblems(controller, view);
      embed(controller, view);
    });
    const tools = file(`${parent.plural}.tools`);
    if (tree.exists(tools)) edit(tools, (source) => embed(source, view));
    edit(file(`${parent.plural}.module`), (module) => {
      module.import(`./${singular}.entity.js`, [Singular]);
      module.replace(
        'TypeOrmModule.forFeature([…])',
        (entities) => `TypeOrmModule.forFeature([${entities}, ${Singular}])`,
      );
    });
    if (problems.length > 0) edit(file(`${parent.singular}.problems`), (source) => defineProblems(source, view));
    const spec = `test/api/${parent.plural}.e2e-spec.ts`;
    if (tree.exists(spec))
      edit(spec, (tests) => tests.replace('const SAMPLE = {', () => `const SAMPLE = { ${property}: [],`));
  };
}

/** Writes the children in the transaction of their parent, and reads them with it. */
function editService(service, view) {
  const { parent, property, singular, Singular, references, targets, up, unknownOf } = view;
  const { Singular: Parent, singularVariable: row, pluralVariable: rows } = parent;
  const Property = strings.classify(property);
  if (!service.has(`...rest }: Create${Parent}Dto`)) useTransactions(service, parent);

  service.import('typeorm', ['type EntityManager', 'In']);
  service.import(`${up}platform/database/insert-row.js`, ['insertRows']);
  for (const target of targets) service.import(`${target.path}/${target.singular}.entity.js`, [target.Singular]);
  service.import(`./${singular}.dto.js`, [`Create${Singular}Dto`], 'import type');
  service.import(`./${singular}.entity.js`, [Singular]);
  const unknown = references.map((field) => unknownOf(field).variable);
  if (unknown.length > 0) service.import(`./${parent.singular}.problems.js`, unknown);

  const read = (manager, list) => `await this.read${Property}(${manager}, ${list});`;
  const insert = `const ${row} = await insertRow(manager.getRepository(${Parent}), rest);`;
  const save = `await manager.save(${row});`;
  const notFound = `throw new Problem(${row}NotFound);`;
  service.before(`...rest }: Create${Parent}Dto`, `${property} = [], `);
  service.before(`...changes }: Update${Parent}Dto`, `${property}, `);
  service.replace(
    `${insert} … return ${row};`,
    (others) => `${insert}${others}
      await this.insert${Property}(manager, ${row}.id, ${property});
      ${read('manager', `[${row}]`)}
      return ${row};`,
  );
  service.before('return page;', `${read(`this.${rows}.manager`, 'page.items')}\n    `);
  service.replace(
    `${notFound} … return ${row};`,
    (others) => `${notFound}${others}
      ${read(`this.${rows}.manager`, `[${row}]`)}
      return ${row};`,
  );
  service.replace(
    `${save} … return ${row};`,
    (others) => `if (${property}) await this.replace${Property}(manager, ${row}, ${property});
      ${save}${others}
      ${read('manager', `[${row}]`)}
      return ${row};`,
  );
  service.endOfClass(
    `${parent.Plural}Service`,
    membersOf(view, Property) + references.map((field) => checkOf(field, view)).join(''),
  );
}

/** Changes a service without children to the form that the edits expect. */
function useTransactions(service, { Singular, Plural, singularVariable: row, pluralVariable: rows }) {
  const insert = `const ${row} = await insertRow(manager.getRepository(${Singular}), rest);
      return ${row};`;
  if (service.has(`create(dto: Create${Singular}Dto, manager: EntityManager)`)) {
    service.replace(
      `create(dto: Create${Singular}Dto, manager: EntityManager): Promise<${Singular}> {
        return insertRow(manager.getRepository(${Singular}), dto);
      }`,
      () => `async create({ ...rest }: Create${Singular}Dto, manager: EntityManager): Promise<${Singular}> {
        ${insert}
      }`,
    );
  } else {
    service.replace(
      `create(dto: Create${Singular}Dto): Promise<${Singular}> { return insertRow(this.${rows}, dto); }`,
      () => `create({ ...rest }: Create${Singular}Dto): Promise<${Singular}> {
        return withRetryableTransaction(this.${rows}.manager, async (manager) => {
          ${insert}
        });
      }`,
    );
  }
  service.before(`list(query: List${Plural}Dto)`, 'async ');
  service.replace('return paginate(…);', (page) => `const page = await paginate(${page});\n    return page;`);
  service.replace(`changes: Update${Singular}Dto`, () => `{ ...changes }: Update${Singular}Dto`);
  service.replace(`return manager.save(${row});`, () => `await manager.save(${row});\n      return ${row};`);
}

function membersOf({ parent, property, words, Singular, references }, Property) {
  const { Singular: Parent, singularVariable: row, pluralVariable: rows, key } = parent;
  const each = row === rows ? 'each' : row; // equipment
  const checks = references.map((field) => `await this.${checkName(field, Singular)}(manager, ${property});`);
  return `
  /** Replaces the ${words}. A later \`updatedAt\` increments the version, also if nothing else changes. */
  private async replace${Property}(manager: EntityManager, ${row}: ${Parent}, ${property}: Create${Singular}Dto[]): Promise<void> {
    await manager.delete(${Singular}, { ${key}: ${row}.id });
    await this.insert${Property}(manager, ${row}.id, ${property});
    ${row}.updatedAt = new Date(Math.max(Date.now(), ${row}.updatedAt.getTime() + 1));
  }

  private async insert${Property}(manager: EntityManager, ${key}: string, ${property}: Create${Singular}Dto[]): Promise<void> {
    ${checks.join('\n    ')}
    const rows = ${property}.map((each, position) => ({ ...each, position, ${key} }));
    await insertRows(manager.getRepository(${Singular}), rows);
  }

  private async read${Property}(manager: EntityManager, ${rows}: ${Parent}[]): Promise<void> {
    const where = { ${key}: In(${rows}.map(({ id }) => id)) };
    const rows = await manager.find(${Singular}, { where, order: { position: 'ASC' } });
    const byId = Map.groupBy(rows, ({ ${key} }) => ${key});
    for (const ${each} of ${rows}) ${each}.${property} = byId.get(${each}.id) ?? [];
  }
`;
}

const checkName = ({ relation }, Singular) => `check${Singular}${strings.classify(relation)}`;

/** A method that rejects unknown references with a pointer to each. The foreign key reports only the first, without its index. */
function checkOf(field, { property, Singular, unknownOf }) {
  const { name, optional, target } = field;
  const { variable } = unknownOf(field);
  const ids = optional ? `flatMap(({ ${name} }) => ${name} ?? [])` : `map(({ ${name} }) => ${name})`;
  const isKnown = `${optional ? `!${name} || ` : ''}known.has(${name})`;
  return `
  private async ${checkName(field, Singular)}(manager: EntityManager, ${property}: Create${Singular}Dto[]): Promise<void> {
    const ids = ${property}.${ids};
    const found = await manager.find(${target.Singular}, { select: { id: true }, where: { id: In(ids) } });
    const known = new Set(found.map(({ id }) => id));
    const errors = ${property}.flatMap(({ ${name} }, index) =>
      ${isKnown} ? [] : [{ in: 'body' as const, pointer: \`#/${property}/\${index}/${name}\`, detail: ${variable}.title }],
    );
    if (errors.length > 0) throw new Problem(${variable}, { errors });
  }
`;
}

/** Adds the DTO of the children to the responses with their parent. */
function embed(source, { parent, property, singular, Singular, plural }) {
  source.import(`./${singular}.dto.js`, [`${Singular}Dto`]);
  if (!source.has('const EMBEDDED = {')) {
    source.text = source.text.replace(
      /\n@(?=(Controller|Injectable)\()/,
      `\n/** The DTOs of embedded rows. */\nconst EMBEDDED = {};\n\n@`,
    );
    source.text = source.text.replaceAll(
      new RegExp(
        String.raw`(\bto(?:Page)?Dto\(\s*${parent.Singular}Dto,\s*await this\.${parent.pluralVariable}\.(?:create|list|get|update)\([^()]*\)),?\s*\)`,
        'g',
      ),
      '$1, EMBEDDED)',
    );
  }
  const calls = (pattern) =>
    source.text.match(new RegExp(String.raw`\bto(?:Page)?Dto\(\s*${parent.Singular}Dto,${pattern}`, 'g'))?.length;
  if (calls('') !== calls(String.raw`[^;{}]*?,\s*EMBEDDED,?\s*\)`)) source.reject(`a response without ${plural}`);
  source.replace('const EMBEDDED = {', () => `const EMBEDDED = { ${property}: ${Singular}Dto,`);
}

function documentProblems(controller, { parent, problems }) {
  const names = problems.map(({ variable }) => `problems.${variable}`).join(', ');
  if (!names) return;
  const created = `@ApiCreated(${parent.Singular}Dto)`;
  if (controller.has(`${created} @ApiProblems(`))
    controller.replace(`${created} @ApiProblems(…)`, (others) => `${created} @ApiProblems(${others}, ${names})`);
  else controller.replace(created, () => `${created} @ApiProblems(${names})`);
  controller.replace('@ApiProblems(…) async update(', (others) => `@ApiProblems(${others}, ${names}) async update(`);
}

function defineProblems(source, { problems, restricting }) {
  for (const { path, singular, singularVariable } of restricting)
    source.import(`${path}/${singular}.problems.js`, [`${singularVariable}InUse`]);
  for (const { variable, code, status, title, constraint } of problems) {
    const inUse = constraint.inUse ? `, inUse: ${constraint.inUse}` : '';
    source.text += `export const ${variable} = defineProblem('${code}', ${status}, '${title}', { name: '${constraint.name}', field: '${constraint.field}'${inUse} });\n`;
  }
}
