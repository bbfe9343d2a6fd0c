import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { run_v1 } from '@googleapis/run';
import ts from 'typescript';
import { parse } from 'yaml';

/** Every placeholder of deploy/*.yaml with an example. */
export const PLACEHOLDERS: Record<string, string> = {
  GCP_PROJECT_ID: 'my-project',
  GCP_SERVICE: 'orders-api',
  GCP_RUNTIME_ACCOUNT: 'runtime@my-project.iam.gserviceaccount.com',
  GCP_MIGRATOR_ACCOUNT: 'migrator@my-project.iam.gserviceaccount.com',
  GCP_CLOUD_SQL_INSTANCE: 'my-project:europe-west1:main',
  IMAGE: `europe-west1-docker.pkg.dev/my-project/images/orders-api@sha256:${'0'.repeat(64)}`,
  REVISION: 'orders-api-abc1234-57',
  PREVIOUS_REVISION: 'orders-api-0123456-56',
  COMMIT_SHA: 'abc1234567890abc1234567890abc1234567890a',
  INVOKER_IAM_DISABLED: 'true',
  INGRESS: 'all',
  APP_OIDC_ISSUERS: 'https://accounts.google.com',
  APP_OIDC_AUDIENCE: 'https://orders.example.com',
  APP_OIDC_SCOPE_GRANTS: 'deployer@my-project.iam.gserviceaccount.com=orders:read orders:write',
  APP_CORS_ORIGINS: '',
  DATABASE_URL_VERSION: '3',
  MIGRATOR_DATABASE_URL_VERSION: '1',
};

/** A manifest after envsubst. */
export function readManifest(file: string): string {
  return readFileSync(file, 'utf8').replaceAll(/^(?!\s*#).*$/gm, (line) =>
    line.replaceAll(/\$\{(\w+)\}/g, (_, name) => {
      const value = PLACEHOLDERS[name];
      if (value === undefined) throw new Error(`${file} has an unknown placeholder: ${name}`);
      return value;
    }),
  );
}

export const parseService = (text: string) => parse(text) as run_v1.Schema$Service;
export const parseJob = (text: string) => parse(text) as run_v1.Schema$Job;

const TYPES = 'node_modules/@googleapis/run/build/v1.d.ts';

const COMPILER = { module: ts.ModuleKind.NodeNext, strict: true, noEmit: true, skipLibCheck: true, types: ['node'] };
const files = ts.createCompilerHost(COMPILER);
/** Parsed once: the libraries are large. */
const libraries = new Map<string, ts.SourceFile | undefined>();

/** Unknown fields and values of the wrong type, by the types of the API. */
export function typeErrors(type: 'Service' | 'Job', text: string): string[] {
  const file = resolve('manifest.ts');
  const source = `import type { run_v1 } from '@googleapis/run';
    export const manifest: run_v1.Schema$${type} = ${JSON.stringify(parse(text))};`;
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
