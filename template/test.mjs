// `npm run test:template [-- --gcloud] [-- --write] [-- FILE]`: runs the tests of the starter itself, *.spec.ts with Jest and
// *.test.mjs with node:test. With --gcloud the real gcloud validates the command lines; --write writes
// template/pipeline/proof.md.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { judge } from './standin/judge.mjs';

const JEST = [
  ...['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'],
  ...['node_modules/jest/bin/jest.js', '--config', 'template/jest.config.mjs'],
];

try {
  const { values: options, positionals } = parseArgs({
    options: { gcloud: { type: 'boolean' }, write: { type: 'boolean' } },
    allowPositionals: true,
  });
  const folder = mkdtempSync(join(tmpdir(), 'template-'));
  const calls = join(folder, 'calls');
  const env = { ...process.env, STANDIN_CALLS: calls, ...(options.write && { WRITE_PROOF: 'yes' }) };
  const run = (...args) => {
    const { status } = spawnSync(process.execPath, args, { stdio: 'inherit', env });
    if (status !== 0) process.exitCode = 1;
  };
  const files = positionals.length > 0 ? positionals : ['.spec.ts', 'template/**/*.test.mjs'];
  const specs = files.filter((file) => file.endsWith('.spec.ts')); // to Jest, a pattern
  const tests = files.filter((file) => !specs.includes(file));
  if (specs.length > 0) run(...JEST, ...specs);
  // Two files at a time: most of them wait for processes.
  if (tests.length > 0) run('--test', '--test-concurrency=2', ...tests);
  if (options.gcloud && judge(calls) > 0) process.exitCode = 1;
  rmSync(folder, { recursive: true });
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
