import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const NEST = 'node_modules/@nestjs/cli/bin/nest.js';
const STAMP = 'dist/.inputs';
const LOCK = '.data/build.lock';

/** Compiles src/ into dist/ unless dist/ is the result of the files as they are now. Exits when that fails. */
export function buildIfStale() {
  if (isFresh()) return;
  const built = whileLocked(() => isFresh() || build());
  if (!built) process.exit(1);
}

function build() {
  console.error('Building …');
  const inputs = listInputs();
  rmSync(STAMP, { force: true });
  const { status } = spawnSync(process.execPath, [NEST, 'build'], { stdio: 'inherit' });
  if (status === 0) markBuilt(inputs);
  return status === 0;
}

function isFresh() {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === listInputs();
}

/** Notes, as the last step of a build, what it was made of. */
export function markBuilt(inputs) {
  writeFileSync(STAMP, inputs);
}

/** One line for each file that a build reads: path, size and time of change. */
export function listInputs() {
  const sources = readdirSync('src', { recursive: true }).map((file) => join('src', file));
  const settings = readdirSync('.').filter((file) => /^(tsconfig.*|nest-cli|package|package-lock)\.json$/.test(file));
  return [...sources, ...settings]
    .map((file) => ({ file, stats: statSync(file) }))
    .filter(({ stats }) => stats.isFile())
    .map(({ file, stats }) => `${file} ${stats.size} ${stats.mtimeMs}\n`)
    .join('');
}

/** Two commands at once would delete dist/ under each other. */
function whileLocked(run) {
  mkdirSync('.data', { recursive: true });
  while (!tryLock()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  try {
    return run();
  } finally {
    rmSync(LOCK, { force: true });
  }
}

function tryLock() {
  try {
    writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (isAbandoned()) rmSync(LOCK, { force: true });
    return false;
  }
}

function isAbandoned() {
  try {
    process.kill(Number(readFileSync(LOCK, 'utf8')), 0);
    // A process id comes back after a restart of the machine; no build takes a minute.
    return Date.now() - statSync(LOCK).mtimeMs > 60_000;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}
