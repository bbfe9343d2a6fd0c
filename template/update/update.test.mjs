// The starter releases a version; a service that was made from the version before, and has changed since, takes the update.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freshCopy } from '../support/fresh-copy.mjs';

const service = freshCopy('update');
const starter = join(service.folder, '..', 'starter');
after(() => service.remove());

const read = (file) => readFileSync(join(service.folder, file), 'utf8');
const inStarter = (...args) => execFileSync('git', args, { cwd: starter, encoding: 'utf8' });
const templateDiff = (...args) => service.attempt('npm', 'run', '--silent', 'template:diff', '--', ...args);

const PLATFORM = 'src/platform/config/config.module.ts';
const ADDED = 'src/platform/shop.ts';
const { version: FIRST } = JSON.parse(readFileSync('package.json', 'utf8'));
/** A file of the template that nothing imports. */
const GONE = 'tools/obsolete.mjs';

const prepend = (folder, file, text) =>
  writeFileSync(join(folder, file), text + readFileSync(join(folder, file), 'utf8'));
const append = (folder, file, text) => appendFileSync(join(folder, file), text);

/** Replaces text that must be there. */
function edit(folder, file, from, to) {
  const text = readFileSync(join(folder, file), 'utf8');
  assert.ok(text.includes(from), `${file} has ${from}`);
  writeFileSync(join(folder, file), text.replace(from, to));
}

before(() => {
  writeFileSync(join(service.folder, GONE), '// obsolete\n');
  service.commitAll('the starter, with a file that goes');
  execFileSync('git', ['clone', '--quiet', service.folder, starter]);
  for (const [name, value] of [
    ['user.name', 'Grace'],
    ['user.email', 'grace@example.com'],
  ])
    inStarter('config', name, value);
  inStarter('tag', `v${FIRST}`);

  service.run('npm', 'run', 'init', '--', '--name', 'shop-api', '--owner', 'Acme', '--yes');
  service.run('npm', 'run', 'generate', '--', 'orders', '--fields=number:string:unique,paid:boolean');
  service.run('npm', 'run', 'resource:remove', '--', 'vouchers');
  prepend(service.folder, PLATFORM, '// of the shop\n');
  writeFileSync(join(service.folder, ADDED), '// of the shop\n');
  append(service.folder, 'SECURITY.md', '\nThe shop.\n');
  service.commitAll('feat: the shop');

  append(starter, PLATFORM, '// of 1.0.0\n');
  append(starter, 'tools/README.md', '\nOf 1.0.0.\n');
  execFileSync('git', ['rm', '--quiet', GONE], { cwd: starter });
  append(starter, 'src/vouchers/vouchers.service.ts', '// of 1.0.0\n');
  edit(starter, 'SECURITY.md', '# Security', '# Security of 1.0.0');
  edit(
    starter,
    'docker/Dockerfile',
    'title=starter-nestjs',
    'title=starter-nestjs \\\n      org.opencontainers.image.vendor=starter-nestjs',
  );
  edit(starter, 'template/init/name.mjs', 'Orders API', 'Order API');
  edit(starter, 'package.json', `"version": "${FIRST}"`, '"version": "1.0.0"');
  edit(starter, 'CHANGELOG.md', '## Unreleased', '## 1.0.0\n\nAction items: tell your load balancer.\n\n## Unreleased');
  inStarter('commit', '--quiet', '--all', '--message', 'feat: release 1.0.0');
  inStarter('tag', 'v1.0.0');
});

test('npm run template:diff asks for the remote', () => {
  const { status, output } = templateDiff();
  assert.equal(status, 1);
  assert.equal(output, 'The remote template is missing. Add it once: git remote add --no-tags template URL\n');
  service.run('git', 'remote', 'add', '--no-tags', 'template', starter);
});

