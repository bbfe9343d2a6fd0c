import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A folder that git, the linter and the formatter ignore, inside of the clone, where Node finds node_modules. */
const DIRECTORY = join('.data', 'baselines');

/** The main file of each Nest application. */
export const NEST = {
  stock: join(DIRECTORY, 'stock', 'main.js'),
  usual: join(DIRECTORY, 'usual', 'usual', 'src', 'main.js'),
};

/** Compiles a Nest application, like `nest build`. @returns the path of its main file */
export function buildNest(name) {
  const project = fileURLToPath(new URL(name, import.meta.url));
  const outDir = join(DIRECTORY, name);
  rmSync(outDir, { recursive: true, force: true });
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '--project', project, '--outDir', outDir], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`The Nest application in ${project} does not compile.`);
  return NEST[name];
}
