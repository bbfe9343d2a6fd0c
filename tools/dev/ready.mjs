// Preloaded (`node --import ./tools/dev/ready.mjs …`) by the scripts of package.json. With `ignore-scripts=true` npm skips
// their install step, and this says so in one line where the script itself would end in a stack trace.
import { isInstalled, isNodeNewEnough, wantedNode } from './installed.mjs';

function stop(message) {
  console.error(message);
  process.exit(1);
}

if (!isInstalled()) stop('Dependencies are not installed. Run: npm ci --ignore-scripts=false');
if (!isNodeNewEnough()) {
  stop(
    `Node ${process.versions.node} is too old. Run: npm ci --ignore-scripts=false (it adds a newer one to node_modules), or install Node ${wantedNode()}.`,
  );
}
