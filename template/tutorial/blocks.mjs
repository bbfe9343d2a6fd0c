import { readFileSync } from 'node:fs';

const tutorial = readFileSync('docs/tutorial.md', 'utf8');

/** Returns the code blocks of docs/tutorial.md with this info string. */
export const blocksOf = (kind) =>
  [...tutorial.matchAll(new RegExp(`\`\`\`${kind}\n(.*?)\`\`\``, 'gs'))].map(([, text]) => text);
