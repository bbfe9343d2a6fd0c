// Generates resources that contain other rows in a fresh clone, with `generate --parent`. The generated code passes all checks without edits.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { freshCopy } from '../support/fresh-copy.mjs';

const clone = freshCopy('children');
after(() => clone.remove());
const read = (file) => readFileSync(join(clone.folder, file), 'utf8');
const write = (file, text) => writeFileSync(join(clone.folder, file), text);
const generate = (line) => clone.attempt('npm', 'run', '--silent', 'generate', '--', ...line.split(' '));

/** Resources, and rows that they contain: with every option of a parent and every field type. */
const RESOURCES = [
  'products --fields=name:string:unique',
  'orders --fields=number:string:unique,productId:ref=products:optional --idempotent --tools',
  'order-lines --parent=orders --fields=productId:ref=products:unique,quantity:int,price:decimal',
  'order-notes --parent=orders --fields=text:text,data:json:optional,authorId:ref=products:optional',
  'recipes --folder=kitchen --fields=title:string,productId:ref=products --include',
  'steps --parent=recipe --fields=instruction:text',
  'articles --fields=draft:boolean:optional',
  'article-values --parent=articles --fields=code:string:optional:unique,a:int,b:bigint,c:boolean,d:uuid,e:date,f:datetime,g:email,h:url,i:enum=1st/2nd-best',
  'payments --fields=orderId:ref=orders',
];

describe('children', () => {
  test('are generated', () => {
    for (const line of RESOURCES) {
      const { status, output } = generate(line);
      assert.equal(status, 0, output);
    }
    clone.run('npm', 'run', 'openapi');
    clone.commitAll('resources');
  });

  test('pass all checks without edits after npm run openapi', () => {
    passes('format:check', 'lint', 'types', 'unused', 'openapi:check', 'db:check');
    const tests = ['api/(orders|recipes|articles|payments)', 'platform/(migrations|openapi)\\.'];
    const { status, output } = clone.attempt('npm', 'test', '--', ...tests.map((name) => `test/${name}`));
    assert.equal(status, 0, output);
    assert.match(output, /^Test Suites: 11 passed/m);
  });

  test('do not break the contract of the last release', () => {
    clone.run('git', 'tag', 'v1.0.0', 'HEAD');
    clone.run('npm', 'run', 'generate', '--', 'payment-fees', '--parent=payments', '--fields=amount:decimal');
    clone.run('npm', 'run', 'openapi');
    const { status, output } = clone.attempt('npm', 'run', 'openapi:breaking');
    assert.equal(status, 0, output);
    clone.run('git', 'tag', '--delete', 'v1.0.0');
    reset();
  });
});

