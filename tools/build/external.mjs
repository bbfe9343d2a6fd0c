// The packages that stay outside of the bundle: dist/node_modules has them with everything that they depend on.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { runCommand } from '../cli.mjs';
import { readSettings } from './settings.mjs';

const USAGE = `Usage: node tools/build/external.mjs

Runs the install scripts of the packages that stay outside of the bundle. The image installs without scripts.

Exit codes: 0 on success, 1 on failure.`;

/**
 * Returns the folders of the packages, and of all installed packages that they depend on. Optional dependencies may have the
 * binary for this platform. Peers are included so that Node loads each package once.
 *
 * @param {Iterable<string>} names
 * @returns {string[]} such as node_modules/sharp
 */
export function foldersOf(names) {
  const folders = new Set(Array.from(names, (name) => join('node_modules', name)));
  // Iterating over a set includes the elements that are added meanwhile.
  for (const folder of folders) {
    const { dependencies, optionalDependencies, peerDependencies } = manifestOf(folder);
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const found = findPackage(name, folder);
      if (found) folders.add(found);
    }
  }
  return [...folders];
}

/** Finds an installed package as Node does: in node_modules of the folder, and of those above. */
function findPackage(name, folder) {
  for (let place = folder; ; place = dirname(place)) {
    const found = join(place, 'node_modules', name);
    if (existsSync(join(found, 'package.json'))) return found;
    if (place === '.') return undefined;
  }
}

/** Copies packages to dist/ without types and source maps. Packages in other packages are listed on their own. */
export function copyPackages(folders) {
  for (const folder of folders) {
    const isNeeded = (file) =>
      !relative(folder, file).split(sep).includes('node_modules') && !/\.([cm]?ts|map)$/.test(file);
    cpSync(folder, join('dist', folder), { recursive: true, dereference: true, filter: isNeeded });
  }
}

/** Whether a package has compiled code: its own, or that of an installed package for this platform. */
export function isNative(folder) {
  const { binary, napi, optionalDependencies = {} } = manifestOf(folder);
  if (binary || napi || existsSync(join(folder, 'binding.gyp')) || existsSync(join(folder, 'prebuilds'))) return true;
  return Object.keys(optionalDependencies).some((name) => {
    const found = findPackage(name, folder);
    const { os, cpu } = found ? manifestOf(found) : {};
    return os && cpu;
  });
}

/** npm compiles a package with binding.gyp unless it has a script for that. */
function hasInstallScript(folder) {
  const { scripts = {} } = manifestOf(folder);
  return scripts.install || scripts.postinstall || existsSync(join(folder, 'binding.gyp'));
}

export const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

if (import.meta.main) {
  await runCommand(USAGE, () => {
    const withScript = foldersOf(readSettings().external)
      .filter(hasInstallScript)
      .map((folder) => manifestOf(folder).name);
    if (withScript.length === 0) return;
    const { status } = spawnSync('npm', ['rebuild', '--ignore-scripts=false', ...new Set(withScript)], {
      stdio: 'inherit',
    });
    if (status !== 0)
      throw new Error(
        `The install scripts of ${withScript.join(', ')} failed. A package without a binary for this platform needs a compiler.`,
      );
  });
}
