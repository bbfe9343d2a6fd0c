// The starter releases a version; a service that was made from the one before, and has a life of its own since, takes it in.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freshCopy } from '../support/fresh-copy.mjs';

const service = freshCopy('update');
const starter = join(service.folder, '..', 'starter');
after(() => service.remove());

const read = (file) => readFileSync(join(service.folder, file), 'utf8');
const inStarter = (...args) => execFileSync('git', args, { cwd: starter, encoding: 'utf8' });
const templateDiff = (...args) => service.attempt('npm', 'run', '--silent', 'template:diff', '--', ...args);

/** Replaces text that must be there. */
function edit(folder, file, from, to) {
  const text = readFileSync(join(folder, file), 'utf8');
  assert.ok(text.includes(from), `${file} has ${from}`);
  writeFileSync(join(folder, file), text.replace(from, to));
}

before(() => {
  execFileSync('git', ['clone', '--quiet', service.folder, starter]);
  for (const [name, value] of [
    ['user.name', 'Grace'],
    ['user.email', 'grace@example.com'],
  ])
    inStarter('config', name, value);
  inStarter('tag', 'v0.1.0');

  service.run('npm', 'run', 'init', '--', '--name', 'shop-api', '--owner', 'Acme', '--yes');
  service.run('npm', 'run', 'generate', '--', 'orders', '--fields=number:string:unique,paid:boolean');
  service.run('npm', 'run', 'resource:remove', '--', 'vouchers');
  edit(
    service.folder,
    'src/platform/app.setup.ts',
    "app.set('etag', false);",
    "app.set('etag', false);\n  app.set('x-shop', true);",
  );
  edit(service.folder, 'README.md', '## First calls', '## Calls of the shop');
  service.commitAll('feat: the shop');

  edit(starter, 'src/platform/app.setup.ts', '620_000', '650_000');
  edit(starter, 'src/vouchers/vouchers.service.ts', 'one statement needs none', 'one statement needs no more');
  edit(
    starter,
    'docker/Dockerfile',
    'title=starter-nestjs',
    'title=starter-nestjs \\\n      org.opencontainers.image.vendor=starter-nestjs',
  );
  edit(starter, 'template/init/name.mjs', 'Orders API', 'Order API');
  edit(starter, 'package.json', '"version": "0.1.0"', '"version": "0.2.0"');
  edit(starter, 'CHANGELOG.md', '## Unreleased', '## 0.2.0\n\nAction items: tell your load balancer.\n\n## Unreleased');
  inStarter('commit', '--quiet', '--all', '--message', 'feat: release 0.2.0');
  inStarter('tag', 'v0.2.0');
});

test('a service that does not know where the starter is gets told how to say it', () => {
  const { status, output } = templateDiff();
  assert.equal(status, 1);
  assert.match(output, /git remote add --no-tags template URL/);
  service.run('git', 'remote', 'add', '--no-tags', 'template', starter);
});

test('npm run template:diff shows the action items, and the difference in the words of the service', () => {
  const { status, output } = templateDiff();
  assert.equal(status, 0, output);
  assert.match(
    output,
    /From starter-nestjs 0\.1\.0 to 0\.2\.0:\n\n## 0\.2\.0\n\nAction items: tell your load balancer\./,
  );
  assert.match(output, /^\+ {6}org\.opencontainers\.image\.vendor=shop-api/m);
  assert.match(output, /^-.*620_000;\n\+.*650_000;/m);
  assert.doesNotMatch(output, /template\/init|image\.vendor=starter/);
  assert.deepEqual(service.changes(), []);
  assert.equal(service.run('git', 'tag'), '', "the starter's tags are not the service's");
});

test('--apply brings it in, and keeps what is the team’s own', () => {
  const { status, output } = templateDiff('--apply');
  assert.equal(status, 0, output);
  const setup = read('src/platform/app.setup.ts');
  assert.ok(setup.includes('650_000') && setup.includes("app.set('x-shop', true)"));
  assert.ok(read('README.md').includes('## Calls of the shop'));
  assert.ok(!existsSync(join(service.folder, 'src/vouchers')), 'what the team has deleted stays deleted');
  assert.equal(JSON.parse(read('package.json')).version, '0.1.0', 'the version is the service’s own');
  assert.equal(JSON.parse(read('.template.json')).version, '0.2.0');
  service.commitAll('chore: update to 0.2.0 of the starter');
  assert.match(templateDiff().output, /Nothing changes here/);
});

test('the tests of the service pass afterwards, its own and those that came', () => {
  for (const script of ['format:check', 'lint', 'types', 'openapi:check']) {
    const { status, output } = service.attempt('npm', 'run', script);
    assert.equal(status, 0, output);
  }
  const { status, output } = service.attempt(
    'npm',
    'test',
    '--',
    'orders',
    'test/platform/http',
    'test/repository/dockerfile',
  );
  assert.equal(status, 0, output);
  assert.match(output, /3 passed, 3 total/);
});

test('a conflict is told by file, and can be undone', () => {
  edit(service.folder, 'src/platform/app.setup.ts', '650_000', '700_000');
  service.commitAll('feat: wait longer');
  edit(starter, 'src/platform/app.setup.ts', '650_000', '660_000');
  edit(starter, 'package.json', '"version": "0.2.0"', '"version": "0.3.0"');
  inStarter('commit', '--quiet', '--all', '--message', 'feat: release 0.3.0');
  inStarter('tag', 'v0.3.0');
  const { status, output } = templateDiff('--apply');
  assert.equal(status, 1);
  assert.match(output, /Both sides changed these[^]*\n {2}src\/platform\/app\.setup\.ts\n/);
  assert.match(read('src/platform/app.setup.ts'), /<<<<<<<[^]*700_000[^]*660_000[^]*>>>>>>>/);
  service.run('git', 'reset', '--quiet', '--hard');
  assert.deepEqual(service.changes(), []);
});

test('a release that there is not is refused', () => {
  const { status, output } = templateDiff('--to', 'v9.0.0');
  assert.equal(status, 1);
  assert.match(output, /The template has no release v9\.0\.0/);
});
