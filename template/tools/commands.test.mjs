// Every command documents its exit codes, and rejects a wrong option in one line before it does anything.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
/** These parse their options themselves. */
const OTHERS = new Set(['api-keys', 'doctor']);
const commands = Object.keys(scripts).filter(
  (name) => /(tools|template\/init)\/[\w/-]+\.mjs( [\w-]+)*$/.test(scripts[name]) && !/^pre|^test/.test(name),
);

const { NODE_TEST_CONTEXT: _, ...env } = process.env;

function run(name, args, more = {}) {
  return spawnSync('npm', ['run', '--silent', name, ...args], {
    encoding: 'utf8',
    input: '',
    env: { ...env, ...more },
  });
}

const folder = mkdtempSync(join(tmpdir(), 'commands-'));
after(() => rmSync(folder, { recursive: true }));
const older = join(folder, 'older.cjs');
writeFileSync(older, `Object.defineProperty(process.versions, 'node', { value: '20.20.0' });`);

test('every command of tools/ is tested', () => {
  assert.ok(commands.length > 15, commands.join());
});

for (const name of commands.filter((each) => !OTHERS.has(each))) {
  describe(`npm run ${name}`, () => {
    test('documents its exit codes', () => {
      const { status, stdout, stderr } = run(name, ['--', '--help']);
      assert.equal(status, 0, stderr);
      assert.match(stdout, /^Usage: npm [^]*\n\nExit codes: 0 /);
    });

    test('rejects an unknown option in one line, with 1', () => {
      const { status, stdout, stderr } = run(name, ['--', '--bogus']);
      assert.deepEqual([status, stdout], [1, '']);
      assert.match(stderr, /^Unknown option '--bogus'\. Usage: npm .*\n$/);
    });

    test('rejects an argument too many in one line, with 1', () => {
      const { status, stdout, stderr } = run(name, ['--', 'orders', 'bogus']);
      assert.deepEqual([status, stdout], [1, '']);
      assert.match(stderr, /^Unexpected argument '\w+'\. Usage: npm .*\n$/);
    });
  });
}

// The others add a newer Node first.
for (const name of commands.filter((each) => !scripts[`pre${each}`] && each !== 'doctor')) {
  test(`npm run ${name} rejects a Node that is too old in one line, with 1`, () => {
    const { status, stdout, stderr } = run(name, [], { NODE_OPTIONS: `--require=${older}` });
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /^Node 20\.20\.0 is too old\. Run npm ci .*\n$/);
  });
}

describe('--json', () => {
  const missing = { generate: 'NAME is missing', 'resource:remove': 'NAME is missing', init: '--name is missing' };
  for (const [name, reason] of Object.entries(missing)) {
    test(`npm run ${name} prints an error as JSON`, () => {
      const { status, stdout, stderr } = run(name, ['--', '--json']);
      assert.equal(status, 1);
      assert.match(JSON.parse(stdout).error, new RegExp(`^${reason}\\. Usage: `));
      assert.match(stderr, new RegExp(`^${reason}`));
    });
  }

  test('prints a result as JSON, and all other output to standard error', () => {
    const { status, stdout } = run('openapi', ['--', '--check', '--json']);
    assert.equal(status, 0);
    assert.deepEqual(Object.keys(JSON.parse(stdout)), ['file', 'changed', 'paths']);
  });
});

describe('an option that npm takes because the -- is missing', () => {
  const lines = {
    check: '--fast',
    start: '--inspect=9230',
    dev: '--cpu-prof',
    'openapi:breaking': '--accept=reason',
  };
  for (const [name, option] of Object.entries(lines)) {
    test(`npm run ${name} ${option}`, () => {
      const { status, stderr } = run(name, [option]);
      assert.equal(status, 1);
      assert.match(stderr, /^Put -- before --[\w-]+\. Usage: npm .*\n$/m);
    });
  }

  test('is not rejected if .npmrc sets it for npm', () => {
    const { status, stderr } = run('init', ['--', '--help'], { npm_config_yes: 'true' });
    assert.equal(status, 0, stderr);
  });
});
