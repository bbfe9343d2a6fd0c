import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const NEST = 'node_modules/@nestjs/cli/bin/nest.js';
const LOCK = '.data/build.lock';

/** Compiles src/ into build/ unless that is the result of the files as they are now. Exits when it fails. */
export function compileIfStale() {
  makeIfStale('build', 'Compiling …', [NEST, 'build']);
}

/** Makes dist/, and build/ before it, unless they are the result of the files as they are now. Exits when it fails. */
export function buildIfStale() {
  compileIfStale();
  makeIfStale('dist', 'Bundling …', ['tools/build/bundle.mjs']);
}

function makeIfStale(folder, message, args) {
  if (isFresh(folder)) return;
  const made = whileLocked(() => isFresh(folder) || make(folder, message, args));
  if (!made) process.exit(1);
}

function make(folder, message, args) {
  console.error(message);
  const inputs = listInputs();
  rmSync(stampOf(folder), { force: true });
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status === 0) markMade(folder, inputs);
  return status === 0;
}

const stampOf = (folder) => join(folder, '.inputs');

function isFresh(folder) {
  return existsSync(stampOf(folder)) && readFileSync(stampOf(folder), 'utf8') === listInputs();
}

/** Notes, as the last step of making a folder, what it was made of. */
export function markMade(folder, inputs) {
  writeFileSync(stampOf(folder), inputs);
}

/** One line for each file that a build reads: path, size and time of change. */
export function listInputs() {
  const sources = ['src', 'tools/build'].flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((file) => join(folder, file)),
  );
  const settings = readdirSync('.').filter((file) => /^(tsconfig.*|nest-cli|package|package-lock)\.json$/.test(file));
  return [...sources, ...settings]
    .map((file) => ({ file, stats: statSync(file) }))
    .filter(({ stats }) => stats.isFile())
    .map(({ file, stats }) => `${file} ${stats.size} ${stats.mtimeMs}\n`)
    .join('');
}

/** Two commands at once would delete what the other makes. */
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
