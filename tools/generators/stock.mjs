// Nest's own generators (`npx nest generate service` and others), with output that passes `npm run check`.
import { chain, externalSchematic, SchematicsException } from '@angular-devkit/schematics';
import { format } from './format.mjs';

const JEST_GLOBALS = ['beforeEach', 'describe', 'expect', 'it'];

export default function stock(options) {
  return (_, { schematic }) =>
    chain([externalSchematic('@nestjs/schematics', schematic.description.name, options), adapt, format]);
}

/** Imports Jest's globals, and types a stub with unknown instead of any. */
function adapt(tree, { logger }) {
  const { dependencies } = tree.readJson('package.json');
  for (const { path } of tree.actions.filter(({ kind }) => kind === 'c')) {
    const text = tree.readText(path).replaceAll(/(?<=: |<)any\b/g, 'unknown');
    const [, missing] = /from '(@nestjs\/(?!testing)[\w-]+)'/.exec(text) ?? [];
    if (missing && !dependencies[missing]) {
      throw new SchematicsException(`Nothing was written. Run this first: npm install ${missing}`);
    }
    const globals = path.endsWith('spec.ts') ? JEST_GLOBALS.filter((name) => text.includes(`${name}(`)) : [];
    tree.overwrite(path, globals.length > 0 ? `import { ${globals.join(', ')} } from '@jest/globals';\n${text}` : text);
  }
  // A file is in use if a spec or a module imports it.
  if (tree.actions.length === 1) logger.info('npm run check reports the file as unused until another file imports it.');
}
