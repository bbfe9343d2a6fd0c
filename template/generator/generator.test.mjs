// Ten resources with every type of field, made in one fresh clone: what the generator writes passes every check as it is,
// and can be taken away again.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parseFields } from '../../tools/generators/resource/fields.mjs';
import { namesOf } from '../../tools/generators/resource/names.mjs';
import { freshCopy } from '../support/fresh-copy.mjs';

const clone = freshCopy('generator');
after(() => clone.remove());
const read = (file) => readFileSync(join(clone.folder, file), 'utf8');
const write = (file, text) => writeFileSync(join(clone.folder, file), text);

const attempt = (...command) => clone.attempt(...command);

/** Runs scripts of package.json, which all must pass. */
function passes(...scripts) {
  for (const script of scripts) {
    const { status, output } = attempt('npm', 'run', script);
    assert.equal(status, 0, `${script}:\n${output}`);
  }
}

/** The name as it is given, the resource that it becomes, and its fields. */
const RESOURCES = [
  ['invoices', 'invoices', 'number:string:unique,amountCents:int,dueAt:date:optional,status:enum=draft/sent/paid'],
  ['people', 'people', 'name:string,born:date,vatNumber:string:optional:unique'],
  ['category', 'categories', ''],
  ['status', 'statuses', 'rank:int:unique,open:boolean,note:text:optional'],
  ['TaxRates', 'tax-rates', 'rate:decimal:unique,surcharge:decimal:optional,minimum:decimal,validFrom:date:unique'],
  ['equipment', 'equipment', 'serial:uuid:unique,ownerId:uuid,lenderId:uuid:optional'],
  ['api-clients', 'api-clients', 'settings:json,extra:json:optional'],
  ['news', 'news', 'text:text,draft:boolean:optional,weight:int:optional'],
  ['caches', 'caches', 'level:enum=1st/2nd-best:optional'],
  ['user-addresses', 'user-addresses', 'line1:string,isoCode2:string,type:string,object:json,get:int'],
];

describe('resources', () => {
  test('are made by nest, and by npm for scripts', () => {
    for (const [index, [name, plural, fields]] of RESOURCES.entries()) {
      if (index < 5) clone.run('npx', 'nest', 'generate', 'resource', name, ...(fields ? [fields] : []));
      else clone.run('npm', 'run', 'generate', '--', name, `--fields=${fields}`);
      assert.ok(existsSync(join(clone.folder, `src/${plural}/${plural}.controller.ts`)), `${name} becomes ${plural}`);
    }
    clone.run('npx', 'nest', 'g', 'res', 'payments', 'billing');
    assert.match(read('src/app.module.ts'), /'\.\/billing\/payments\/payments\.module\.js'/);
    clone.run('npm', 'run', 'openapi');
    clone.commitAll('resources');
  });

  test('pass every check untouched, once the OpenAPI document is written', () => {
    const tests = [...RESOURCES.map(([, plural]) => plural), 'payments', 'auth', 'migrations', 'openapi'];
    passes('format:check', 'lint', 'types', 'unused', 'openapi:check', 'db:check');
    const { status, output } = attempt('npm', 'test', '--', ...tests.map((name) => `test/(api|platform)/${name}\\.`));
    assert.equal(status, 0, output);
    const [, suites] = /^Test Suites: (\d+) passed/m.exec(output);
    assert.equal(Number(suites), tests.length);
  });

  test('are held to their migrations: another value of an enum is found', () => {
    const entity = 'src/invoices/invoice.entity.ts';
    const before = read(entity);
    write(entity, before.replace(`'paid'`, `'paid', 'lost'`));
    const { status, output } = attempt('npm', 'run', 'db:check');
    write(entity, before);
    assert.equal(status, 1);
    assert.match(output, /ADD VALUE 'lost'/);
  });
});

