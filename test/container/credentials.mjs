// Who the harness is to the service: an API key, registered by the image's own program, as an operator does it.
import { spawnSync } from 'node:child_process';
import { runJob } from './instance.mjs';

const SCOPES = 'vouchers:read,vouchers:write,vouchers:redeem';

/** Makes a key on this machine and has the image's job register it in a migrated database. */
export async function createKey({ image, database }) {
  const { stdout } = spawnSync(process.execPath, ['dev/keys.mjs', 'create', '--offline', '--json'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { key, id, hash } = JSON.parse(stdout);
  const args = ['dist/keys.js', 'create', '--id', id, '--hash', hash, '--name', 'container-test', '--scopes', SCOPES];
  const { code, output } = await runJob({ image, database, args });
  if (code !== 0) throw new Error(output);
  return key;
}

/** What a request needs to be let in. */
export function credentials(key) {
  return { 'x-api-key': key };
}
