// Runs `npm run init` in a fresh clone: the service passes all checks, and invalid options change nothing.
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

describe('nameFault', () => {
  test('accepts names that are valid for Cloud Run, npm and PostgreSQL', () => {
    for (const name of ['orders-api', 'ab', 'a1', 'orders-api-of-the-shop2']) {
      assert.equal(nameFault(name.slice(0, 22)), undefined, name);
    }
    assert.equal(titleOf('orders-api'), 'Orders API');
  });

  const faults = {
    a: /2 to 22 characters/,
    ['a'.repeat(23)]: /2 to 22 characters/,
    'Orders-api': /begin with a lowercase letter/,
    '1st-api': /begin with a lowercase letter/,
    orders_api: /lowercase letters, digits and -/,
    'orders api': /lowercase letters, digits and -/,
    'orders-': /end with -/,
    'gcp-orders': /begin with gcp-/,
    no: /YAML/,
    http: /built-in Node module/,
    postgres: /PostgreSQL reserves/,
  };
  for (const [name, reason] of Object.entries(faults)) {
    test(`rejects ${name}`, () => {
      assert.match(nameFault(name), reason);
    });
  }
});

describe('init changes nothing', () => {
  const before = head();
  const refused = (args, reason) => {
    const { status, output } = init(...args);
    assert.equal(status, 1);
    assert.match(output, reason);
    assert.equal(head(), before);
  };

  test('without a name and a terminal', () => refused([], /^--name is missing\. Usage: npm run init/));
  test('with an invalid name', () =>
    refused(['--name', 'Orders', '--yes'], /^--name Orders: .* begin with a lowercase letter/));
  test('with an invalid region', () => refused(['--name', 'orders', '--yes', '--region', 'Paris'], /^--region Paris/));
  test('with an unknown option', () => refused(['--nam', 'orders'], /Unknown option '--nam'/));
  test('with an option before --, which npm consumes', () => {
    const { status, output } = clone.attempt('npm', 'run', 'init', '--name', 'orders');
    assert.equal(status, 1);
    assert.match(output, /^Put -- before --name\. Usage: npm run init/m);
  });
  test('with uncommitted changes', () => {
    writeFileSync(join(clone.folder, 'mine.txt'), 'mine');
    refused(['--name', 'orders', '--yes'], /changes that are not committed/);
    rmSync(join(clone.folder, 'mine.txt'));
  });

  test('with --dry-run, which prints the changed files and the next steps', () => {
    const { status, output } = init('--name', 'orders-api', '--region', 'europe-west1', '--yes', '--dry-run');
    assert.equal(status, 0, output);
    assert.match(output, /^ package\.json +\|/m);
    assert.match(output, /Nothing has changed\.[^]*--region europe-west1 --create-database/);
    assert.doesNotMatch(output, /^[-+]{3} /m);
    assert.equal(head(), before);
    assert.deepEqual(clone.changes(), []);
  });
  test('with --patch, without --dry-run', () => refused(['--name', 'orders', '--patch'], /--patch needs --dry-run/));

  test('with --dry-run --patch, which prompts for the options on a terminal and prints the difference', async () => {
    const terminal = spawn('script', ['-qec', 'npm run --silent init -- --dry-run --patch', '/dev/null'], {
      cwd: clone.folder,
    });
    const installed = read('node_modules/.package-lock.json');
    const questions = [
      'Name of',
      'Title in',
      'Description',
      'Copyright holder',
      'Google Cloud region',
      'Remove the example',
    ];
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
    assert.equal(read('node_modules/.package-lock.json'), installed, 'the installation has changed');
  });
});

describe('npm run init --remove-example', () => {
  test('creates one commit, in which only .template.json names the starter', () => {
    const before = head();
    const { status, output } = init(
      ...['--name', 'orders-api', '--title', 'Orders', '--description', 'Takes orders', '--owner', 'Acme Ltd'],
      ...['--region', 'europe-west1', '--remove-example', '--yes'],
    );
    assert.equal(status, 0, output);
    assert.match(output, /--region europe-west1 --create-database/);
    assert.equal(clone.run('git', 'rev-parse', 'HEAD~1'), before);
    assert.deepEqual(clone.changes(), []);
    const naming = clone.attempt('git', 'grep', '-il', 'starter').output;
    assert.equal(naming, '.template.json\n');
    const { commit, version, answers } = JSON.parse(read('.template.json'));
    assert.deepEqual(
      [commit, version, answers.name, answers.region],
      [before.trim(), JSON.parse(readFileSync('package.json', 'utf8')).version, 'orders-api', 'europe-west1'],
    );
  });

  test('removes the template folder and the lines about it', () => {
    for (const path of ['template', '.ci', 'src/vouchers', '.github/workflows/template.yml']) {
      assert.ok(!existsSync(join(clone.folder, path)), path);
    }
    // These files document updates from the starter.
    const others = ['tools/dev/template-diff.mjs', 'docs/adr/*-updates.md'].map((file) => `:!${file}`);
    const workshop = 'template/|test:template|npm run init|oucher';
    const { output: left } = clone.attempt('git', 'grep', '-nE', workshop, '--', '.', ...others);
    assert.equal(left, '');
    assert.match(read('README.md'), /^# Orders\n\nTakes orders\.\n/);
    assert.match(read('LICENSE'), /^Copyright \(c\) \d{4} Acme Ltd$/m);
    assert.match(read('openapi.json'), /"title": "Orders"/);
  });

  test('passes npm run check, and installs from its lock file', () => {
    clone.run('npm', 'ci', '--dry-run', '--ignore-scripts'); // fails if the lock file is out of date
    const { status, output } = clone.attempt('npm', 'run', 'check');
    assert.equal(status, 0, output);
    assert.deepEqual(clone.changes(), []);
  });
});
