// Runs a workflow file as GitHub does: jobs by their needs, steps in order and by their conditions, with the environment,
// outputs and files that they pass on. bash runs the scripts of the steps.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Refusal } from '../standin/refusal.mjs';
import { act } from './actions.mjs';
import { fill, fillAll, holds } from './expressions.mjs';

/**
 * @typedef {object} Run
 * @property {import('../standin/cloud.mjs').Cloud} cloud
 * @property {string} bin the only folder in the PATH
 * @property {string} folder for all files that the run writes
 * @property {string} repository the folder that a checkout copies
 * @property {string} file of the workflow
 * @property {Record<string, string>} inputs
 * @property {Record<string, string>} vars
 * @property {Record<string, string>} [secrets]
 * @property {object} github as the context of the name
 * @property {Record<string, string>} environment of every step, which shortens what the scripts wait for
 * @property {(call: object) => 'cancelled' | 'failure' | undefined} [stop] called after each call to the cloud; cancels the
 *   run or times the step out
 * @property {(job: string) => Promise<void>} [afterJob]
 */

/** @param {Run} run */
export async function runWorkflow(run) {
  const workflow = parse(readFileSync(run.file, 'utf8'));
  const inputs = withDefaults(workflow.on.workflow_dispatch.inputs, run.inputs);
  const results = {};
  for (const [name, job] of Object.entries(workflow.jobs)) {
    const needs = [job.needs ?? []].flat();
    const missing = needs.find((need) => !results[need]);
    if (missing) throw new Error(`${name} needs ${missing}, which stands behind it.`);
    const contexts = {
      github: {
        event: { repository: { private: false } },
        event_name: 'workflow_dispatch',
        ref: 'refs/heads/main',
        token: 'ghs_standin',
        ...run.github,
        job: name,
      },
      inputs,
      needs: Object.fromEntries(
        needs.map((need) => [need, { result: results[need].result, outputs: results[need].outputs }]),
      ),
      secrets: run.secrets ?? {},
      vars: run.vars,
    };
    const result = needs.map((need) => results[need].result).find((value) => value !== 'success') ?? 'success';
    results[name] = holds(job.if, contexts, { result })
      ? await runJob(run, workflow, name, job, contexts)
      : { result: 'skipped', outputs: {}, steps: [], log: '', summary: '' };
    await run.afterJob?.(name);
  }
  return results;
}

/** Returns the inputs of a workflow_dispatch, with their defaults. */
function withDefaults(definitions, given) {
  for (const [name, value] of Object.entries(given)) {
    const definition = definitions[name];
    if (!definition) throw new Error(`Unexpected input ${name}`);
    if (definition.options && !definition.options.includes(value)) throw new Error(`${value} is no option of ${name}`);
  }
  return Object.fromEntries(
    Object.entries(definitions).map(([name, { default: value = '' }]) => [name, given[name] ?? value]),
  );
}

/** Runs a job in an empty workspace. */
async function runJob(run, workflow, name, definition, contexts) {
  const folder = mkdtempSync(join(run.folder, `${name}-`));
  const workspace = join(folder, 'workspace');
  const temp = join(folder, 'temp');
  for (const path of [workspace, temp]) mkdirSync(path);
  const job = { permissions: definition.permissions ?? workflow.permissions, status: 'success' };
  const state = { env: {}, steps: {}, log: '', summary: '', list: [], scripts: 0 };
  const environment = fill(definition.environment ?? '', contexts);
  const claims = { ...claimsOf(contexts.github, workflow, run.file), ...(environment && { environment }) };
  const jobEnv = { ...fillAll(workflow.env, contexts), ...fillAll(definition.env, contexts) };

  for (const step of definition.steps) {
    const title = step.name ?? step.run ?? step.uses.replace(/@.*/, '');
    const now = { ...contexts, env: { ...jobEnv, ...state.env }, steps: state.steps, job, runner: { temp } };
    if (!holds(step.if, now, { result: job.status })) {
      state.list.push({ title, outcome: 'skipped' });
      if (step.id) state.steps[step.id] = { outcome: 'skipped', conclusion: 'skipped', outputs: {} };
      continue;
    }
    state.log += `── ${title}\n`;
    const shell = workflow.defaults?.run?.shell;
    const place = { run, job, name, folder, workspace, temp, claims, state, env: jobEnv, shell, contexts: now };
    const { outcome, outputs, text } = await runStep(place, step);
    state.log += text;
    state.list.push({ title, outcome, text });
    if (step.id) state.steps[step.id] = { outcome, conclusion: outcome, outputs };
    if (outcome !== 'success' && job.status === 'success') job.status = outcome;
  }

  const outputs = fillAll(definition.outputs, { ...contexts, env: state.env, steps: state.steps, job });
  for (const [output, value] of Object.entries(outputs)) {
    if (!Object.values(contexts.secrets).some((secret) => secret && value.includes(secret))) continue;
    delete outputs[output];
    state.log += `##[warning]Skip output '${output}' since it may contain secret.\n`;
  }
  return { result: job.status, outputs, steps: state.list, log: state.log, summary: state.summary };
}

