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
      entity.before('@VersionColumn({ default: 1 })', [
        `// By name, because imports in both directions would be a cycle`,
        `@OneToMany('${Singular}', '${row}')`,
        `${property}!: ${Singular}[];\n\n`,
      ]);
    });
    edit(file(`${parent.singular}.dto`), (dto) => {
      dto.import('class-transformer', ['Type']);
      dto.import('class-validator', ['ArrayMaxSize', 'IsArray', 'ValidateNested']);
      dto.import(`${up}platform/http/validators.js`, ['OptionalNotNull']);
      dto.import(`./${singular}.dto.js`, [`Create${Singular}Dto`, `${Singular}Dto`]);
      dto.before(`} export class Update${Parent}Dto extends PartialType(Create${Parent}Dto`, [
        `\n\n/** At most 100; PATCH replaces them */`,
        `@OptionalNotNull() @IsArray() @ArrayMaxSize(100) @ValidateNested({ each: true }) @Type(() => Create${Singular}Dto)`,
        `${property}?: Create${Singular}Dto[];`,
      ]);
      dto.before('/** * Incremented by every change; the ETag', [`${property}!: ${Singular}Dto[];`]);
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
        ([entities]) => `TypeOrmModule.forFeature([${entities}, ${Singular}])`,
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
  const { parent, property, singular, Singular, words, references, problems, up } = view;
  const { Singular: Parent, singularVariable: row, pluralVariable: rows } = parent;
  const Property = strings.classify(property);
  const isFirst = !service.has(`...rest }: Create${Parent}Dto`);
  if (isFirst) useTransactions(service, parent);

  service.import('typeorm', ['type EntityManager', 'In']);
  service.import(`${up}platform/database/insert-row.js`, ['insertRows']);
  service.import(`./${singular}.dto.js`, [`Create${Singular}Dto`], 'import type');
  service.import(`./${singular}.entity.js`, [Singular]);
  service.before(`...rest }: Create${Parent}Dto`, [`${property} = [], `]);
  service.before(`...changes }: Update${Parent}Dto`, [`${property}, `]);
  const insert = `const ${row} = await insertRow(manager.getRepository(${Parent}), rest);`;
  service.replace(`${insert} … return ${row};`, ([others]) => [
    insert,
    others,
    `await this.insert${Property}(manager, ${row}.id, ${property});`,
    `await this.read${Property}(manager, [${row}]);`,
    `return ${row};`,
  ]);
  service.replace(`return page;`, () => [
    `await this.read${Property}(this.${rows}.manager, page.items);`,
    `return page;`,
  ]);
  const notFound = `throw new Problem(${row}NotFound);`;
  service.replace(`${notFound} … return ${row};`, ([others]) => [
    notFound,
    others,
    `await this.read${Property}(this.${rows}.manager, [${row}]);`,
    `return ${row};`,
  ]);
  service.replace(`await manager.save(${row}); … return ${row};`, ([others]) => [
    `if (${property}) await this.replace${Property}(manager, ${row}, ${property});`,
    `await manager.save(${row});`,
    others,
    `await this.read${Property}(manager, [${row}]);`,
    `return ${row};`,
  ]);

  for (const { target } of references) {
    service.import(`${view.targets.find(({ plural }) => plural === target.plural).path}/${target.singular}.entity.js`, [
      target.Singular,
    ]);
  }
  const unknown = problems.filter(({ status }) => status === 422);
  if (unknown.length > 0)
    service.import(
      `./${parent.singular}.problems.js`,
      unknown.map(({ variable }) => variable),
    );
  const checks = references.map(
    ({ relation }) => `await this.check${Singular}${strings.classify(relation)}(manager, ${property});`,
  );
  const parameters = `manager: EntityManager, ${row}: ${Parent}, ${property}: Create${Singular}Dto[]`;
  service.endOfClass(`${parent.Plural}Service`, [
    `\n\n  /** Replaces the ${words}. A later \`updatedAt\` increments the version, also if nothing else changes. */`,
    `private async replace${Property}(${parameters}): Promise<void> {`,
    `await manager.delete(${Singular}, { ${parent.key}: ${row}.id });`,
    `await this.insert${Property}(manager, ${row}.id, ${property});`,
    `${row}.updatedAt = new Date(Math.max(Date.now(), ${row}.updatedAt.getTime() + 1));`,
    `}\n\nprivate async insert${Property}(manager: EntityManager, ${parent.key}: string, ${property}: Create${Singular}Dto[]): Promise<void> {`,
    ...checks,
    `const rows = ${property}.map((each, position) => ({ ...each, position, ${parent.key} }));`,
    `await insertRows(manager.getRepository(${Singular}), rows);`,
    `}\n\nprivate async read${Property}(manager: EntityManager, ${rows}: ${Parent}[]): Promise<void> {`,
    `const where = { ${parent.key}: In(${rows}.map(({ id }) => id)) };`,
    `const rows = await manager.find(${Singular}, { where, order: { position: 'ASC' } });`,
    `const byId = Map.groupBy(rows, ({ ${parent.key} }) => ${parent.key});`,
    `for (const ${row} of ${rows}) ${row}.${property} = byId.get(${row}.id) ?? [];`,
    `}`,
    ...references.map((field) => checkOf(field, view)),
  ]);
}

/** Prepares a service without children for the edits. */
function useTransactions(service, { Singular, Plural, singularVariable: row, pluralVariable: rows }) {
  const insert = [`const ${row} = await insertRow(manager.getRepository(${Singular}), rest);`, `return ${row};`];
  const create = `create({ ...rest }: Create${Singular}Dto`;
  if (service.has(`create(dto: Create${Singular}Dto, manager: EntityManager)`)) {
    service.replace(
      `create(dto: Create${Singular}Dto, manager: EntityManager): Promise<${Singular}> { return insertRow(manager.getRepository(${Singular}), dto); }`,
      () => [`async ${create}, manager: EntityManager): Promise<${Singular}> {`, ...insert, '  }'],
    );
  } else {
    service.replace(
      `create(dto: Create${Singular}Dto): Promise<${Singular}> { return insertRow(this.${rows}, dto); }`,
      () => [
        `${create}): Promise<${Singular}> {`,
        `return withRetryableTransaction(this.${rows}.manager, async (manager) => {`,
        ...insert,
        `}); }`,
      ],
    );
  }
  service.before(`list(query: List${Plural}Dto)`, ['async ']);
  service.replace('return paginate(…);', ([page]) => [`const page = await paginate(${page});`, `return page;`]);
  service.replace(`changes: Update${Singular}Dto`, () => `{ ...changes }: Update${Singular}Dto`);
  service.replace(`return manager.save(${row});`, () => [`await manager.save(${row});`, `return ${row};`]);
}

/** A method that rejects references to unknown rows, with a pointer to each. */
function checkOf({ name, optional, relation, target, constraint }, { property, Singular, problems }) {
  const { variable } = problems.find((problem) => problem.constraint.name === constraint);
  return [
    `\n\nprivate async check${Singular}${strings.classify(relation)}(manager: EntityManager, ${property}: Create${Singular}Dto[]): Promise<void> {`,
    `const ids = ${property}.${optional ? `flatMap(({ ${name} }) => ${name} ?? [])` : `map(({ ${name} }) => ${name})`};`,
    `const found = await manager.find(${target.Singular}, { select: { id: true }, where: { id: In(ids) } });`,
    `const known = new Set(found.map(({ id }) => id));`,
    `const errors = ${property}.flatMap(({ ${name} }, index) =>`,
    `  ${optional ? `!${name} || ` : ''}known.has(${name}) ? [] :`,
    `  [{ in: 'body' as const, pointer: \`#/${property}/\${index}/${name}\`, detail: ${variable}.title }]);`,
    `if (errors.length > 0) throw new Problem(${variable}, { errors });`,
    `}`,
  ].join('\n');
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
    controller.replace(`${created} @ApiProblems(…)`, ([others]) => `${created} @ApiProblems(${others}, ${names})`);
  else controller.replace(created, () => `${created} @ApiProblems(${names})`);
  controller.replace('@ApiProblems(…) async update(', ([others]) => `@ApiProblems(${others}, ${names}) async update(`);
}

function defineProblems(source, { problems, restricting }) {
  for (const { path, singular, singularVariable } of restricting)
    source.import(`${path}/${singular}.problems.js`, [`${singularVariable}InUse`]);
  for (const { variable, code, status, title, constraint } of problems) {
    const inUse = constraint.inUse ? `, inUse: ${constraint.inUse}` : '';
    source.text += `export const ${variable} = defineProblem('${code}', ${status}, '${title}', { name: '${constraint.name}', field: '${constraint.field}'${inUse} });\n`;
  }
}
