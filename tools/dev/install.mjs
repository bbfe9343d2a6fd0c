// Runs before `npm start`, `npm run dev`, `npm test` and others, on the machine's own Node: installs missing dependencies.
import { spawnSync } from 'node:child_process';
import { isInstalled } from './installed.mjs';
import { findObstacle } from './preflight.mjs';

if (isInstalled()) await import('./node.mjs');
else {
  const obstacle = await findObstacle();
  if (obstacle) {
    console.error(obstacle);
    process.exit(1);
  }
  console.log('Installing dependencies (npm ci) …');
  // Includes development dependencies also with NODE_ENV=production.
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  // npm hides the output of the `dependencies` script, so node.mjs runs below instead.
  run(process.env.npm_node_execpath, [process.env.npm_execpath, ...args], { ...process.env, SKIP_NODE: 'yes' });
  // npm ci has removed the Node in node_modules, which may run this file.
  run(process.env.npm_node_execpath, ['tools/dev/node.mjs']);
}

function run(command, args, env = process.env) {
  const { status } = spawnSync(command, args, { stdio: 'inherit', env });
  if (status !== 0) process.exit(1);
}
