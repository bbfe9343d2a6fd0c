// Writes app.cache, V8's code cache: runs the platform without any feature, and saves the code that V8 has compiled.
// Must run on the same version of Node as the service. Without the cache a start takes longer, so a failure is a warning.
const { spawnSync } = require('node:child_process');
const { renameSync, rmSync, writeFileSync } = require('node:fs');
const { cache, launch, load } = require('./launch.cjs');

const TIMEOUT_MS = 30_000;

if (process.argv[2] === 'write') void write();
else runWrite();

/** Runs in a child process, which a deadline ends. */
function runWrite() {
  rmSync(cache, { force: true });
  const { status, error, stderr } = spawnSync(process.execPath, [__filename, 'write'], {
    env: {},
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
  });
  if (status === 0) return;
  const reason =
    error?.code === 'ETIMEDOUT'
      ? `no result after ${TIMEOUT_MS / 1000} s`
      : stderr
          .trim()
          .split('\n')
          .find((line) => /^\w*Error\b/.test(line));
  console.warn(`Warning: dist/ has no code cache, so the service starts slower: ${reason ?? `exit code ${status}`}`);
}

async function write() {
  const script = load();
  await launch('warm-up').warmUp();
  // Renamed, so that an interrupted write leaves no cache.
  writeFileSync(`${cache}.new`, script.createCachedData());
  renameSync(`${cache}.new`, cache);
  process.exit();
}
