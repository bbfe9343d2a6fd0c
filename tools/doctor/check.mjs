// What a check may say, and how it asks other programs. Nothing here or in the checks themselves writes anything.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {{ status: 'ok' | 'warn' | 'fail', detail: string, fix?: string }} Finding
 * @typedef {{ id: string, run: (context: object) => Finding | Promise<Finding> }} Check
 */

/** @returns {Finding} */
export const ok = (detail) => ({ status: 'ok', detail });
/** @returns {Finding} */
export const warn = (detail, fix) => ({ status: 'warn', detail, fix });
/** @returns {Finding} */
export const fail = (detail, fix) => ({ status: 'fail', detail, fix });

/** A file of the repository, or nothing where there is none: then it does not say what is looked for. */
export const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');

/** Without comments, which quote what they warn of. */
export const code = (file) => read(file).replaceAll(/^\s*#.*$/gm, '');

export const filesOf = (folder) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []);

/**
 * Runs a program and waits for it.
 * @returns {Promise<{ missing: boolean, succeeded: boolean, output: string, error: string }>} error: the line that says why
 */
export async function ask(program, args, { env = {} } = {}) {
  // Windows has npm, gcloud and gh as batch files, which only its shell runs.
  const shell = process.platform === 'win32';
  const options = { env: { ...process.env, ...env }, shell, maxBuffer: 64 * 1024 * 1024 };
  const words = shell ? args.map((word) => `"${word.replaceAll('"', '""')}"`) : args;
  return new Promise((done) => {
    const child = execFile(program, words, options, (error, output, errors) =>
      done({
        missing: error?.code === 'ENOENT' || (shell && /is not recognized/.test(errors)),
        succeeded: !error,
        output: output.trim(),
        error: lineOf(errors),
      }),
    );
    // Nobody is asked anything.
    child.stdin?.end();
  });
}

/** gcloud warns before, and explains after, the line that counts. */
function lineOf(errors) {
  const lines = errors.split(/\r?\n/).filter((line) => line.trim());
  return (lines.find((line) => /^ERROR|PERMISSION_DENIED|NOT_FOUND/.test(line)) ?? lines.at(-1) ?? '').trim();
}