test('shows the action items, and the difference in the words of the service', () => {
  const { status, output } = templateDiff();
  assert.equal(status, 0, output);
  const changes = `From starter-nestjs ${FIRST} to 1.0.0:\n\n## 1.0.0\n\nAction items: tell your load balancer.`;
  assert.ok(output.startsWith(changes), output);
  assert.match(output, /^\+ {6}org\.opencontainers\.image\.vendor=shop-api/m);
  assert.match(output, /^\+# Security of 1\.0\.0/m);
  assert.doesNotMatch(output, /template\/init|image\.vendor=starter/);
  assert.deepEqual(service.changes(), []);
  assert.equal(service.run('git', 'tag'), '', "the starter's tags are not the service's");
});

test('lists the files that it replaces without their difference, and local changes to them', () => {
  const { output } = templateDiff();
  const [merged, replaced] = output.split("Replaced with the template's files:\n");
  assert.doesNotMatch(merged, /config\.module|tools\//);
  assert.match(replaced, /config\.module\.ts .*\n.* tools\/README\.md .*\n.* tools\/obsolete\.mjs /);
  assert.match(replaced, new RegExp(`Your changes there will be replaced, too:\\n {2}${PLATFORM}\\n$`));
  const [, command] = /To see the difference: (git .*)/.exec(replaced);
  assert.match(service.run('sh', '-c', command), /^\+\/\/ of 1\.0\.0$/m);
});

test('--apply replaces src/platform and tools, and merges the rest', () => {
  const { status, output } = templateDiff('--apply');
  assert.equal(status, 0, output);
  assert.equal(read(PLATFORM), readFileSync(join(starter, PLATFORM), 'utf8'));
  assert.match(read('tools/README.md'), /Of 1\.0\.0\.\n$/);
  assert.ok(!existsSync(join(service.folder, GONE)));
  assert.equal(read(ADDED), '// of the shop\n', 'a file of the team stays');
  assert.match(read('SECURITY.md'), /^# Security of 1\.0\.0[^]*\nThe shop\.\n$/);
  assert.ok(!existsSync(join(service.folder, 'src/vouchers')), 'what the team has deleted stays deleted');
  assert.equal(JSON.parse(read('package.json')).version, '0.1.0', 'the version is the service’s own');
  assert.equal(JSON.parse(read('.template.json')).version, '1.0.0');

  assert.match(output, new RegExp(`Your changes to these files were replaced:\\n {2}${PLATFORM}\\n`));
  const [, command] = /To apply them again: (git .*)/.exec(output);
  service.run('sh', '-c', command);
  assert.match(read(PLATFORM), /\/\/ of the shop/);
  rmSync(join(service.folder, ADDED));
  service.commitAll('chore: update to 1.0.0 of the starter');
  assert.match(templateDiff().output, /The release changes no file of this service/);
});

test('the checks of the service pass afterwards', () => {
  for (const script of ['format:check', 'lint', 'types', 'openapi:check']) {
    const { status, output } = service.attempt('npm', 'run', script);
    assert.equal(status, 0, output);
  }
  const { status, output } = service.attempt('npm', 'test', '--', 'orders', 'test/repository/dockerfile');
  assert.equal(status, 0, output);
});

test('lists the files with conflicts, and git reset --hard undoes the update', () => {
  edit(service.folder, 'SECURITY.md', '# Security of 1.0.0', '# Security of the shop');
  service.commitAll('docs: the shop');
  edit(starter, 'SECURITY.md', '# Security of 1.0.0', '# Security of 1.1.0');
  edit(starter, 'package.json', '"version": "1.0.0"', '"version": "1.1.0"');
  inStarter('commit', '--quiet', '--all', '--message', 'feat: release 1.1.0');
  inStarter('tag', 'v1.1.0');
  const { status, output } = templateDiff('--apply');
  assert.equal(status, 1);
  assert.match(output, /Conflicts\. [^]*\n {2}SECURITY\.md\n/);
  assert.match(read('SECURITY.md'), /<<<<<<<[^]*of the shop[^]*of 1\.1\.0[^]*>>>>>>>/);
  service.run('git', 'reset', '--quiet', '--hard');
  assert.deepEqual(service.changes(), []);
});

test('rejects a release that does not exist', () => {
  const { status, output } = templateDiff('--to', 'v9.0.0');
  assert.equal(status, 1);
  assert.match(output, /The template has no release v9\.0\.0/);
});
