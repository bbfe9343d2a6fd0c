// Must also run on Node 20, before anything is installed.
import { existsSync, readFileSync } from 'node:fs';

const packagesOf = (lockfile) => JSON.parse(readFileSync(lockfile, 'utf8')).packages;

/** Whether node_modules matches package-lock.json. npm writes its own copy of the lock file there last. */
export function isInstalled() {
  if (!existsSync('node_modules/.package-lock.json')) return false;
  const wanted = packagesOf('package-lock.json');
  const present = packagesOf('node_modules/.package-lock.json');
  return Object.entries(wanted)
    .filter(([path]) => path.startsWith('node_modules/'))
    .every(([path, { version, integrity, optional }]) =>
      present[path] ? present[path].version === version && present[path].integrity === integrity : optional,
    );
}

/** Whether the running Node satisfies `engines` of package.json. */
export function isNodeNewEnough() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wantedMajor, wantedMinor] = wantedNode().split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** Returns the oldest supported version of Node: 24.15 for `"node": ">=24.15"`. */
export function wantedNode() {
  return JSON.parse(readFileSync('package.json', 'utf8')).engines.node.replace('>=', '');
}
