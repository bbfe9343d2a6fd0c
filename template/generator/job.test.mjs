// Generates a job in a fresh clone. It passes all checks without edits, and the built program runs from a copy of dist/.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startPostgres } from '../../tools/dev/postgres.mjs';
import { freshCopy } from '../support/fresh-copy.mjs';

const clone = freshCopy('job');
const folder = mkdtempSync(join(tmpdir(), 'job-'));
const generate = (...args) => clone.attempt('npx', 'nest', 'generate', 'job', ...args);
let database;

before(async () => {
  database = await startPostgres(join(folder, 'postgres'), { durable: false });
});
after(async () => {
  await database?.stop();
  clone.remove();
  rmSync(folder, { recursive: true });
});

/** Runs a program of a copy of dist/ in production. */
function runCopy(program) {
  const dist = mkdtempSync(join(folder, 'dist-'));
  cpSync(join(clone.folder, 'dist'), dist, { recursive: true });
  const env = { PATH: '/nowhere', DATABASE_URL: database.url, NODE_ENV: 'production' };
  const { status, stdout } = spawnSync(process.execPath, [program], { cwd: dist, env, encoding: 'utf8' });
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return { status, logged: lines.map(({ severity, message }) => `${severity} ${message}`) };
}

describe('nest generate job rejects without writing a file', () => {
  const names = {
    main: /^Error: main: src\/main\.ts already exists\. Use another name\. Nothing was written$/m,
    'api-keys': /^Error: api-keys: src\/api-keys\.ts already exists/m,
    platform: /^Error: platform: src\/platform already exists/m,
    app: /^Error: "app" is not a valid name of a job\. Use at most 40 lowercase letters/m,
    'database-roles': /^Error: "database-roles" is not a valid name/m,
    '1st': /^Error: "1st" is not a valid name/m,
    'a/b': /^Error: "a\/b" is not a valid name/m,
    [`a${'-long'.repeat(8)}`]: /is not a valid name of a job/,
  };
  for (const [name, reason] of Object.entries(names)) {
    test(`the name ${name}`, () => {
      const { output } = generate(name);
      assert.match(output, reason);
      assert.deepEqual(clone.changes(), []);
    });
  }

  test('with --dry-run', () => {
    assert.match(
      generate('delete-drafts', '--dry-run').output,
      /CREATE src\/delete-drafts\.ts[^]*No files written to disk/,
    );
    assert.deepEqual(clone.changes(), []);
  });
});

describe('a generated job', () => {
  test('has a program, a manifest, a schedule and a test', () => {
    assert.equal(generate('delete-drafts').status, 0);
    assert.deepEqual(clone.changes(), [
      ' M deploy/schedules.txt',
      ' M package.json',
      '?? deploy/jobs/delete-drafts.yaml',
      '?? src/delete-drafts.ts',
      '?? test/api/delete-drafts.e2e-spec.ts',
    ]);
    clone.commitAll('a job');
  });

  test('is not generated twice', () => {
    const { output } = generate('delete-drafts');
    assert.deepEqual(output.match(/^Error: .*$/gm), [
      'Error: delete-drafts: src/delete-drafts.ts already exists. Use another name. Nothing was written',
    ]);
    assert.deepEqual(clone.changes(), []);
  });

  test('passes all checks without edits', () => {
    for (const script of ['format:check', 'lint', 'types', 'unused']) {
      const { status, output } = clone.attempt('npm', 'run', script);
      assert.equal(status, 0, `${script}:\n${output}`);
    }
    const { status, output } = clone.attempt('npm', 'test', '--', 'test/api/delete-drafts', 'test/repository/deploy');
    assert.equal(status, 0, output);
    assert.match(output, /^Test Suites: 2 passed/m);
  });

  test('runs from a copy of dist/ in an empty folder', () => {
    assert.equal(runCopy('migrate.js').status, 0);
    const { status, logged } = runCopy('delete-drafts.js');
    assert.equal(status, 0);
    assert.ok(logged.includes('INFO Expired API keys: 0'), logged.join('\n'));
  });

  test('runs with npm run job', () => {
    const { status, output } = clone.attempt(
      'env',
      `DATABASE_URL=${database.url}`,
      'npm',
      'run',
      'job',
      '--',
      'delete-drafts',
    );
    assert.equal(status, 0, output);
    assert.match(output, /Expired API keys: 0/);
  });

  test('ends with 1 after an error, which it logs', () => {
    const file = join(clone.folder, 'src/delete-drafts.ts');
    writeFileSync(file, readFileSync(file, 'utf8').replace('SELECT count(*)', 'SELECT 1 / 0, count(*)'));
    clone.run('npm', 'run', 'build');
    const { status, logged } = runCopy('delete-drafts.js');
    assert.equal(status, 1);
    assert.equal(logged.at(-1), 'CRITICAL division by zero');
  });
});
