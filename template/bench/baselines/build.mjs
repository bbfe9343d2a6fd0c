import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const stock = fileURLToPath(new URL('stock', import.meta.url));

/** Compiles the stock Nest application, like `nest build`. @returns the path of the main file */
export function buildStock() {
  rmSync(`${stock}/dist`, { recursive: true, force: true });
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '--project', stock], { stdio: 'inherit' });
  if (status !== 0) throw new Error('The stock Nest application does not compile.');
  return `${stock}/dist/main.js`;
}
