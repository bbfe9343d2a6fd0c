// A fresh clone becomes a team's own service, and everything passes as before; what cannot be is refused, untouched.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { freshCopy } from '../support/fresh-copy.mjs';
import { nameFault, titleOf } from './name.mjs';

const clone = freshCopy('init');
after(() => clone.remove());
const read = (file) => readFileSync(join(clone.folder, file), 'utf8');
const head = () => clone.run('git', 'rev-parse', 'HEAD');

const init = (...args) => clone.attempt('npm', 'run', '--silent', 'init', '--', ...args);

describe('a name', () => {
  test('that Cloud Run, npm and PostgreSQL take', () => {
    for (const name of ['orders-api', 'ab', 'a1', 'orders-api-of-the-shop2']) {
      assert.equal(nameFault(name.slice(0, 22)), undefined, name);
    }
    assert.equal(titleOf('orders-api'), 'Orders API');
  });

  const faults = {
    a: /2 to 22 characters/,
    ['a'.repeat(23)]: /2 to 22 characters/,
    'Orders-api': /begin with a small letter/,
    '1st-api': /begin with a small letter/,
    orders_api: /small letters, digits and -/,
    'orders api': /small letters, digits and -/,
    'orders-': /end with -/,
    'gcp-orders': /begin with gcp-/,
    no: /YAML/,
    http: /Node's modules/,
    postgres: /PostgreSQL keeps for itself/,
  };
  for (const [name, reason] of Object.entries(faults)) {
    test(`that they do not: ${name}`, () => {
      assert.match(nameFault(name), reason);
    });
  }
});

describe('init refuses, in a line, and leaves everything as it is', () => {
  const before = head();
  const refused = (args, reason) => {
    const { status, output } = init(...args);
    assert.equal(status, 1);
    assert.match(output, reason);
    assert.equal(head(), before);
  };

  test('a missing name without a terminal', () => refused([], /^--name is missing\. Usage: npm run init/));
  test('a name that cannot be', () =>
    refused(['--name', 'Orders', '--yes'], /^--name Orders: .* begin with a small letter/));
  test('a region that is none', () => refused(['--name', 'orders', '--yes', '--region', 'Paris'], /^--region Paris/));
  test('an option that it does not know', () => refused(['--nam', 'orders'], /Unknown option '--nam'/));
  test('an option that npm has taken for its own', () => {
    const { status, output } = clone.attempt('npm', 'run', 'init', '--name', 'orders');
    assert.equal(status, 1);
    assert.match(output, /^Put -- before --name\. Usage: npm run init/m);
  });
  test('a tree with changes', () => {
    writeFileSync(join(clone.folder, 'mine.txt'), 'mine');
    refused(['--name', 'orders', '--yes'], /changes that are not committed/);
    rmSync(join(clone.folder, 'mine.txt'));
  });

  test('on a terminal it asks; --dry-run shows what it would do, and does nothing', async () => {
    const terminal = spawn('script', ['-qec', 'npm run --silent init -- --dry-run', '/dev/null'], {
      cwd: clone.folder,
    });
    const installed = read('node_modules/.package-lock.json');
    const questions = ['Name of', 'Its title', 'What it does', 'Who holds', 'Region', 'Remove the example'];
    const answers = ['asked-for', '', 'Does what was asked', '', '', 'n'];
    let output = '';
    for await (const data of terminal.stdout) {
      output += data;
      if (questions.length > 0 && output.includes(questions[0])) {
        questions.shift();
        terminal.stdin.write(`${answers.shift()}\r`);
      }
    }
    assert.deepEqual(questions, []);
    assert.match(output, /"name": "starter-nestjs",[^]*"name": "asked-for",/);
    assert.match(output, /"displayName": "Asked for"[^]*"description": "Does what was asked"/);
    assert.equal(head(), before);
    assert.deepEqual(clone.changes(), []);
    assert.equal(read('node_modules/.package-lock.json'), installed, 'the installation is as it was');
  });
});

describe('npm run init --remove-example', () => {
  test('leaves one commit, in which nothing but the record names the starter', () => {
    const before = head();
    const { status, output } = init(
      ...['--name', 'orders-api', '--title', 'Orders', '--description', 'Takes orders', '--owner', 'Acme Ltd'],
      ...['--region', 'europe-west1', '--remove-example', '--yes'],
    );
    assert.equal(status, 0, output);
    assert.match(output, /--region europe-west1 --repo OWNER\/orders-api/);
    assert.equal(clone.run('git', 'rev-parse', 'HEAD~1'), before);
    assert.deepEqual(clone.changes(), []);
    const naming = clone.attempt('git', 'grep', '-il', 'starter').output;
    assert.equal(naming, '.template.json\n');
    const { commit, version, answers } = JSON.parse(read('.template.json'));
    assert.deepEqual(
      [commit, version, answers.name, answers.region],
      [before.trim(), '0.1.0', 'orders-api', 'europe-west1'],
    );
  });

  test('takes the workshop away, and every line about it', () => {
    for (const path of ['template', '.ci', 'src/vouchers', '.github/workflows/template.yml']) {
      assert.ok(!existsSync(join(clone.folder, path)), path);
    }
    // These are about updates, and where a service came from.
    const others = ['tools/dev/template-diff.mjs', 'tools/dev/openapi-breaking.mjs', 'docs/adr/*-updates.md'].map(
      (file) => `:!${file}`,
    );
    const workshop = 'template/|test:template|npm run init|oucher';
    const { output: left } = clone.attempt('git', 'grep', '-nE', workshop, '--', '.', ...others);
    assert.equal(left, '');
    assert.match(read('README.md'), /^# Orders\n\nTakes orders\.\n/);
    assert.match(read('LICENSE'), /^Copyright \(c\) \d{4} Acme Ltd$/m);
    assert.match(read('openapi.json'), /"title": "Orders"/);
  });

  test('passes npm run check, and installs from its lock file', () => {
    clone.run('npm', 'ci', '--dry-run', '--ignore-scripts'); // fails when the lock file does not fit
    const { status, output } = clone.attempt('npm', 'run', 'check');
    assert.equal(status, 0, output);
    assert.deepEqual(clone.changes(), []);
  });
});
