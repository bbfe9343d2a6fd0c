// Before `npm start`, `npm run dev` and `npm test`: installs what is missing. Runs on the Node that the machine has.
import { spawnSync } from 'node:child_process';
import { isInstalled } from './installed.mjs';

if (!isInstalled()) {
  console.log('Installing dependencies (npm ci) …');
  // NODE_ENV=production would leave out what builds and tests the service.
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync(process.execPath, [process.env.npm_execpath, ...args], {
    stdio: 'inherit',
    // npm swallows what the `dependencies` script prints: it runs below instead.
    env: { ...process.env, SKIP_NODE: 'yes' },
  });
  if (status !== 0) process.exit(1);
}
await import('./node.mjs');