describe('generate --parent rejects without writing a file', () => {
  const lines = {
    'line-items --parent=customers': /--parent: no resource is named customers\. Resources: .*orders/,
    'line-items --parent=order-lines': /--parent: no resource is named order-lines\. Resources: /,
    'voucher-lines --parent=vouchers':
      /src\/vouchers\/vouchers\.service\.ts differs from the generated code: .* Add voucher-lines by hand: docs\/development\.md#nested-rows/,
    'order-tags --parent=orders --include': /--parent and --include cannot be combined/,
    'order-tags --parent=orders --idempotent': /--parent and --idempotent cannot be combined/,
    'order-tags --parent=orders --tools': /--parent and --tools cannot be combined/,
    'order-tags --parent=orders --folder=billing': /--parent and --folder cannot be combined/,
    'order-lines --parent=orders': /order-lines: orders cannot have a property lines\. Use another name/,
    'order-changes --parent=orders': /orders cannot have a property changes\. Use/,
    'order-tags --parent=orders --fields=position:int': /Field position: a child of orders has or uses this name/,
    'order-tags --parent=orders --fields=orderId:ref=orders': /Field orderId: a child of orders has or uses this name/,
    'order-tags --parent=orders --fields=otherId:ref=orders': /Field otherId: a child has one reference to orders/,
    'order-tags --parent=orders --fields=tagId:ref=order-tags:optional': /Field tagId: a child cannot have a reference/,
    'order-tags --parent=orders --fields=productId:ref=products:ondelete=cascade':
      /Field productId: .* Remove ondelete/,
    'order-tags --parent=orders --fields=a:float': /"float" is not a type/,
    'visits --fields=orderId:ref=orders --include': /Field orderId: --include does not embed the nested rows of orders/,
    'visits --fields=lineId:ref=order-lines': /Field lineId: no resource is named order-lines/,
    'product-prices --parent=products':
      /--parent: src\/kitchen\/recipes\/.* embeds products, and would omit the nested rows/,
  };
  for (const [line, reason] of Object.entries(lines)) {
    test(line, () => rejects(line, reason));
  }

  /** Changes that a person could make to the generated code, and the file that the message names. */
  const changes = {
    'src/orders/orders.service.ts': [
      /return order;\n {2}\}\n\n {2}update/,
      'return Object.freeze(order);\n  }\n\n  update',
    ],
    'src/orders/orders.controller.ts': [
      / {2}\/\*\* Deletes /,
      `  @Post(':id/pay')\n  async pay(@Param() { id }: IdDto): Promise<OrderDto> {\n    return toDto(OrderDto, await this.orders.pay(id));\n  }\n\n$&`,
    ],
    'src/orders/order.dto.ts': ['PartialType(CreateOrderDto', 'PartialType(OrderBody'],
    'src/orders/orders.module.ts': ['TypeOrmModule.forFeature(', 'TypeOrmModule.forFeatureAsync('],
    'test/api/orders.e2e-spec.ts': ['const SAMPLE', 'const EXAMPLE'],
  };
  for (const [file, [from, to]] of Object.entries(changes)) {
    test(`a change of ${file}`, () => {
      write(file, read(file).replace(from, to));
      clone.commitAll('a change');
      rejects('order-tags --parent=orders', new RegExp(`^Error: ${file} differs from the generated code: `));
      clone.run('git', 'reset', '--quiet', '--hard', 'HEAD~1');
    });
  }
});

describe('resource:remove', () => {
  const remove = (...args) => clone.attempt('npm', 'run', '--silent', 'resource:remove', '--', ...args, '--no-openapi');

  test('names the parent of a child', () => {
    const { status, output } = remove('order-lines');
    assert.equal(status, 1);
    assert.match(output, /^order-lines are nested rows of orders\. Remove orders, or /);
    assert.deepEqual(clone.changes(), []);
  });

  test('removes the children with their parent, and adds a migration that drops both tables', () => {
    for (const name of ['payments', 'orders']) {
      const { status, output } = remove(name);
      assert.equal(status, 0, output);
    }
    assert.ok(!existsSync(join(clone.folder, 'test/api/orders-lines.e2e-spec.ts')));
    assert.doesNotMatch(read('docs/problems.md'), /`order_/);
    passes('types', 'unused', 'db:check');
    reset();
  });

  test('deletes the migrations of both tables', () => {
    for (const name of ['payments', 'orders', 'recipes', 'articles', 'products']) {
      const { status, output } = remove(name, '--delete-migration');
      assert.equal(status, 0, output);
    }
    passes('types', 'unused', 'db:check');
    assert.equal(read('docs/problems.md'), readFileSync('docs/problems.md', 'utf8'));
  });
});

test('--no-spec writes no tests', () => {
  const { output } = generate('visits --no-spec --dry-run');
  assert.match(output, /CREATE src\/visits\/visits\.service\.ts/);
  assert.doesNotMatch(output, /CREATE test/);
});

function passes(...scripts) {
  for (const script of scripts) {
    const { status, output } = clone.attempt('npm', 'run', script);
    assert.equal(status, 0, `${script}:\n${output}`);
  }
}

function rejects(line, reason) {
  const { status, output } = generate(line);
  assert.equal(status, 1, output);
  assert.match(output, reason);
  assert.equal(output.trim().split('\n').length, 1, output);
  assert.deepEqual(clone.changes(), []);
}

function reset() {
  clone.run('git', 'reset', '--quiet', '--hard');
  clone.run('git', 'clean', '--quiet', '--force', '-d');
}