describe('what cannot be made is refused with the reason, and nothing is written', () => {
  const invoices = namesOf('invoices');
  const names = {
    Invoices: /cannot name a resource/,
    '1st': /cannot name a resource/,
    tax_rates: /cannot name a resource/,
    migrations: /TypeORM keeps a table of this name/,
    classes: /"class" is a reserved word of TypeScript/,
    problems: /a class Problem would hide another one/,
    [`a${'-long'.repeat(12)}`]: /is too long: PostgreSQL would cut off/,
  };
  for (const [name, reason] of Object.entries(names)) {
    test(`the name ${name}`, () => assert.throws(() => namesOf(name), reason));
  }

  const fields = {
    'a:float': /Field a: "float" is no type. There are: string, text, int, .*enum=A\/B/,
    a: /Field a: "" is no type/,
    'A:int': /"A:int" is no field/,
    'a:int,': /"" is no field/,
    'a:int,a:date': /would be the same column/,
    'iso2:int,iso_2:int': /"iso_2:int" is no field/,
    'a:int:maybe': /"maybe" is neither optional nor unique/,
    'a:int:unique:unique': /unique stands twice/,
    'a:json:unique': /json cannot be unique/,
    'invoice:int': /it has the name of the resource/,
    'createdAt:date': /every resource has or uses one of this name/,
    'toString:string': /JavaScript's objects have one of this name/,
    'delete:boolean': /a reserved word of TypeScript/,
    'user:string': /a reserved word of SQL/,
    'a:enum=b': /an enum has two values at least/,
    'a:enum=b/b': /a value stands twice/,
    "a:enum=b/c'd": /the values of an enum are letters/,
    [`${'long'.repeat(15)}:int:unique`]: /is too long: PostgreSQL would cut off/,
  };
  for (const [field, reason] of Object.entries(fields)) {
    test(`the field ${field}`, () => assert.throws(() => parseFields(field, invoices), reason));
  }

  const lines = {
    'invoices --fields=a:int': /src\/invoices exists already/,
    'invoice --fields=a:int': /src\/invoices exists already/,
    'platform --fields=a:int': /src\/platform exists already/,
    'payments --fields=a:int': /test\/api\/payments\.e2e-spec\.ts exists already/,
    'payment --no-spec': /test\/api\/payments\.e2e-spec\.ts exists already/,
    'api-keys --fields=a:int': /there is a resource or a table of this name already/,
    'credentials --fields=a:int': /test\/support\/credentials\.ts exists already/,
    'routes --fields=a:int': /there is a problem route_not_found already/,
    'orders --fields=a:float': /"float" is no type/,
    'orders --folder=../elsewhere': /neither fields, as in .*, nor a folder/,
    'orders invoices': /Unexpected argument 'invoices'\. Usage: /,
    'orders --field=a:int': /Unknown option '--field'/,
  };
  for (const [line, reason] of Object.entries(lines)) {
    test(line, () => {
      const { status, output } = attempt('npm', 'run', '--silent', 'generate', '--', ...line.split(' '));
      assert.equal(status, 1);
      assert.match(output, reason);
      assert.equal(output.trim().split('\n').length, 1, output);
      assert.deepEqual(clone.changes(), []);
    });
  }

  test('npm that took the options for its own', () => {
    const { status, output } = attempt('npm', 'run', '--silent', 'generate', 'orders', '--fields=a:int', '--dry-run');
    assert.equal(status, 1);
    assert.match(output, /^Put -- before --fields\. Usage: /);
    assert.deepEqual(clone.changes(), []);
  });
});

/** Nest's own generators, with the name of the file. */
const STOCK = {
  ...{ service: 'service', controller: 'controller', module: 'module', provider: '' },
  ...{ guard: 'guard', pipe: 'pipe', filter: 'filter', interceptor: 'interceptor', middleware: 'middleware' },
};

