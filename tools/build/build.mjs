import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand, runNode } from '../cli.mjs';
import { copyData } from './files.mjs';
import { readSettings } from './settings.mjs';

export const NEST = 'node_modules/@nestjs/cli/bin/nest.js';
const BUNDLE = 'tools/build/bundle.mjs';
const LOCK = '.data/build.lock';

const USAGE = `Usage: npm run build

Compiles src/ into build/, and bundles it into dist/, which production runs: node dist/main.js.

Exit codes: 0 on success, 1 on failure.`;

/** Compiles src/ into build/ unless that is up to date. Exits with 1 on failure. */
export function compileIfStale() {
  makeIfStale('build', 'Compiling …', compile);
}

/** Compiles src/ into build/ and bundles that into dist/ unless they are up to date. Exits with 1 on failure. */
export function buildIfStale() {
  compileIfStale();
  makeIfStale('dist', 'Bundling …', bundle);
}

function compile() {
  const isCompiled = runNode([NEST, 'build']);
  if (isCompiled) copyData('src', 'build');
  return isCompiled;
}

const bundle = () => runNode([BUNDLE]);

function makeIfStale(folder, message, run) {
  if (isFresh(folder)) return;
  const made = whileLocked(() => isFresh(folder) || make(folder, message, run));
  if (!made) process.exit(1);
}

function make(folder, message, run) {
  console.error(message);
  const inputs = listInputs();
  rmSync(stampOf(folder), { force: true });
  const isMade = run();
  if (isMade) markMade(folder, inputs);
  return isMade;
}

const stampOf = (folder) => join(folder, '.inputs');

function isFresh(folder) {
  return existsSync(stampOf(folder)) && readFileSync(stampOf(folder), 'utf8') === listInputs();
}

/** Records the inputs that a folder was made of, as its last step. */
export function markMade(folder, inputs) {
  writeFileSync(stampOf(folder), inputs);
}

/** Returns a line for each file that a build reads: path, size and time of change. */
export function listInputs() {
  const sources = ['src', 'tools/build', ...readSettings().folders].flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((file) => join(folder, file)),
  );
  const settings = readdirSync('.').filter((file) => /^(tsconfig.*|nest-cli|package|package-lock)\.json$/.test(file));
  return [...sources, ...settings]
    .filter((file) => !file.endsWith('.spec.ts'))
    .map((file) => ({ file, stats: statSync(file) }))
    .filter(({ stats }) => stats.isFile())
    .map(({ file, stats }) => `${file} ${stats.size} ${stats.mtimeMs}\n`)
    .join('');
}

/** Prevents two commands from building at the same time. */
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
    // Process ids are reused after a restart of the machine. No build takes ten minutes.
    return Date.now() - statSync(LOCK).mtimeMs > 600_000;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

if (import.meta.main) {
  await runCommand(USAGE, () => {
    if (!compile() || !bundle()) throw new Error('The build failed.');
  });
}
