// Explains a log with the known messages of docs/deployment/troubleshooting.md.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const PAGE = join(import.meta.dirname, '../../docs/deployment/troubleshooting.md');
const ENTRY = /^### `(?<message>.+)`\n\n- Pattern: `(?<pattern>.+)`\n- Cause: (?<cause>.+)\n- Fix: (?<fix>.+)$/gm;

/**
 * Returns the entries of the page, in its order.
 *
 * @returns {{ message: string, pattern: RegExp, cause: string, fix: string }[]}
 */
export function knownMessages() {
  return [...readFileSync(PAGE, 'utf8').matchAll(ENTRY)].map(({ groups: { message, pattern, cause, fix } }) => ({
    message,
    pattern: new RegExp(pattern, 'i'),
    cause,
    fix,
  }));
}

/**
 * Returns each known message of a log once, with the first line that matches it.
 *
 * @param {string} log for example a step's output, or a log downloaded from GitHub
 */
export function explain(log) {
  const known = knownMessages();
  const found = new Map();
  for (const line of linesOf(log)) {
    const entry = known.find(({ pattern }) => pattern.test(line));
    if (entry && !found.has(entry)) found.set(entry, line);
  }
  return [...found].map(([{ message, cause, fix }, line]) => ({ message, line, cause, fix }));
}

/** Removes GitHub's timestamps and markers, and colors. An error response in JSON becomes one line. */
function linesOf(log) {
  return stripVTControlCharacters(log)
    .replaceAll(/^\uFEFF?(?:\d{4}-\d\d-\d\dT[\d:.]+Z )?(?:##\[\w+\])?/gm, '')
    .replaceAll(/\{\r?\n\s*"error": \{[^]*?\n\}/g, (response) => response.replaceAll(/\s*\n\s*/g, ' '))
    .split(/\r?\n/)
    .map((line) => line.trim());
}
