// Who the harness is to the service: an API key, registered by the image's own program, as an operator does it.
import { spawnSync } from 'node:child_process';
import { runJob } from './instance.mjs';

/** A key that is registered nowhere, with its id and its hash. */
export function createOfflineKey() {
  const { stdout } = spawnSync(process.execPath, ['tools/dev/api-keys.mjs', 'create', '--offline', '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(stdout);
}

/** Makes a key on this machine and has the image's job register it in a migrated database. */
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

/** What a request needs to be let in. */
export function credentials(key) {
  return { 'x-api-key': key };
}
