import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

/** The surroundings of each TypeScript example of docs/development.md, by its heading, in the order of the examples. */
const SCAFFOLDS: Record<string, ((example: string) => string)[]> = {
  'Environment variable': [
    (example) => `declare function Integer(min: number, max: number): PropertyDecorator;
      export class Env { ${example} }`,
  ],
  Scope: [
    (example) => `import { Get } from '@nestjs/common';
      import { RequireScopes } from '../platform/auth/auth.decorators.js';
      export class OrdersController { ${example} export(): void {} }`,
  ],
  Relation: [
    (example) => `import { JoinColumn, ManyToOne } from 'typeorm';
      class Customer { id!: string }
      export class Invoice { ${example} }`,
    (example) => `import { defineProblem } from '../platform/problems/problem.js';
      ${example}`,
  ],
  'Outbound call': [
    (example) => `import { Problem, type ProblemType } from '../platform/problems/problem.js';
      declare const ratesUnavailable: ProblemType;
      export class OrdersService { ${example} }`,
  ],
  'Migration on a live table': [
    (example) => `import type { MigrationInterface, QueryRunner } from 'typeorm';
      ${example}`,
  ],
};

const sections = readFileSync('docs/development.md', 'utf8').split('## Where does it go?')[1]!.split(/^### /m).slice(1);
const examples = sections.flatMap((section) => {
  const [heading = ''] = section.split('\n');
  return [...section.matchAll(/^ *```ts\n(.*?)^ *```/gms)].map(([, code], index) => ({
    heading,
    index,
    file: resolve('src/examples', `${heading.replaceAll(' ', '-')}-${index}.ts`),
    source: SCAFFOLDS[heading]?.[index]?.(code!),
  }));
});

const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile('tsconfig.json', (file) => readFileSync(file, 'utf8')).config,
  ts.sys,
  process.cwd(),
);
const host = ts.createCompilerHost(options);
const sources = new Map(examples.map(({ file, source }) => [file, source]));
const program = ts.createProgram([...sources.keys()], options, {
  ...host,
  fileExists: (file) => sources.has(file) || host.fileExists(file),
  readFile: (file) => sources.get(file) ?? host.readFile(file),
  getSourceFile: (file, target) => {
    const source = sources.get(file);
    return source === undefined ? host.getSourceFile(file, target) : ts.createSourceFile(file, source, target);
  },
});

describe('docs/development.md', () => {
  it('has an example for each scaffold', () => {
    expect(examples.map(({ heading }) => heading)).toEqual(
      Object.entries(SCAFFOLDS).flatMap(([heading, scaffolds]) => scaffolds.map(() => heading)),
    );
  });

  it.each(examples)('has an example that compiles: $heading, $index', ({ file }) => {
    const errors = ts.getPreEmitDiagnostics(program, program.getSourceFile(file));
    expect(errors.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
  });
});
