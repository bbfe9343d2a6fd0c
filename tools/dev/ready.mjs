// Preloaded by the scripts of package.json (`node --import ./tools/dev/ready.mjs`). npm skips the install step if
// ignore-scripts is true; this prints one line instead of a stack trace.
import { isInstalled, isNodeNewEnough, wantedNode } from './installed.mjs';

if (!isInstalled()) stop('Dependencies are not installed. Run: npm ci --ignore-scripts=false');
if (!isNodeNewEnough()) {
  stop(
    `Node ${process.versions.node} is too old. Run npm ci --ignore-scripts=false, which adds a newer one to node_modules, or install Node ${wantedNode()}.`,
  );
}

function stop(message) {
  console.error(message);
  process.exit(1);
}