/** Claims of GitHub's ID token. https://docs.github.com/actions/concepts/security/openid-connect */
function claimsOf(github, workflow, file) {
  return {
    iss: 'https://token.actions.githubusercontent.com',
    event_name: github.event_name,
    ref: github.ref,
    repository: github.repository,
    repository_id: github.repository_id,
    repository_owner_id: github.repository_owner_id,
    run_id: github.run_id,
    sha: github.sha,
    workflow_ref: `${github.repository}/${file}@${github.ref}`,
  };
}

function runStep(place, step) {
  if (step.uses?.startsWith('./')) return runComposite(place, step);
  return step.uses ? useAction(place, step) : runScript(place, step);
}

/** Runs a composite action of the checkout. https://docs.github.com/actions/reference/workflows-and-actions/metadata-syntax */
async function runComposite(place, { uses, with: given }) {
  const { workspace, state, contexts } = place;
  const file = join(workspace, uses, 'action.yml');
  if (!existsSync(file))
    return { outcome: 'failure', outputs: {}, text: `##[error]Can't find 'action.yml' under '${uses}'.\n` };
  const action = parse(readFileSync(file, 'utf8'));
  const unknown = Object.keys(given ?? {}).filter((input) => !action.inputs[input]);
  if (unknown.length > 0) throw new Error(`${uses} has no input ${unknown.join(', ')}`);
  const defaults = Object.entries(action.inputs).map(([name, input]) => [name, input.default ?? '']);
  const inputs = { ...Object.fromEntries(defaults), ...fillAll(given, contexts) };
  // A composite action cannot read vars, secrets or needs.
  const { github, job, runner } = contexts;
  const steps = {};
  let result = 'success';
  let text = '';
  for (const step of action.runs.steps) {
    const now = { github, job, runner, inputs, steps, env: state.env };
    if (!holds(step.if, now, { result })) continue;
    const ended = await runStep({ ...place, env: {}, shell: undefined, contexts: now }, step);
    text += ended.text;
    if (step.id) steps[step.id] = { outcome: ended.outcome, conclusion: ended.outcome, outputs: ended.outputs };
    if (ended.outcome !== 'success' && result === 'success') result = ended.outcome;
  }
  const outputs = Object.entries(action.outputs ?? {}).map(([name, { value }]) => [name, value]);
  return { outcome: result, outputs: fillAll(Object.fromEntries(outputs), { inputs, steps, env: state.env }), text };
}

function useAction({ run, job, workspace, claims, state, contexts }, step) {
  try {
    const inputs = fillAll(step.with, contexts);
    const exportVariable = (name, value) => (state.env[name] = value);
    const outputs = act(step.uses, {
      cloud: run.cloud,
      repository: run.repository,
      job,
      inputs,
      workspace,
      claims,
      exportVariable,
    });
    return { outcome: 'success', outputs, text: '' };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { outcome: 'failure', outputs: {}, text: `##[error]${error.message}\n` };
  }
}

async function runScript({ run, name, folder, workspace, temp, state, env, shell: standard, contexts }, step) {
  const shell = step.shell ?? standard;
  const index = state.scripts++;
  if (shell !== 'bash') throw new Error(`The proofs do not know the shell ${shell}.`);
  const script = join(folder, `step-${index}.sh`);
  writeFileSync(script, fill(step.run, contexts));
  const files = Object.fromEntries(
    ['GITHUB_ENV', 'GITHUB_OUTPUT', 'GITHUB_PATH', 'GITHUB_STEP_SUMMARY'].map((file) => [
      file,
      join(folder, `${file}-${index}`),
    ]),
  );
  for (const file of Object.values(files)) writeFileSync(file, '');
  const { github } = contexts;
  const { text, outcome } = await bash(run, script, {
    cwd: workspace,
    env: {
      PATH: run.bin,
      HOME: folder,
      STANDIN: run.cloud.url,
      ...run.environment,
      RUNNER_TEMP: temp,
      GITHUB_JOB: name,
      GITHUB_REPOSITORY: github.repository,
      GITHUB_RUN_ATTEMPT: github.run_attempt,
      GITHUB_RUN_NUMBER: github.run_number,
      GITHUB_SERVER_URL: 'https://github.com',
      GITHUB_SHA: github.sha,
      GITHUB_WORKSPACE: workspace,
      ...files,
      ...state.env,
      ...env,
      ...fillAll(step.env, contexts),
    },
  });
  Object.assign(state.env, pairs(files.GITHUB_ENV));
  state.summary += readFileSync(files.GITHUB_STEP_SUMMARY, 'utf8');
  return { outcome, outputs: pairs(files.GITHUB_OUTPUT), text };
}

/** Runs a script with GitHub's default shell options: https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#defaultsrunshell */
async function bash(run, script, options) {
  const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', script], {
    ...options,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let stopped;
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part) => (text += part));
  const afterCall = (call) => {
    if (call.environment.HOME !== options.env.HOME || stopped) return;
    stopped = run.stop?.(call);
    // Kills the script and its child processes.
    if (stopped) process.kill(-Number(child.pid), 'SIGTERM');
  };
  run.cloud.listeners.add(afterCall);
  const status = await new Promise((done, failed) => child.on('error', failed).on('close', done));
  run.cloud.listeners.delete(afterCall);
  return { text, outcome: stopped ?? (status === 0 ? 'success' : 'failure') };
}

/** Parses NAME=VALUE lines. */
function pairs(file) {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf('=');
      if (at < 1) throw new Error(`Unable to process file command: Invalid format '${line}'`);
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}
