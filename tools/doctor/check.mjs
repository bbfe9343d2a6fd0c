// Findings, and how checks read files and run programs. No check writes anything.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {{ status: 'ok' | 'warn' | 'fail', detail: string, fix?: string }} Finding
 * @typedef {Record<string, (context: object) => Finding | Promise<Finding>>} Checks by id
 */

/** @returns {Finding} */
export const ok = (detail) => ({ status: 'ok', detail });
/** @returns {Finding} */
export const warn = (detail, fix) => ({ status: 'warn', detail, fix });
/** @returns {Finding} */
export const fail = (detail, fix) => ({ status: 'fail', detail, fix });

/** Returns the text of a file, or an empty one if it does not exist. */
export const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');

/** Returns the text of a file without comments. */
export const readCode = (file) => read(file).replaceAll(/^\s*#.*$/gm, '');

export const filesIn = (folder) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []);

/**
 * Runs a program and waits for it.
 *
 * @returns {Promise<{ missing: boolean, succeeded: boolean, output: string, error: string }>} error: one line, the reason
 */
export async function execute(program, args, { env = {} } = {}) {
  // On Windows npm, gcloud and gh are batch files, which need a shell.
  const shell = process.platform === 'win32';
  const options = { env: { ...process.env, ...env }, shell, maxBuffer: 64 * 1024 * 1024 };
  const words = shell ? args.map((word) => `"${word.replaceAll('"', '""')}"`) : args;
  return new Promise((resolve) => {
    const child = execFile(program, words, options, (error, output, errors) =>
      resolve({
        missing: error?.code === 'ENOENT' || (shell && /is not recognized/.test(errors)),
        succeeded: !error,
        output: output.trim(),
        error: reasonIn(errors),
      }),
    );
    // A prompt fails instead of waiting.
    child.stdin?.end();
  });
}

/** gcloud prints warnings before its error, and hints after it. */
function reasonIn(errors) {
  const lines = errors.split(/\r?\n/).filter((line) => line.trim());
  return (lines.find((line) => /^ERROR|PERMISSION_DENIED|NOT_FOUND/.test(line)) ?? lines.at(-1) ?? '').trim();
}
