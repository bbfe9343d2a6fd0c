import { join } from 'node:path';
import prettier from 'prettier';

/** A rule that formats new and changed files with the project's Prettier settings, which Nest's --format ignores. */
export async function format(tree) {
  for (const { path } of tree.actions.filter(({ kind }) => kind === 'c' || kind === 'o')) {
    const filepath = join(process.cwd(), path);
    const { inferredParser } = await prettier.getFileInfo(filepath);
    if (!inferredParser) continue;
    const options = await prettier.resolveConfig(filepath);
    tree.overwrite(path, await prettier.format(tree.readText(path), { ...options, filepath }));
  }
}
