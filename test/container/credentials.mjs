// API keys of the test harness, registered with the image's own program.
import { spawnSync } from 'node:child_process';
import { runJob } from './instance.mjs';

/** Creates an unregistered key with its id and hash. */
export function createOfflineKey() {
  const { stdout } = spawnSync(process.execPath, ['tools/dev/api-keys.mjs', 'create', '--offline', '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(stdout);
}

/** Creates a key on this machine and registers its hash in a migrated database with a job of the image. */
export async function createKey({ image, database, scopes }) {
  const { key, id, hash } = createOfflineKey();
  const args = [
    'dist/api-keys.js',
    'create',
    '--id',
    id,
    '--hash',
    hash,
    '--name',
    'container-test',
    '--scopes',
    scopes,
  ];
  const { code, output } = await runJob({ image, database, args });
  if (code !== 0) throw new Error(output);
  return key;
}

/** The headers that authenticate a request. */
export function credentials(key) {
  return { 'x-api-key': key };
}
