// `npm run test:template [-- --gcloud] [-- --write]`: the proofs of the starter itself. With --gcloud the real gcloud
// judges what they have told its stand-in; with --write template/pipeline/proof.md is written.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { judge } from './standin/judge.mjs';

try {
  const { values: options, positionals } = parseArgs({
    options: { gcloud: { type: 'boolean' }, write: { type: 'boolean' } },
    allowPositionals: true,
  });
  const folder = mkdtempSync(join(tmpdir(), 'template-'));
  const calls = join(folder, 'calls');
  const files = positionals.length > 0 ? positionals : ['template/**/*.test.mjs'];
  const env = { ...process.env, STANDIN_CALLS: calls, ...(options.write && { WRITE_PROOF: 'yes' }) };
  const { status } = spawnSync(process.execPath, ['--test', ...files], { stdio: 'inherit', env });
  process.exitCode = status ?? 1;
  if (options.gcloud && judge(calls) > 0) process.exitCode = 1;
  rmSync(folder, { recursive: true });
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
