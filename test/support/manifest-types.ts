// Separate from manifests.ts, because the compiler takes a second to load.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import ts from 'typescript';
import { parseManifest } from './manifests.js';

const TYPES = 'node_modules/@googleapis/run/build/v1.d.ts';

const COMPILER = { module: ts.ModuleKind.NodeNext, strict: true, noEmit: true, skipLibCheck: true, types: ['node'] };
const files = ts.createCompilerHost(COMPILER);
/** Parsed once: the libraries are large. */
const libraries = new Map<string, ts.SourceFile | undefined>();

/** Unknown fields and values of the wrong type, by the types of the API. */
export function typeErrors(type: 'Service' | 'Job', text: string): string[] {
  const file = resolve('manifest.ts');
  const source = `import type { run_v1 } from '@googleapis/run';
    export const manifest: run_v1.Schema$${type} = ${JSON.stringify(parseManifest(text))};`;
  const host: ts.CompilerHost = {
    ...files,
    fileExists: (name) => name === file || files.fileExists(name),
    getSourceFile: (name, ...rest) => {
      if (name === file) return ts.createSourceFile(name, source, ts.ScriptTarget.ESNext);
      if (!libraries.has(name)) libraries.set(name, files.getSourceFile(name, ...rest));
      return libraries.get(name);
    },
  };
  const program = ts.createProgram([file], COMPILER, host);
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

/** The annotations that Cloud Run documents for a resource. The types allow any string. */
export function knownAnnotations(resource: 'Service' | 'Revision' | 'Job' | 'Execution'): string[] {
  const types = readFileSync(TYPES, 'utf8');
  return [...types.matchAll(/`((?:run|autoscaling)\.[\w.]+\/[\w-]+)`: ([\w, ]+)/g)]
    .filter(([, , resources]) => resources?.includes(resource))
    .map(([, name]) => String(name));
}
