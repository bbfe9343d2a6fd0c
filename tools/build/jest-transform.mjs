// Jest runs src/, where a module that runs on its own, such as a worker thread, is TypeScript. Tests run the compiled one.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import swc from '@swc/jest';

const MODULE_URL = /new URL\((\s*['"]\.{1,2}\/[^'"]+\.[cm]?js['"]),\s*import\.meta\.url,?\s*\)/g;

const SRC = resolve('src');

function useCompiled(source, file) {
  if (!file.startsWith(SRC)) return source;
  const compiled = pathToFileURL(file.replace(SRC, resolve('build')));
  return source.replaceAll(MODULE_URL, `new URL($1, '${compiled}')`);
}

export default {
  /** A transformer of Jest: https://jestjs.io/docs/code-transformation */
  createTransformer(options) {
    const transformer = swc.createTransformer(options);
    return {
      ...transformer,
      process: (source, file, ...rest) => transformer.process(useCompiled(source, file), file, ...rest),
      processAsync: (source, file, ...rest) => transformer.processAsync(useCompiled(source, file), file, ...rest),
    };
  },
};
