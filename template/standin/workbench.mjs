// Where the scripts of deploy/ are run: a PATH with the stand-in and the few tools that they may use, and no other.
import { spawn, spawnSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** What client.sh needs. */
const OWN = ['bash', 'env', 'curl'];

/** Another shell to run the scripts with, such as a bash 3.2. */
const SHELL = process.env.BASH_UNDER_TEST ?? 'bash';

/** Fills a folder with links to tools and to the stand-in, whose `sleep` takes no time. */
export function fillBin(folder, tools, programs = ['gcloud', 'docker', 'gh', 'sleep']) {
  for (const tool of new Set([...OWN, ...tools])) {
    const path = spawnSync('which', [tool === 'bash' ? SHELL : tool], { encoding: 'utf8' }).stdout.trim();
    if (!path) throw new Error(`${tool} is not installed, which the scripts of deploy/ need.`);
    symlinkSync(path, join(folder, tool));
  }
  for (const program of programs) symlinkSync(join(import.meta.dirname, 'client.sh'), join(folder, program));
}

/** Not synchronous: the cloud is in this process, and has to answer meanwhile. */
export async function runScript(command, words, options) {
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const status = await new Promise((done, failed) => child.on('error', failed).on('close', done));
  return { status, stdout, stderr, output: stdout + stderr };
}
