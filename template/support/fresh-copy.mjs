import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Returns a clone of the working tree, committed, with node_modules. */
export function freshCopy(name) {
  const folder = join(mkdtempSync(join(tmpdir(), `${name}-`)), 'a fresh clone');
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' });
  for (const file of files.trim().split('\n')) cpSync(file, join(folder, file));
  cpSync('node_modules', join(folder, 'node_modules'), { recursive: true, verbatimSymlinks: true });
  const run = (command, ...args) => execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: 'pipe', env });
  run('git', 'init', '--quiet', '--initial-branch=main');
  run('git', 'config', 'user.name', 'Ada');
  run('git', 'config', 'user.email', 'ada@example.com');
  commitAll(run, 'the starter');
  return {
    folder,
    run,
    /** Runs a command that can fail. Returns its output and exit code. */
    attempt(command, ...args) {
      const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8', input: '', env });
      return { status, output: stdout + stderr };
    },
    commitAll: (message) => commitAll(run, message),
    /** Returns the files that differ from the last commit. */
    changes: () => run('git', 'status', '--porcelain', '--untracked-files=all').split('\n').filter(Boolean),
    remove: () => rmSync(join(folder, '..'), { recursive: true }),
  };
}

// Removes variables of the test runner, and those with which a Git hook selects its repository.
const { NODE_TEST_CONTEXT: _, DATABASE_URL: __, GIT_DIR: ___, GIT_INDEX_FILE: ____, ...env } = process.env;

function commitAll(run, message) {
  run('git', 'add', '--all');
  run('git', 'commit', '--quiet', '--no-verify', '--message', message);
}
