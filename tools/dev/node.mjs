// Runs after every install, as the `dependencies` script of package.json: if the machine's Node is too old, adds npm's
// package `node` to node_modules, outside of the lock file. npm scripts then run on that version.
import { spawnSync } from 'node:child_process';
import { isNodeNewEnough, wantedNode } from './installed.mjs';

if (!isNodeNewEnough() && !process.env.SKIP_NODE) {
  const major = wantedNode().split('.')[0];
  console.log(`Node ${process.versions.node} is older than ${wantedNode()}: adding Node ${major} to node_modules …`);
  const args = ['install', `node@${major}`, '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync(process.execPath, [process.env.npm_execpath, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    // This install runs the `dependencies` script again.
    env: { ...process.env, SKIP_NODE: 'yes' },
  });
  if (status !== 0) {
    console.error(`Node ${major} could not be added. Install Node ${wantedNode()} or newer (https://nodejs.org).`);
    process.exitCode = 1;
  }
}
