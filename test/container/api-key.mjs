import { spawnSync } from 'node:child_process';

/** Returns an API key that is not registered, with its id and its hash. */
export function createOfflineKey() {
  const { stdout } = spawnSync(process.execPath, ['tools/dev/api-keys.mjs', 'create', '--offline', '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(stdout);
}