describe('nest generate', () => {
  test('writes nothing with --dry-run', () => {
    assert.match(clone.run('npx', 'nest', 'g', 'resource', 'orders', 'a:int', '--dry-run'), /No files written to disk/);
    assert.match(clone.run('npx', 'nest', 'g', 's', 'extra', '--dry-run'), /CREATE src\/extra\/extra\.service/);
    assert.deepEqual(clone.changes(), []);
  });

  test('passes every check with the output of each of its own generators', () => {
    clone.run('npx', 'nest', 'generate', 'service', 'billing/pricing-of-the-most-expensive-payments');
    for (const element of Object.keys(STOCK)) clone.run('npx', 'nest', 'generate', element, 'extra');
    for (const suffix of Object.values(STOCK)) {
      assert.ok(existsSync(join(clone.folder, `src/extra/extra.${suffix ? `${suffix}.` : ''}ts`)), suffix);
    }
    passes('format:check', 'lint', 'types', 'unused');
    const { status, output } = attempt('npm', 'test', '--', 'src/(extra|billing)/');
    assert.equal(status, 0, output);
    assert.match(output, /^Tests: +9 passed, 9 total/m);
    clone.run('git', 'checkout', '--quiet', 'src');
    clone.run('git', 'clean', '--quiet', '--force', '-d', 'src');
  });

  test('names the package that a generator needs, and writes nothing', () => {
    const { output } = attempt('npx', 'nest', 'generate', 'gateway', 'extra');
    assert.match(output, /Error: Nothing was written\. Run this first: npm install @nestjs\/websockets/);
    assert.deepEqual(clone.changes(), []);
  });

  test('says that a file without a spec is unused until it is imported', () => {
    assert.match(clone.run('npx', 'nest', 'g', 'd', 'extra'), /as unused until another file imports it/);
    const { status, output } = attempt('npm', 'run', 'unused');
    assert.equal(status, 1);
    assert.match(output, /Unused files \(1\)\nsrc\/extra\/extra\.decorator\.ts/);
    clone.run('git', 'clean', '--quiet', '--force', '-d', 'src');
  });

  test('asks for the fields on a terminal', async () => {
    const terminal = spawn('script', ['-qec', 'npx nest g res orders --dry-run', '/dev/null'], { cwd: clone.folder });
    let output = '';
    for await (const data of terminal.stdout) {
      if (!output.includes('Fields,') && `${output}${data}`.includes('Fields,')) terminal.stdin.write('paid:boolean\r');
      output += data;
    }
    assert.match(output, /CREATE[^]*src\/orders\/orders\.controller\.ts[^]*No files written/);
  });
});

describe('resource:remove', () => {
  const remove = (...args) => attempt('npm', 'run', '--silent', 'resource:remove', '--', ...args);

  test('refuses what is no resource, and says which there are', () => {
    const { status, output } = remove('auth');
    assert.equal(status, 1);
    assert.match(output, /No resource is named auth\. Resources: .*invoices/);
  });

  test('refuses while other code needs it', () => {
    const file = 'src/people/people.service.ts';
    const before = read(file);
    write(
      file,
      `import type { Invoice } from '../invoices/invoice.entity.js';\n${before}export type Bill = Invoice;\n`,
    );
    const { status, output } = remove('invoices');
    write(file, before);
    assert.equal(status, 1);
    assert.match(output, /invoices is imported[^]*src\/people\/people\.service\.ts/);
    assert.deepEqual(clone.changes(), []);
  });

  test('refuses while another table references its own', () => {
    const file = 'src/people/person.entity.ts';
    const relation = `@ManyToOne('Invoice')\n  @JoinColumn({ name: 'invoice_id' })\n  invoice!: unknown;\n\n  @Version`;
    write(file, read(file).replace('  Index,', '  Index,\n  JoinColumn,\n  ManyToOne,').replace('@Version', relation));
    clone.run('npm', 'run', 'db:generate', '--', 'add-invoice');
    clone.commitAll('a relation');
    const { status, output } = remove('invoices');
    assert.equal(status, 1);
    assert.match(output, /cannot be dropped: .* other objects depend on it\. Nothing was changed\./);
    assert.deepEqual(clone.changes(), []);
    clone.run('git', 'revert', '--no-edit', 'HEAD');
  });

  test('takes files, registration and problems, a migration drops the table, and what it breaks is recorded', () => {
    clone.run('git', 'tag', 'v1.0.0');
    const { status, output } = remove('invoices');
    assert.equal(status, 0, output);
    const migration = readdirSync(join(clone.folder, 'src/migrations')).find((name) =>
      name.endsWith('drop-invoices.ts'),
    );
    assert.match(read(`src/migrations/${migration}`), /DROP TABLE "invoices"[^]*DROP TYPE "invoices_status"/);
    assert.ok(!existsSync(join(clone.folder, 'src/invoices')));
    assert.doesNotMatch(read('src/app.module.ts') + read('docs/problems.md'), /invoice/i);
    const { since, accepted } = JSON.parse(read('openapi-breaking.json'));
    assert.equal(since, 'v1.0.0');
    assert.deepEqual([...new Set(Object.values(accepted))], ['resource:remove invoices']);
    passes('openapi:check', 'openapi:breaking');
    assert.equal(remove('invoices').status, 1);
  });

  test('deletes the migration instead of a table that is nowhere yet; in any order', () => {
    for (const [, plural] of RESOURCES.slice(1)
      .toReversed()
      .concat([['', 'payments']])) {
      const { status, output } = remove(plural, '--delete-migration', '--no-openapi');
      assert.equal(status, 0, output);
    }
    passes('types', 'unused', 'db:check');
  });
});
