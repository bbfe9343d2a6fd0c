// The environment of the scripts in deploy/: a PATH that contains only the stand-in and the allowed tools.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Tools of client.sh. */
const OWN = ['bash', 'env', 'curl'];

/** The shell that runs the scripts, such as bash 3.2. */
const SHELL = process.env.BASH_UNDER_TEST ?? 'bash';

/** Fills a folder with links to tools and to the stand-in. Its `sleep` returns immediately. */
export function fillBin(folder, tools, programs = ['gcloud', 'docker', 'gh', 'sleep']) {
  for (const tool of new Set([...OWN, ...tools])) {
    const path = spawnSync('which', [tool === 'bash' ? SHELL : tool], { encoding: 'utf8' }).stdout.trim();
    if (!path) throw new Error(`${tool} is not installed, which the scripts of deploy/ need.`);
    symlinkSync(path, join(folder, tool));
  }
  for (const program of programs) symlinkSync(join(import.meta.dirname, 'client.sh'), join(folder, program));
}

/** Asynchronous, because the stand-in's server runs in this process. */
export async function runScript(command, words, { started = () => {}, ...options } = {}) {
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  started(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const status = await new Promise((done, failed) => child.on('error', failed).on('close', done));
  return { status, stdout, stderr, output: stdout + stderr };
}

/** Asserts that a script of runScript() succeeds, and returns its result. */
export async function succeeds(running) {
  const result = await running;
  assert.equal(result.status, 0, result.output);
  return result;
}

/** Asserts that a script fails with one line, which names the problem and the fix. Returns its result. */
export async function fails(running, message) {
  const result = await running;
  assert.notEqual(result.status, 0, result.output);
  assert.match(result.stderr, message);
  assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
  return result;
}
