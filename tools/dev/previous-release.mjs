// `npm run test:previous`: during a deployment and after a rollback, the last release runs on the schema of this commit.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { git, gitSucceeds, runCommand } from '../cli.mjs';
import { lastRelease } from './last-release.mjs';

const MIGRATIONS = 'src/migrations';
const TESTS = 'test/api';

const USAGE = `Usage: npm run test:previous

Runs the API tests of the last release, the newest tag v1.2.3 of this service, on the schema that the migrations of the working tree
create, except tests that the working tree has deleted. Installs the packages of the release if they differ.

Exit codes: 0 if they pass or there is no release, 1 if one fails.`;

await runCommand(USAGE, () => {
  const release = lastRelease(MIGRATIONS);
  if (!release) return console.log('No release yet: there is no tag v1.0.0 or later.');
  const folder = join(mkdtempSync(join(tmpdir(), 'previous-release-')), release);
  try {
    git('worktree', 'add', '--detach', folder, release);
    removeDeletedTests(folder);
    rmSync(join(folder, MIGRATIONS), { recursive: true });
    cpSync(MIGRATIONS, join(folder, MIGRATIONS), { recursive: true });
    const install = gitSucceeds('diff', '--quiet', release, '--', 'package-lock.json')
      ? () => cpSync('node_modules', join(folder, 'node_modules'), { recursive: true, verbatimSymlinks: true })
      : () => run(folder, 'ci');
    install();
    console.log(`The API tests of ${release} with the migrations of the working tree:`);
    run(folder, 'test', '--', TESTS);
  } finally {
    git('worktree', 'remove', '--force', folder);
    rmSync(join(folder, '..'), { recursive: true, force: true });
  }
});

/** The release cannot serve a removed resource, whose tables no longer exist. */
function removeDeletedTests(folder) {
  const deleted = globSync(`${TESTS}/**/*.ts`, { cwd: folder }).filter((file) => !existsSync(file));
  for (const file of deleted) rmSync(join(folder, file));
}

function run(cwd, ...args) {
  const { status } = spawnSync('npm', args, { cwd, stdio: 'inherit', shell: process.platform === 'win32' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed: the last release does not run on the new schema.`);
}
