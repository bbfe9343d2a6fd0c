import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface Step {
  id?: string;
  name?: string;
  if?: string;
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
  env?: Record<string, string>;
}

export interface Job {
  needs?: string | string[];
  permissions?: Record<string, string>;
  outputs?: Record<string, string>;
  steps: Step[];
  'timeout-minutes'?: number;
}

export interface Workflow {
  on: unknown;
  permissions: unknown;
  concurrency: unknown;
  jobs: Record<string, Job>;
}

/** The files of .github/workflows. */
export const workflows = readdirSync('.github/workflows');

/** The composite actions of the repository. */
export const actions = readdirSync('.github/actions').map((name) => `.github/actions/${name}/action.yml`);

export const readWorkflow = (name: string) => parse(readFileSync(`.github/workflows/${name}`, 'utf8')) as Workflow;

export const readAction = (file: string) => parse(readFileSync(file, 'utf8')) as { runs: { steps: Step[] } };
